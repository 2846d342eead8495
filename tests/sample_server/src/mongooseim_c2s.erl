%% The listener for clients: says hello in XMPP, and complains like MongooseIM about what is no XML.
-module(mongooseim_c2s).
-behaviour(gen_server).

-export([start_link/1, init/1, handle_call/3, handle_cast/2]).

-define(OPTIONS, [binary, {active, false}, {packet, raw}, {reuseaddr, true}, {backlog, 100}]).
-define(IDLE_MS, 60000).
-define(MAX_HEADER_BYTES, 65536).

start_link(Port) ->
    gen_server:start_link(?MODULE, Port, []).

init(Port) ->
    case listen(Port) of
        {ok, Socket} ->
            _ = spawn_link(fun() -> accept(Socket) end),
            {ok, Socket};
        {error, Reason} ->
            {stop, {Reason, Port}}
    end.

handle_call(_Request, _From, Socket) ->
    {reply, ok, Socket}.

handle_cast(_Request, Socket) ->
    {noreply, Socket}.

%% One socket for both address families, or IPv4 alone where the kernel has no IPv6.
listen(Port) ->
    case gen_tcp:listen(Port, [inet6, {ipv6_v6only, false} | ?OPTIONS]) of
        {error, Reason} when Reason =/= eaddrinuse, Reason =/= eacces ->
            gen_tcp:listen(Port, [inet | ?OPTIONS]);
        Result ->
            Result
    end.

accept(Listener) ->
    case gen_tcp:accept(Listener) of
        {ok, Socket} ->
            %% Linked: clients are cut off when the listener stops.
            Client = spawn_link(fun() -> receive socket_is_yours -> header(Socket, <<>>) end end),
            ok = gen_tcp:controlling_process(Socket, Client),
            Client ! socket_is_yours,
            accept(Listener);
        {error, Reason} when Reason =:= closed; Reason =:= emfile; Reason =:= enfile ->
            exit(Reason);
        {error, _ClientWentAway} ->
            accept(Listener)
    end.

header(Socket, Seen) ->
    case judge(Seen) of
        incomplete when byte_size(Seen) < ?MAX_HEADER_BYTES ->
            case gen_tcp:recv(Socket, 0, ?IDLE_MS) of
                {ok, More} -> header(Socket, <<Seen/binary, More/binary>>);
                {error, _} -> gen_tcp:close(Socket)
            end;
        stream ->
            _ = gen_tcp:send(Socket, [stream_header(), "<stream:features/>"]),
            body(Socket, <<>>);
        _ ->
            _ = gen_tcp:send(Socket, [stream_header(), not_well_formed(), "</stream:stream>"]),
            gen_tcp:close(Socket)
    end.

%% Whatever follows the header is read and not answered, until the client says good-bye.
body(Socket, Tail) ->
    case gen_tcp:recv(Socket, 0, ?IDLE_MS) of
        {ok, Data} ->
            Seen = <<Tail/binary, Data/binary>>,
            case binary:match(Seen, <<"</stream:stream>">>) of
                nomatch ->
                    Keep = min(byte_size(Seen), 15),
                    body(Socket, binary:part(Seen, byte_size(Seen), -Keep));
                _ ->
                    _ = gen_tcp:send(Socket, "</stream:stream>"),
                    gen_tcp:close(Socket)
            end;
        {error, _} ->
            gen_tcp:close(Socket)
    end.

judge(Seen) ->
    Patterns = [{stream, "^\\s*(<\\?xml[^>]*\\?>)?\\s*<stream:stream(\\s[^>]*)?>"},
                {incomplete, "^\\s*(<\\?xml[^>]*\\?>)?\\s*(<[^>]*)?$"}],
    hd([Verdict || {Verdict, Pattern} <- Patterns, re:run(Seen, Pattern) =/= nomatch]
       ++ [not_xml]).

stream_header() ->
    io_lib:format("<?xml version='1.0'?><stream:stream xmlns='jabber:client'"
                  " xmlns:stream='http://etherx.jabber.org/streams' id='~b' from='localhost'"
                  " version='1.0'>", [rand:uniform(1 bsl 31)]).

not_well_formed() ->
    "<stream:error><xml-not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
    "</stream:error>".
