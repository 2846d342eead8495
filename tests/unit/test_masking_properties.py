"""No secret is shown, wherever in a file it stands and whatever else is in the file."""

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from masking_secrets import SECRETS
from masking_visible import VISIBLE

from member_entrypoint.release.masking import mask
from member_entrypoint.release.masking_names import is_sensitive
from member_entrypoint.release.masking_text import SearchedText

FILES = ["mongooseim.toml", "mongooseim.cfg", "app.config", "vm.args", "x.conf", "x.yaml"]
NAMES = ["password", "DB_PASSWORD", "clientSecret", "api-key", "auth_token", "cookie", "x_PassWd"]
KNOWN_BY_STRUCTURE = (
    "-coo",
    r"p\u0061ssword",
    "-set\\cookie",
    "shared",
    "- name: ",
    "AKIA",
    "pin = ",
)
NOT_IN_VM_ARGS = {text for file, text, _ in SECRETS if file != "vm.args"}
FORMS = [
    text
    for file, text, _ in SECRETS
    if file in FILES and not any(part in text for part in KNOWN_BY_STRUCTURE)
]
GARBAGE = [
    '"',
    "'",
    '"""',
    "'''",
    "[",
    "]",
    "{",
    "}",
    "<<",
    "isn't",
    "x = ",
    "x: |",
    "-x",
    "%",
    "#",
]
MORE_GARBAGE = ["[x]", "{x, 1}.", "\\", "password", "secret = [", "token: ***", "  a = 1", "", "."]

cores = st.text("abcdefghijkXYZ0123456789", min_size=6, max_size=30).map("Zq{}".format)
noise = st.text(" \"'\\[]{}<>=,;:#%$@/.-*x", max_size=4)
names = st.sampled_from(NAMES)
indents = st.sampled_from(["", "  ", "\t"])


def quoted(text: str) -> str:
    """Return a string as TOML, Erlang and JSON have it."""
    return json.dumps(text)


@st.composite
def toml_statements(draw: st.DrawFn, number: int, secret: str) -> str:
    """Make a statement with a secret in it; `number` makes its keys unique."""
    name = f"{draw(names)}{number}"
    space = draw(st.sampled_from(["", " ", "\t "]))
    value = draw(
        st.sampled_from(
            [
                quoted(secret),
                f'"""{quoted(secret)[1:-1]}\n\n"""',
                f"[{quoted(secret)}, {quoted(secret)}]",
                f"[\n  1, # x\n  [{quoted(secret)}],\n]",
                f"{{x = {quoted(secret)}, y = true}}",
                f"{{x.y = [{quoted(secret)}]}}",
            ]
        )
    )
    key = draw(st.sampled_from([name, f'"{name}"', f"'{name}'", f"x{number}.{name}.y"]))
    pair = f"{key}{space}={space}{value}"
    return draw(
        st.sampled_from(
            [
                f"{draw(indents)}{pair}",
                f"y{number} = {{x = 1, {pair}}}",
                f"y{number} = [1, {{{pair}}}]",
                f"[x{number}.{name}]\n{draw(indents)}x = {value}",
                f"[[{name}]]\n[{name}.y]\nx.y = {value}",
                f"# {pair}".replace("\n", "\n#"),
                f"y{number} = {quoted(f'{name}={secret}')}",
            ]
        )
    )


@given(st.data(), cores, st.lists(st.sampled_from(VISIBLE), max_size=3))
def test_no_secret_of_toml_is_shown(
    data: st.DataObject, core: str, others: list[tuple[str, str]]
) -> None:
    """In any table, array, string or comment; tables that are declared twice make it broken."""
    parts = [text for file, text in others if file.endswith(".toml")]
    for number in range(data.draw(st.integers(1, 4))):
        secret = data.draw(noise) + core + data.draw(noise)
        parts.append(data.draw(toml_statements(number, secret)))
    assert_hidden("\n".join(data.draw(st.permutations(parts))), "mongooseim.toml", core)


