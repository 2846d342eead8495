%% A reader for the TOML that configurations of MongooseIM are written in; dates are left out.
-module(mongooseim_toml).

-export([parse/1]).

-type value() :: string() | boolean() | number() | [value()] | #{[string()] => value()}.

%% The tables in the order of the file, those of an array of tables each on its own:
%% [{["listen", "c2s"], #{["port"] => 5222}}]
-spec parse(binary()) -> {ok, [{[string()], #{[string()] => value()}}]} |
                         {error, {line, pos_integer()} | not_utf8}.
parse(Content) ->
    case unicode:characters_to_list(Content) of
        Text when is_list(Text) ->
            try
                {ok, tables(Text, [], #{}, [])}
            catch
                throw:{unexpected, Rest} ->
                    Read = lists:sublist(Text, length(Text) - length(Rest)),
                    {error, {line, 1 + length([C || C <- Read, C =:= $\n])}}
            end;
        _ ->
            {error, not_utf8}
    end.

tables(Text, Name, Values, Done) ->
    case skip_lines(Text) of
        [] ->
            lists:reverse([{Name, Values} | Done]);
        "[[" ++ Rest ->
            {NewName, AfterName} = key(Rest),
            tables(end_of_line(expect("]]", AfterName)), NewName, #{}, [{Name, Values} | Done]);
        "[" ++ Rest ->
            {NewName, AfterName} = key(Rest),
            tables(end_of_line(expect("]", AfterName)), NewName, #{}, [{Name, Values} | Done]);
        Rest ->
            {NewValues, AfterPair} = pair(Rest, Values),
            tables(end_of_line(AfterPair), Name, NewValues, Done)
    end.

pair(Text, Values) ->
    {Key, AfterKey} = key(Text),
    not is_map_key(Key, Values) orelse throw({unexpected, Text}),
    {Value, Rest} = value(skip_blanks(expect("=", AfterKey))),
    {Values#{Key => Value}, Rest}.

key(Text) ->
    {Part, Rest} = key_part(skip_blanks(Text)),
    case skip_blanks(Rest) of
        "." ++ More ->
            {Parts, AfterParts} = key(More),
            {[Part | Parts], AfterParts};
        AfterPart ->
            {[Part], AfterPart}
    end.

key_part([Quote | Rest]) when Quote =:= $"; Quote =:= $' ->
    quoted([Quote], Rest, []);
key_part(Text) ->
    token("^[A-Za-z0-9_-]+", fun(Part) -> Part end, Text).

value("\"\"\"" ++ Rest) -> quoted("\"\"\"", Rest, []);
value("'''" ++ Rest) -> quoted("'''", Rest, []);
value("\"" ++ Rest) -> quoted("\"", Rest, []);
value("'" ++ Rest) -> quoted("'", Rest, []);
value("[" ++ Rest) -> array(skip_lines(Rest), []);
value("{" ++ Rest) -> inline_table(skip_blanks(Rest), #{});
value("true" ++ Rest) -> {true, Rest};
value("false" ++ Rest) -> {false, Rest};
value(Text) -> token("^[-+]?[0-9][0-9_]*(\\.[0-9]+)?([eE][-+]?[0-9]+)?", fun number/1, Text).

%% Escapes are kept as they are written: nothing here needs their meaning.
quoted(Quote, Text, Seen) ->
    case {lists:prefix(Quote, Text), Text} of
        {true, _} -> {lists:reverse(Seen), lists:nthtail(length(Quote), Text)};
        {false, [$\\, C | Rest]} when hd(Quote) =:= $" -> quoted(Quote, Rest, [C, $\\ | Seen]);
        {false, [C | Rest]} when C =/= $\n; length(Quote) =:= 3 -> quoted(Quote, Rest, [C | Seen]);
        _ -> throw({unexpected, Text})
    end.

array("]" ++ Rest, Seen) ->
    {lists:reverse(Seen), Rest};
array(Text, Seen) ->
    {Value, AfterValue} = value(Text),
    case skip_lines(AfterValue) of
        "," ++ Rest -> array(skip_lines(Rest), [Value | Seen]);
        Rest -> {lists:reverse([Value | Seen]), expect("]", Rest)}
    end.

inline_table("}" ++ Rest, Values) ->
    {Values, Rest};
inline_table(Text, Values) ->
    {NewValues, AfterPair} = pair(Text, Values),
    case skip_blanks(AfterPair) of
        "," ++ Rest -> inline_table(skip_blanks(Rest), NewValues);
        Rest -> {NewValues, expect("}", Rest)}
    end.

number(Text) ->
    Digits = [C || C <- Text, C =/= $_],
    try list_to_integer(Digits)
    catch error:badarg -> list_to_float(Digits)
    end.

token(Pattern, Convert, Text) ->
    case re:run(Text, Pattern, [unicode, {capture, first, list}]) of
        {match, [Token]} ->
            try {Convert(Token), lists:nthtail(length(Token), Text)}
            catch error:badarg -> throw({unexpected, Text})
            end;
        nomatch ->
            throw({unexpected, Text})
    end.

expect(Wanted, Text) ->
    case lists:prefix(Wanted, Text) of
        true -> lists:nthtail(length(Wanted), Text);
        false -> throw({unexpected, Text})
    end.

end_of_line(Text) ->
    case skip_comment(skip_blanks(Text)) of
        [] -> [];
        "\r\n" ++ Rest -> Rest;
        "\n" ++ Rest -> Rest;
        Rest -> throw({unexpected, Rest})
    end.

skip_lines([C | Rest]) when C =:= $\s; C =:= $\t; C =:= $\r; C =:= $\n -> skip_lines(Rest);
skip_lines([$# | _] = Text) -> skip_lines(skip_comment(Text));
skip_lines(Text) -> Text.

skip_blanks([C | Rest]) when C =:= $\s; C =:= $\t -> skip_blanks(Rest);
skip_blanks(Text) -> Text.

skip_comment([$# | Rest]) -> lists:dropwhile(fun(C) -> C =/= $\n end, Rest);
skip_comment(Text) -> Text.
