%% The server's life: configuration, Mnesia, listeners; and the files that tell others about it.
-module(mongooseim_app).
-behaviour(application).

-export([start/2, stop/1]).

-include_lib("kernel/include/logger.hrl").

start(_Type, _Args) ->
    publish("EJABBERD_PID_PATH", [os:getpid(), "\n"]),
    publish("EJABBERD_STATUS_PATH", "starting"),
    case mongooseim_config:c2s_ports() of
        {ok, Ports} ->
            {ok, Delay} = application:get_env(mongooseim, boot_delay_ms),
            timer:sleep(Delay),
            ok = mongooseim_store:start(),
            start_listeners(Ports);
        {error, Text} ->
            give_up(Text)
    end.

stop(_State) ->
    publish("EJABBERD_STATUS_PATH", "stopped"),
    withdraw("EJABBERD_PID_PATH").

start_listeners(Ports) ->
    case mongooseim_sup:start_link(Ports) of
        {ok, Supervisor} ->
            publish("EJABBERD_STATUS_PATH", "started"),
            ?LOG_NOTICE("what=mongooseim_started node=~ts ports=~0p", [node(), Ports]),
            {ok, Supervisor};
        {error, Reason} ->
            give_up(io_lib:format("what=listener_failed reason=~0p", [Reason]))
    end.

%% The VM ends at once when start/2 fails: what was logged must be on the disk by then.
give_up(Text) ->
    ?LOG_ERROR("~ts", [Text]),
    [logger_std_h:filesync(Handler) || Handler <- logger:get_handler_ids()],
    {error, lists:flatten(Text)}.

publish(Variable, Content) ->
    case os:getenv(Variable) of
        false ->
            ok;
        Path ->
            case file:write_file(Path, Content) of
                ok -> ok;
                {error, Reason} -> ?LOG_WARNING("what=not_written path=~ts reason=~p", [Path, Reason])
            end
    end.

withdraw(Variable) ->
    case os:getenv(Variable) of
        false -> ok;
        Path -> file:delete(Path)
    end.