@st.composite
def erlang_terms(draw: st.DrawFn, secret: str) -> str:
    """Make a term with a secret in it."""
    name = draw(names)
    key = draw(st.sampled_from([f"'{name}'", f'"{name}"', f'<<"{name}">>', name.lower()]))
    key = key.replace("-", "_")
    text = quoted(secret)
    value = draw(
        st.sampled_from(
            [text, f"<<{text}>>", f"[{text}, $x]", f"[{{x, {text}}}]", f"#{{x => {text}}}"]
        )
    )
    gap = draw(st.sampled_from(["", " ", "\n  ", " % isn't\n", "\n%% password: x\n"]))
    term = draw(
        st.sampled_from(
            [
                f"{{{gap}{key}{gap},{gap}{value}{gap}}}",
                f"#{{x => 1, {key}{gap} =>{gap} {value}}}",
                f"{{x, {key},{gap}y, {value}}}",
                f'{{pgsql, "h",{gap}"d", "u",{gap}{text}}}',
                quoted(f"PWD={secret}"),
            ]
        )
    )
    for _ in range(draw(st.integers(0, 3))):
        term = draw(
            st.sampled_from([f"{{x, {term}}}", f"[1,{gap}{term}]", f"#{{x => {term}, y => 1}}"])
        )
    if "%" in gap:
        return f"{term}."
    return draw(st.sampled_from([f"{term}.", "%" + f"{term},".replace("\n", "\n%")]))


@given(st.data(), cores, st.lists(st.sampled_from(VISIBLE), max_size=3))
def test_no_secret_of_erlang_is_shown(
    data: st.DataObject, core: str, others: list[tuple[str, str]]
) -> None:
    """In any tuple, list, map, string or comment, with comments in between."""
    parts = [text for file, text in others if file.endswith((".cfg", ".config"))]
    for _ in range(data.draw(st.integers(1, 3))):
        secret = data.draw(noise) + core + data.draw(noise)
        parts.append(data.draw(erlang_terms(secret)))
    assert_hidden("\n".join(data.draw(st.permutations(parts))), "mongooseim.cfg", core)


@given(st.data(), cores)
def test_no_secret_of_vm_args_is_shown(data: st.DataObject, core: str) -> None:
    """Whatever the flag, the quotes and the lines between it and the secret."""
    parts = ["-sname a@b", "+K true", "# isn't it"]
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(names)
        value = data.draw(
            st.sampled_from([core, f'"{core} {core}"', f"'{core}'", f"{core}\\ {core}"])
        )
        space = data.draw(st.sampled_from([" ", "\t", "\n  ", "\n# x\n"]))
        parts.append(
            data.draw(
                st.sampled_from(
                    [
                        f"-{name}{space}{value}",
                        f"-x {name}{space}{value}",
                        f"-x y {name}{space}z{space}{value}",
                        f"-x --y {name}={value}",
                        f"-x '{{{name},{space}{core}}}'",
                        f"-env {name} {value}",
                        f'"-{name}"{space}{value}',
                        f"# -{name} {value}",
                    ]
                )
            )
        )
    assert_hidden("\n".join(data.draw(st.permutations(parts))), "vm.args", core)


@given(
    st.lists(st.sampled_from([*FORMS, *FORMS, *GARBAGE, *MORE_GARBAGE]), min_size=1, max_size=8),
    st.sampled_from(FILES),
    cores,
)
def test_no_secret_of_a_broken_file_is_shown(parts: list[str], file: str, core: str) -> None:
    """Whatever the file is called, and whatever is open when the secret's line begins."""
    if file == "vm.args":
        # Pairs and terms with blanks in them are many words there.
        parts = [part for part in parts if part not in NOT_IN_VM_ARGS]
    assert_hidden("\n".join(parts).replace("S3CRET", core), file, core)


@given(
    st.lists(st.sampled_from([*FORMS, *GARBAGE, *MORE_GARBAGE]) | st.text(max_size=5), max_size=8),
    st.sampled_from(FILES),
    st.sampled_from(["", " ", "\n"]),
)
def test_masking_once_more_changes_nothing(parts: list[str], file: str, between: str) -> None:
    """Of any text, with as many lines as before."""
    text = between.join(parts)
    shown = mask(text, file)
    assert shown == mask(shown, file)
    assert text.count("\n") == shown.count("\n")


@given(
    st.sampled_from(SECRETS),
    st.lists(st.sampled_from(["", "_", "-", ".", "__"]), min_size=1, max_size=20),
    st.sampled_from([str.lower, str.upper]),
)
def test_each_sensitive_name_is_a_place_to_look_at(
    secret: tuple[str, str, str], separators: list[str], case: Callable[[str], str]
) -> None:
    """Also one with separators between its letters: no line with one is passed over."""
    name = "".join(
        char + separators[number % len(separators)] for number, char in enumerate(secret[2])
    )
    name = case(name)
    is_name = all(char.isalnum() or char in "_-." for char in name)
    assert SearchedText(name).has_place(0, len(name)) or not (is_name and is_sensitive(name))


def assert_hidden(text: str, file: str, secret: str) -> None:
    """Assert that a secret is not shown."""
    shown = mask(text, file)
    assert secret not in shown
    assert shown == mask(shown, file)
