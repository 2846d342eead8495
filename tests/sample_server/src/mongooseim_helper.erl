%% Keeps one external program running, as servers do (os_mon, password checkers): whoever
%% supervises the VM meets a port program, which lives in a session of its own.
-module(mongooseim_helper).
-behaviour(gen_server).

-export([start_link/0, init/1, handle_call/3, handle_cast/2, handle_info/2]).

start_link() ->
    gen_server:start_link(?MODULE, [], []).

%% cat ends when the VM closes its standard input, however the VM ends.
init([]) ->
    {ok, open_port({spawn_executable, os:find_executable("cat")}, [exit_status])}.

handle_call(_Request, _From, Port) ->
    {reply, ok, Port}.

handle_cast(_Request, Port) ->
    {noreply, Port}.

handle_info({Port, {exit_status, Status}}, Port) ->
    {stop, {helper_ended, Status}, Port};
handle_info(_Message, Port) ->
    {noreply, Port}.
