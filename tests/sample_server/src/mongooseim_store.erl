%% Mnesia and the sample tables: one on disk, one in memory.
-module(mongooseim_store).

-export([start/0, start_mnesia/0, write/3, read/2]).

-include_lib("kernel/include/logger.hrl").

-define(TABLES, [{sample, disc_copies}, {sample_ram, ram_copies}]).
-define(PROGRESS_MS, 10000).

start() ->
    ok = start_mnesia(),
    ok = keep_schema_on_disk(),
    [ok = have_copy(Table, Type) || {Table, Type} <- ?TABLES],
    wait_for_tables([Table || {Table, _} <- ?TABLES]).

%% Permanent: a Mnesia that gives up (a peer with another schema) takes the VM with it.
start_mnesia() ->
    case application:start(mnesia, permanent) of
        {error, {already_started, mnesia}} -> ok;
        Result -> Result
    end.

write(Table, Key, Value) ->
    mnesia:transaction(fun() -> mnesia:write({Table, Key, Value}) end).

read(Table, Key) ->
    mnesia:transaction(fun() -> [Value || {_, _, Value} <- mnesia:read(Table, Key)] end).

keep_schema_on_disk() ->
    case mnesia:table_info(schema, storage_type) of
        disc_copies -> ok;
        ram_copies -> done(mnesia:change_table_copy_type(schema, node(), disc_copies))
    end.

%% A table that exists elsewhere is copied, one that exists nowhere is created.
have_copy(Table, Type) ->
    case lists:member(Table, mnesia:system_info(tables)) of
        false ->
            done(mnesia:create_table(Table, [{Type, [node()]}]));
        true ->
            case mnesia:table_info(Table, storage_type) of
                unknown -> done(mnesia:add_table_copy(Table, node(), Type));
                _ -> ok
            end
    end.

done({atomic, ok}) -> ok;
done({aborted, Reason}) when element(1, Reason) =:= already_exists -> ok;
done({aborted, Reason}) -> {error, Reason}.

%% For ever: a member that was not the last to stop may not serve old data.
wait_for_tables(Tables) ->
    case mnesia:wait_for_tables(Tables, ?PROGRESS_MS) of
        {timeout, Missing} ->
            ?LOG_WARNING("what=mnesia_wait_for_tables_progress waiting_for_tables=~0p", [Missing]),
            wait_for_tables(Tables);
        Result ->
            Result
    end.
