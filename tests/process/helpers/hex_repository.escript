#!/usr/bin/env escript
%% Makes a repository of Hex packages: hex_repository.escript MODULES FOLDER SOURCES...
%% MODULES are those of rebar3, SOURCES folders called NAME-VERSION. The public key is printed.
main([Modules, Folder | Sources]) ->
    true = code:add_pathz(Modules),
    {ok, _} = application:ensure_all_started(public_key),
    Key = public_key:generate_key({rsa, 2048, 65537}),
    Private = pem('RSAPrivateKey', Key),
    Public = pem('SubjectPublicKeyInfo', {'RSAPublicKey', element(3, Key), element(4, Key)}),
    lists:foreach(fun(Source) -> package(Folder, Source, Private) end, Sources),
    io:put_chars(Public).

package(Folder, Source, Private) ->
    [Name, Version] = string:split(list_to_binary(filename:basename(Source)), "-"),
    Names = filelib:wildcard("**", Source),
    Files = [{File, filename:join(Source, File)}
             || File <- Names, filelib:is_regular(filename:join(Source, File))],
    Metadata = #{<<"name">> => Name, <<"version">> => Version, <<"app">> => Name,
                 <<"description">> => <<"for tests">>, <<"licenses">> => [<<"Apache-2.0">>],
                 <<"build_tools">> => [<<"rebar3">>], <<"requirements">> => #{},
                 <<"files">> => [list_to_binary(File) || {File, _} <- Files]},
    {ok, #{tarball := Tarball, outer_checksum := Outer, inner_checksum := Inner}} =
        r3_hex_tarball:create(Metadata, Files),
    Release = #{version => Version, inner_checksum => Inner, outer_checksum => Outer,
                dependencies => []},
    Package = #{repository => <<"hexpm">>, name => Name, releases => [Release]},
    Signed = r3_hex_registry:sign_protobuf(r3_hex_registry:encode_package(Package), Private),
    write([Folder, "packages", Name], zlib:gzip(Signed)),
    write([Folder, "tarballs", <<Name/binary, "-", Version/binary, ".tar">>], Tarball).

write(Parts, Data) ->
    Path = filename:join(Parts),
    ok = filelib:ensure_dir(Path),
    ok = file:write_file(Path, Data).

pem(Type, Record) ->
    public_key:pem_encode([public_key:pem_entry_encode(Type, Record)]).
