"""How a node is reached and asked: Erlang's own protocols."""
