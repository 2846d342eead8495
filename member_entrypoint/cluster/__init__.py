"""Who this node is, what it has to do about its cluster, and doing it."""
