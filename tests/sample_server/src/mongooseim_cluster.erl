%% Joining and leaving a cluster, on the running VM. Each function is called through RPC by
%% mongooseimctl and answers ok or {error, Text}.
-module(mongooseim_cluster).

-export([join/1, leave/0, remove/1]).

-include_lib("kernel/include/logger.hrl").

-define(PINGS, 6).
-define(PING_INTERVAL_MS, 100).

join(Member) ->
    exclusively(
      fun() ->
              lists:member(Member, db_nodes()) andalso
                  fail("The MongooseIM node ~ts has already joined the cluster.", [Member]),
              ?LOG_NOTICE("what=cluster_join member=~ts", [Member]),
              with_server_stopped(fun() -> replace_data_by_copy(Member) end)
      end).

leave() ->
    exclusively(
      fun() ->
              Others = db_nodes() -- [node()],
              Others =:= [] andalso
                  fail("The MongooseIM node ~ts is not in a cluster.", [node()]),
              ?LOG_NOTICE("what=cluster_leave members=~0p", [Others]),
              with_server_stopped(fun() -> leave(Others) end)
      end).

remove(Member) ->
    exclusively(
      fun() ->
              lists:member(Member, db_nodes()) orelse
                  fail("The MongooseIM node ~ts is not in the cluster.", [Member]),
              answers(Member) andalso
                  fail("The MongooseIM node ~ts is alive, it must be stopped first.", [Member]),
              expect_atomic(mnesia:del_table_copy(schema, Member))
      end).

%% One operation at a time on this node; other nodes are not asked.
exclusively(Operation) ->
    %% The caller's output belongs to mongooseimctl, what is logged belongs here.
    group_leader(whereis(user), self()),
    global:trans({?MODULE, self()},
                 fun() ->
                         try Operation() of
                             Result -> Result
                         catch
                             throw:{failed, Text} -> {error, Text}
                         end
                 end,
                 [node()]).

%% The server is started again whatever happens meanwhile.
with_server_stopped(Operation) ->
    WasRunning = lists:keymember(mongooseim, 1, application:which_applications()),
    _ = application:stop(mongooseim),
    try
        Operation()
    after
        WasRunning andalso application:start(mongooseim)
    end.

replace_data_by_copy(Member) ->
    answers(Member) orelse
        fail("Timeout while attempting to connect to a MongooseIM node ~ts", [Member]),
    empty_mnesia(),
    case mnesia:change_config(extra_db_nodes, [Member]) of
        {ok, [Member]} -> ok;
        Refused -> fail("Mnesia cannot connect to ~ts: ~0p", [Member, Refused])
    end,
    expect_atomic(mnesia:change_table_copy_type(schema, node(), disc_copies)),
    [copy_table(Table, Member) || Table <- mnesia:system_info(tables), Table =/= schema],
    ok.

copy_table(Table, Member) ->
    case rpc:call(Member, mnesia, table_info, [Table, storage_type]) of
        {badrpc, Reason} -> fail("No copy of table ~ts from ~ts: ~0p", [Table, Member, Reason]);
        Type -> expect_atomic(mnesia:add_table_copy(Table, node(), Type))
    end.

leave(Others) ->
    stopped = mnesia:stop(),
    %% As in MongooseIM, what the others answer is not looked at.
    {_, Down} = rpc:multicall(Others, mnesia, del_table_copy, [schema, node()]),
    Down =:= [] orelse fail("Cannot leave, these members are down: ~0p", [Down]),
    empty_mnesia().

empty_mnesia() ->
    stopped = mnesia:stop(),
    Folder = mnesia:system_info(directory),
    [remove_file(filename:join(Folder, Name)) || Name <- names_in(Folder)],
    ok = mongooseim_store:start_mnesia().

names_in(Folder) ->
    case file:list_dir(Folder) of
        {ok, Names} -> Names;
        {error, enoent} -> []
    end.

remove_file(Path) ->
    case file:del_dir_r(Path) of
        ok -> ok;
        {error, Reason} -> fail("Cannot remove ~ts: ~p", [Path, Reason])
    end.

db_nodes() ->
    mnesia:system_info(db_nodes).

answers(Node) ->
    answers(Node, ?PINGS).

answers(_Node, 0) ->
    false;
answers(Node, Pings) ->
    case ping(Node) of
        pong ->
            true;
        pang ->
            timer:sleep(?PING_INTERVAL_MS),
            answers(Node, Pings - 1)
    end.

%% MongooseIM asks for the address of a name that does not resolve again and again, until the
%% time for setting up a connection (7 s) is over. Erlang alone would give up at once.
ping(Node) ->
    case net_adm:ping(Node) of
        pang ->
            resolves(Node) orelse timer:sleep(net_kernel_setup_ms()),
            pang;
        pong ->
            pong
    end.

resolves(Node) ->
    [_, Host] = string:split(atom_to_list(Node), "@"),
    lists:any(fun(Family) -> element(1, inet:getaddr(Host, Family)) =:= ok end, [inet, inet6]).

net_kernel_setup_ms() ->
    1000 * application:get_env(kernel, net_setuptime, 7).

expect_atomic({atomic, ok}) -> ok;
expect_atomic({aborted, Reason}) when element(1, Reason) =:= already_exists -> ok;
expect_atomic({aborted, Reason}) -> fail("Mnesia refused: ~0p", [Reason]).

-spec fail(string(), [term()]) -> no_return().
fail(Format, Args) ->
    throw({failed, lists:flatten(io_lib:format(Format, Args))}).
