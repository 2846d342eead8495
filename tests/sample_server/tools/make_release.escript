#!/usr/bin/env escript
%%! -noinput
%% Compiles src/ and lays out a relocatable release, its own ERTS included.
%% Usage: escript tools/make_release.escript TARGET_FOLDER
-mode(compile).

-define(NAME, "mongooseim").

main([Target]) ->
    {ok, [{application, _, AppKeys}]} = file:consult("src/mongooseim.app.src"),
    Vsn = proplists:get_value(vsn, AppKeys),
    Erts = erlang:system_info(version),
    _ = file:del_dir_r(Target),
    compile_server(filename:join([Target, "lib", ?NAME ++ "-" ++ Vsn, "ebin"]), AppKeys),
    %% escript compiles the scripts that it runs.
    %% ssl is there for a distribution that uses TLS; a real server always has it.
    Wanted = [kernel, stdlib, compiler, mnesia] ++ optional([crypto, asn1, public_key, ssl]),
    Apps = [{App, app_vsn(App)} || App <- Wanted],
    [copy_app(App, V, Target) || {App, V} <- Apps],
    copy_erts(Target, Erts),
    make_boot_scripts(Target, Vsn, Erts, Apps),
    copy_tree("rel/bin", filename:join(Target, "bin")),
    copy_tree("rel/etc", filename:join(Target, "etc")),
    copy_tree("rel/scripts", filename:join(Target, "scripts")),
    copy_tree("rel/erts", filename:join([Target, "erts-" ++ Erts, "bin"])),
    [ok = filelib:ensure_dir(filename:join([Target, Dir, "x"])) || Dir <- ["log", "var/lock/ctl"]],
    io:format("~ts ~ts with ERTS ~ts is in ~ts~n", [?NAME, Vsn, Erts, Target]);
main(_) ->
    io:format(standard_error, "usage: make_release.escript TARGET_FOLDER~n", []),
    halt(1).

compile_server(Ebin, AppKeys) ->
    ok = filelib:ensure_dir(filename:join(Ebin, "x")),
    Modules = [compile_module(File, Ebin) || File <- filelib:wildcard("src/*.erl")],
    App = {application, mongooseim, lists:keystore(modules, 1, AppKeys, {modules, Modules})},
    write_term(filename:join(Ebin, "mongooseim.app"), App).

compile_module(File, Ebin) ->
    Options = [report, deterministic, debug_info, {outdir, Ebin}],
    case compile:file(File, Options) of
        {ok, Module} -> Module;
        error -> halt(1)
    end.

optional(Apps) ->
    [App || App <- Apps, code:lib_dir(App) =/= {error, bad_name}].

app_vsn(App) ->
    case application:load(App) of
        ok -> ok;
        {error, {already_loaded, App}} -> ok;
        {error, _} -> fail("Erlang/OTP here has no application ~s", [App])
    end,
    {ok, Vsn} = application:get_key(App, vsn),
    Vsn.

copy_app(App, Vsn, Target) ->
    To = filename:join([Target, "lib", atom_to_list(App) ++ "-" ++ Vsn]),
    [copy_tree(filename:join(code:lib_dir(App), Dir), filename:join(To, Dir))
     || Dir <- ["ebin", "priv"], filelib:is_dir(filename:join(code:lib_dir(App), Dir))].

copy_erts(Target, Erts) ->
    To = filename:join([Target, "erts-" ++ Erts, "bin"]),
    Root = code:root_dir(),
    Places = [filename:join([Root, "erts-" ++ Erts, "bin"]), filename:join(Root, "bin")],
    Programs = ["beam.smp", "dyn_erl", "epmd", "erl_call", "erl_child_setup", "erlc", "erlexec",
                "escript", "heart", "inet_gethost", "run_erl", "to_erl"],
    ok = filelib:ensure_dir(filename:join(To, "x")),
    [copy_file(From, filename:join(To, Program))
     || Program <- Programs, From <- first_existing(Places, Program)].

first_existing(Folders, Name) ->
    lists:sublist([F || Folder <- Folders, F <- [filename:join(Folder, Name)],
                        filelib:is_regular(F)], 1).

%% bin/*.boot are what `erl` and `escript` look for when no -boot is given.
make_boot_scripts(Target, Vsn, Erts, Apps) ->
    Bin = filename:join(Target, "bin"),
    Basic = [A || {App, _} = A <- Apps, App =:= kernel orelse App =:= stdlib],
    Loaded = [{App, V, load} || {App, V} <- Apps -- Basic],
    boot_script(Target, Bin, "start_clean", Vsn, Erts, Basic, []),
    boot_script(Target, Bin, "no_dot_erlang", Vsn, Erts, Basic, [no_dot_erlang]),
    copy_file(filename:join(Bin, "start_clean.boot"), filename:join(Bin, "start.boot")),
    boot_script(Target, filename:join([Target, "releases", Vsn]), ?NAME, Vsn, Erts,
                Basic ++ Loaded ++ [{mongooseim, Vsn}], []),
    ok = file:write_file(filename:join([Target, "releases", "start_erl.data"]),
                         [Erts, " ", Vsn, "\n"]).

boot_script(Target, Folder, Name, Vsn, Erts, Apps, Options) ->
    Rel = filename:join(Folder, Name),
    write_term(Rel ++ ".rel", {release, {Name, Vsn}, {erts, Erts}, Apps}),
    Path = filelib:wildcard(filename:absname(filename:join([Target, "lib", "*", "ebin"]))),
    case systools:make_script(Rel, [{path, Path}, {outdir, Folder}, silent, no_warn_sasl
                                    | Options]) of
        {ok, _, []} -> ok;
        Other -> fail("~ts: ~p", [Rel, Other])
    end.

write_term(File, Term) ->
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, io_lib:format("~tp.~n", [Term])).

%% Links are followed: a release stands on its own.
copy_tree(From, To) ->
    case filelib:is_dir(From) of
        true ->
            {ok, Names} = file:list_dir(From),
            [copy_tree(filename:join(From, Name), filename:join(To, Name)) || Name <- Names];
        false ->
            copy_file(From, To)
    end.

copy_file(From, To) ->
    ok = filelib:ensure_dir(To),
    {ok, _} = file:copy(From, To),
    {ok, Info} = file:read_file_info(From),
    ok = file:change_mode(To, element(8, Info) band 8#777).

fail(Format, Args) ->
    io:format(standard_error, Format ++ "~n", Args),
    halt(1).
