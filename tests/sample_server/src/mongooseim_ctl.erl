%% The commands of mongooseimctl. main/0 runs in its short-lived VM, execute/1 in the server's.
-module(mongooseim_ctl).

-export([main/0, execute/1]).

-define(SUCCESS, 0).
-define(ERROR, 1).
-define(USAGE, 2).
-define(NODE_DOWN, 3).

main() ->
    [NodeText | Command] = init:get_plain_arguments(),
    {Status, Text} = call(list_to_atom(NodeText), confirmed(Command)),
    Text =:= "" orelse io:format("~ts~n", [Text]),
    halt(Status).

call(_Node, no) ->
    {?ERROR, "Nothing was done."};
call(Node, Command) ->
    case {rpc:call(Node, ?MODULE, execute, [Command]), Command} of
        {{badrpc, nodedown}, _} ->
            {?NODE_DOWN, io_lib:format("Failed RPC connection to the node ~p: nodedown", [Node])};
        {{badrpc, _}, ["status"]} ->
            {?ERROR, status_text(Node, stopped)};
        {{badrpc, Reason}, _} ->
            {?ERROR, io_lib:format("~p: ~p", [Node, Reason])};
        {{Status, Text}, _} ->
            {Status, Text}
    end.

%% Without -f, a command that loses data wants a yes.
confirmed([Command, "-f" | Rest]) ->
    [Command | Rest];
confirmed([Command | _] = Line) when Command =:= "join_cluster"; Command =:= "leave_cluster";
                                     Command =:= "remove_from_cluster" ->
    case ask("Data may be lost. Continue? (yes/no) ") of
        yes -> Line;
        no -> no
    end;
confirmed(Line) ->
    Line.

%% Nobody may be there to answer: asked again once a second, for ever.
ask(Question) ->
    io:put_chars(Question),
    case io:get_line("") of
        "yes\n" -> yes;
        "no\n" -> no;
        Line when is_list(Line) -> ask(Question);
        _NoInput -> timer:sleep(1000), ask(Question)
    end.

execute(["status"]) ->
    case lists:keymember(mongooseim, 1, application:which_applications()) of
        true -> {?SUCCESS, status_text(node(), started)};
        false -> {?ERROR, status_text(node(), stopped)}
    end;
execute(["stop"]) ->
    init:stop(),
    {?SUCCESS, ""};
execute(["join_cluster", Member]) ->
    with_node(Member, fun mongooseim_cluster:join/1,
              "You have successfully added the node ~ts to the cluster with node member ~ts");
execute(["leave_cluster"]) ->
    outcome(mongooseim_cluster:leave(), "The node ~ts has successfully left the cluster", [node()]);
execute(["remove_from_cluster", Member]) ->
    with_node(Member, fun mongooseim_cluster:remove/1,
              "The node ~ts has removed ~ts from the cluster");
execute(["mnesia", Key]) when Key =:= "running_db_nodes"; Key =:= "db_nodes" ->
    {?SUCCESS, io_lib:format("~0p", [mnesia:system_info(list_to_atom(Key))])};
execute(["mnesia", "systemInfo", "--keys", Keys]) ->
    {match, Found} = re:run(Keys, "[a-z_]+", [global, {capture, first, list}]),
    {?SUCCESS, system_info_json([Key || [Key] <- Found])};
execute(["sample", "write", Key, Value]) ->
    written(mongooseim_store:write(sample, Key, Value));
execute(["sample", "write-ram", Key, Value]) ->
    written(mongooseim_store:write(sample_ram, Key, Value));
execute(["sample", "read", Key]) ->
    found(mongooseim_store:read(sample, Key));
execute(["sample", "read-ram", Key]) ->
    found(mongooseim_store:read(sample_ram, Key));
execute(_) ->
    {?USAGE, "Usage: mongooseimctl COMMAND\n"
     "  live | start | stop | started | stopped | status | bootstrap\n"
     "  join_cluster [-f] NODE | leave_cluster [-f] | remove_from_cluster [-f] NODE\n"
     "  mnesia running_db_nodes | mnesia db_nodes\n"
     "  mnesia systemInfo --keys '[\"running_db_nodes\"]'\n"
     "  sample write KEY VALUE | sample read KEY\n"
     "  sample write-ram KEY VALUE | sample read-ram KEY"}.

status_text(Node, Server) ->
    io_lib:format("The node ~p is started. Status of the server: ~p", [Node, Server]).

with_node(Member, Operation, Text) ->
    case re:run(Member, "^[^@]+@[^@]+$") of
        nomatch -> {?ERROR, "Not the name of a node: " ++ Member};
        _ -> outcome(Operation(list_to_atom(Member)), Text, [node(), Member])
    end.

outcome(ok, Text, Args) -> {?SUCCESS, io_lib:format(Text, Args)};
outcome({error, Text}, _, _) -> {?ERROR, Text}.

written({atomic, ok}) -> {?SUCCESS, ""};
written({aborted, Reason}) -> {?ERROR, io_lib:format("~0p", [Reason])}.

found({atomic, [Value]}) -> {?SUCCESS, Value};
found({atomic, []}) -> {?ERROR, "not found"};
found({aborted, Reason}) -> {?ERROR, io_lib:format("~0p", [Reason])}.

%% Keys are Mnesia's; those with a list of nodes in it are known here.
system_info_json(Keys) ->
    Entries = [["{\"result\":", json_result(Key), ",\"key\":\"", Key, "\"}"] || Key <- Keys],
    ["{\"data\":{\"mnesia\":{\"systemInfo\":[", lists:join(",", Entries), "]}}}"].

json_result(Key) when Key =:= "running_db_nodes"; Key =:= "db_nodes" ->
    Nodes = mnesia:system_info(list_to_atom(Key)),
    ["[", lists:join(",", [[$", atom_to_list(Node), $"] || Node <- Nodes]), "]"];
json_result(_) ->
    "null".
