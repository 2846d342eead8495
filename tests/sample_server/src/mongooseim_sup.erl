-module(mongooseim_sup).
-behaviour(supervisor).

-export([start_link/1, init/1]).

start_link(Ports) ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, Ports).

init(Ports) ->
    Helper = #{id => helper, start => {mongooseim_helper, start_link, []}},
    Listeners = [#{id => {c2s, Port}, start => {mongooseim_c2s, start_link, [Port]}}
                 || Port <- Ports],
    {ok, {#{strategy => one_for_one}, [Helper | Listeners]}}.
