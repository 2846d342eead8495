%% Which ports to listen on, from mongooseim.toml or mongooseim.cfg.
-module(mongooseim_config).

-export([c2s_ports/0]).

-spec c2s_ports() -> {ok, [inet:port_number()]} | {error, iodata()}.
c2s_ports() ->
    Path = os:getenv("EJABBERD_CONFIG_PATH", "etc/mongooseim.toml"),
    {Read, Text} = case filename:extension(Path) of
                       ".cfg" -> {fun cfg_ports/1, "Could not read the configuration file"};
                       _ -> {fun toml_ports/1, "Could not read the TOML configuration file"}
                   end,
    case Read(Path) of
        {ok, Ports} ->
            case [Port || Port <- Ports, not is_port_number(Port)] of
                [] -> {ok, lists:usort(Ports)};
                Wrong -> {error, failure(Text, Path, {not_a_port, Wrong})}
            end;
        {error, Reason} ->
            {error, failure(Text, Path, Reason)}
    end.

toml_ports(Path) ->
    case file:read_file(Path) of
        {ok, Content} ->
            case mongooseim_toml:parse(Content) of
                {ok, Tables} ->
                    {ok, [maps:get(["port"], Values, missing)
                          || {["listen", "c2s"], Values} <- Tables]};
                {error, Reason} ->
                    {error, Reason}
            end;
        {error, Reason} ->
            {error, Reason}
    end.

%% {listen, [{5222, ejabberd_c2s, Options}, {{5223, "10.0.0.1"}, ejabberd_c2s, Options}]}.
cfg_ports(Path) ->
    case file:consult(Path) of
        {ok, Terms} ->
            {ok, [if is_tuple(Port) -> element(1, Port); true -> Port end
                  || {listen, Listeners} <- Terms, {Port, ejabberd_c2s, _} <- Listeners]};
        {error, Reason} when is_tuple(Reason) ->
            {error, file:format_error(Reason)};
        {error, Reason} ->
            {error, Reason}
    end.

is_port_number(Port) ->
    is_integer(Port) andalso Port > 0 andalso Port < 65536.

failure(Text, Path, Reason) ->
    io_lib:format("~ts: path=~ts reason=~0tp", [Text, Path, Reason]).
