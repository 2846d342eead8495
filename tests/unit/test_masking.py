"""What is shown of configuration files has no secret in it, and nearly all else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from masking_secrets import OTHER, SECRETS
from masking_visible import VISIBLE

from member_entrypoint.release import masking
from member_entrypoint.release.masking import LARGEST_SHOWN, mask, show_files

GOLDEN = Path(__file__).resolve().parent / "golden" / "masked.json"
MASKED: list[list[str]] = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "text", "name"), SECRETS)
def test_a_secret_is_hidden_in_every_form(file: str, text: str, name: str) -> None:
    """Its name stays readable, and so does the number of lines."""
    assert "S3CRET" in text
    shown = mask(text, file)
    assert "S3CRET" not in shown
    assert "***" in shown
    assert name in shown
    assert text.count("\n") == shown.count("\n")


@pytest.mark.parametrize(("file", "text", "shown", "elsewhere"), MASKED)
def test_what_is_shown_of_a_secret_changes_only_on_purpose(
    file: str, text: str, shown: str, elsewhere: str
) -> None:
    """Who changes the masking reads the difference that make_masked.py writes."""
    assert mask(text, file) == shown
    assert mask(text, OTHER) == elsewhere


def test_each_secret_has_a_row_of_what_is_shown() -> None:
    """Else make_masked.py was not run after a secret was added."""
    assert [(file, text) for file, text, *_ in MASKED] == [
        (file, text) for file, text, _ in SECRETS
    ]


@pytest.mark.parametrize(("file", "text"), VISIBLE)
def test_what_is_no_secret_is_shown_as_it_is(file: str, text: str) -> None:
    """Who asked to see the files wants to see hosts, ports, paths and what is switched on."""
    assert text == mask(text, file)


@pytest.mark.parametrize(("file", "text"), [(file, text) for file, text, _ in SECRETS])
def test_a_masked_file_masked_once_more_stays_as_it_is(file: str, text: str) -> None:
    """A mask is no secret, and hides nothing after it."""
    assert mask(text, file) == mask(mask(text, file), file)


@pytest.mark.parametrize(
    ("file", "text", "shown"),
    [
        ("x.toml", 'password = "S3CRET" # x', 'password = "***" # x'),
        ("x.toml", 'a = {password = "S3CRET", b = 1}', 'a = {password = "***", b = 1}'),
        ("x.toml", 'keys = [\n "S3",\n "S3"]\nx = 1', 'keys = [\n "***"\n]\nx = 1'),
        ("x.toml", 'secret = """\nS3\n"""\nx = 1', 'secret = """***\n\n"""\nx = 1'),
        ("x.toml", r'"p\u0061ssword" = "S3" # x', r'"p\u0061ssword" = "***" # x'),
        ("x.toml", "secret = 5453\nsecret_used = true", 'secret = "***"\nsecret_used = true'),
        ("x.toml", '#  token = "S3"\n#  x = 1', "#  token = ***\n#  x = 1"),
        ("x.toml", '# token =\n#   "S3"\n# x = 1', "# token = ***\n#   ***\n# x = 1"),
        ("x.toml", 'url = "https://u:S3@h/p"', 'url = "https://***@h/p"'),
        ("x.cfg", '{password, "S3"}.\n{x, 1}.', '{password, "***"}.\n{x, 1}.'),
        ("x.cfg", '{token, "S3"\n  "S3"}.\n{x, 1}.', '{token, "***"\n}.\n{x, 1}.'),
        ("x.cfg", '{password, <<"S3">>}.', '{password, <<"***">>}.'),
        ("x.cfg", "{password, [83, 51, $S]}.", "{password, ['***']}."),
        ("x.cfg", '#{token => "S3", x => 1}.', '#{token => "***", x => 1}.'),
        ("x.cfg", '{pgsql, "h", 1, "d", "u", "S3"}.', '{pgsql, "h", 1, "d", "u", "***"}.'),
        ("x.cfg", '%{token, "S3"},\n{x, 1}.', "%{token, ***\n{x, 1}."),
        ("vm.args", "-setcookie S3\n-sname a", "-setcookie ***\n-sname a"),
        ("vm.args", "-env PASSWORD -S3\n-y z", "-env PASSWORD ***\n-y z"),
        ("vm.args", "-token S3 S3 -y z", "-token *** *** -y z"),
        ("vm.args", "-token S3 S3 +y z", "-token *** *** +y z"),
        ("vm.args", "-token\n-y z", "-token\n-y z"),
        ("vm.args", '-token "S3\nS3"\n-y z', "-token ***\n\n-y z"),
        ("vm.args", "-x secret_file /x -y z", "-x secret_file /x -y z"),
        ("vm.args", '-x "a"https://u:S3@h -y z', '-x "a"https://*** -y z'),
        ("vm.args", "-x a\\'https://u:S3@h -y z", "-x a\\'https://*** -y z"),
        ("vm.args", "# a\n-x y # token S3\n-y z", "# a\n-x y # token ***\n-y z"),
        ("vm.args", "-x '{token, S3}' -y z", "-x '{token, ***' -y z"),
        ("x.yaml", "secret:\n  a: S3\n  b: S3\nc: 1", "secret: ***\n  ***\n  ***\nc: 1"),
        ("x.ini", "[secret]\na = S3\n[b]\nc = 1", "[secret]\na = ***\n[b]\nc = 1"),
        ("x.txt", "a token isn't S3\nport = 1", "a token ***\nport = 1"),
        ("x.txt", "pin =\n# below\nS3\nx = 1", "pin = ***\n# ***\n***\nx = 1"),
        ("x.txt", "key: S3\nthe key is shown", "key: ***\nthe key is shown"),
        (
            "x.cfg",
            '{x, fun m:f/1}.\n{x, not true}.\n{token, "S3"}.\n{y, 1}.',
            '{x, fun m:f/1}.\n{x, not true}.\n{token, "***"}.\n{y, 1}.',
        ),
        ("x.cfg", '{x, a. }.\n{token, "S3"}.\n{y, 1}.', "{x, a. }.\n{token, ***\n{y, 1}."),
        ("x.cfg", '{x, {a . b}}.\n{token, "S3"}.\n{y, 1}.', "{x, {a . b}}.\n{token, ***\n{y, 1}."),
        ("x.cfg", '{x, 1}.\n{token, "S3"}', "{x, 1}.\n{token, ***"),
        ("x.cfg", '{x, 1}.\n{token, "S3"}.\n"unfinished', '{x, 1}.\n{token, ***\n"unfinished'),
        ("x.cfg", "{token, <<>>}.", "{token, <<>>}."),
        (
            "x.cfg",
            '{x, [pgsql, "host", "database", "user", "shown"]}.',
            '{x, [pgsql, "host", "database", "user", "shown"]}.',
        ),
        ("x.cfg", '#{token => "S3", secret => "S3"}.', '#{token => "***", secret => "***"}.'),
        ("x.cfg", "{x, token_ttl, 60}.", "{x, token_ttl, 60}."),
        ("x.cfg", '{x, a:b("shown")}.', '{x, a:b("shown")}.'),
        ("x.cfg", "{x, 'token: S3'}.", "{x, 'token: ***'}."),
        ("x.cfg", '{x, "pwd: S3"}.', '{x, "pwd: ***"}.'),
        ("x.cfg", '{x, "the token" "S3"}.', '{x, "the token" "***"}.'),
        ("x.cfg", '{token, [true, "S3"]}.', '{token, [true, "***"]}.'),
        ("x.cfg", "{token, a:b}.", "{token, '***'}."),
        ("x.cfg", "{token, -5}.", "{token, '***'}."),
        ("x.cfg", "{token, a + 5}.", "{token, '***' + '***'}."),
        ("x.cfg", '{pgsql, "h", "d", "S3"}.', '{pgsql, "h", "d", "***"}.'),
        ("x.cfg", '{pgsql, "host", "database"}.', '{pgsql, "host", "database"}.'),
        ("x.cfg", "{password_hash, [sha256, sha512]}.", "{password_hash, [sha256, sha512]}."),
        ("x.cfg", "{password_hash, {sha256}}.", "{password_hash, {sha256}}."),
        ("x.cfg", '{[token], "shown"}.', '{[token], "shown"}.'),
        ("x.cfg", '{{token}, "S3"}.', '{{token}, "***"}.'),
        ("x.cfg", '{token, [a | "S3"]}.', "{token, ['***']}."),
        ("x.cfg", '{"a token of", "shown"}.', '{"a token ***", "***"}.'),
        ("x.cfg", '{"not a: token", "S3"}.', '{"not a: token", "***"}.'),
        ("x.cfg", '{x, "{token"}.', '{x, "{token"}.'),
        ("x.cfg", '{<<"token", "x">>, "shown"}.', '{<<"token", "x">>, "shown"}.'),
        ("x.cfg", "{token, }.", "{token, }."),
        ("x.cfg", "{#{token => x}, y}.", "{#{token => '***'}, y}."),
        ("x.cfg", "{secret_ttl}.", "{secret_ttl}."),
        ("x.cfg", "{token, {secret_ttl}}.", "{token, {'***'}}."),
        ("x.cfg", '{token, <<"a", "S3">>}.', '{token, <<"***">>}.'),
        ("vm.args", "-a secret_file /x b\n", "-a secret_file /x b\n"),
        ("vm.args", "-a secret_file\n", "-a secret_file\n"),
        ("vm.args", "-x token\n-env KEY -S3\n-y z", "-x token\n-env KEY ***\n-y z"),
        ("vm.args", "\n-env KEY\n-y z", "\n-env KEY\n-y z"),
        ("vm.args", "-x 'a\nb https://u:S3@h\nc' -y z", "-x 'a\nb https://***'\n -y z"),
        (
            "x.conf",
            "[secret]\na = S3\nttl = 60\nc: /x\nS3",
            "[secret]\na = ***\nttl = 60\nc: ***\n***",
        ),
        ("x.conf", '[secret]\nfile = "/x"\nfile: token = S3', '[secret]\nfile = "/x"\nfile: ***'),
        ("x.conf", "x' token S3\ny = 1", "x' token ***\ny = 1"),
        ("x.conf", "it's a token' S3\ny = 1", "it's a token' ***\ny = 1"),
        ("x.conf", 'the token" S3\ny = 1', 'the token" ***\n***'),
        ("x.conf", 'token = "a\nb" x\ny = 1', "token = ***\n***\ny = 1"),
        ("x.conf", "token = it's\ny = 1", "token = ***\ny = 1"),
        ("x.conf", "token = 'a\nb'\ny = 1", "token = ***\n***\ny = 1"),
        ("x.conf", "# token:\n# S3\ny = 1", "# token: ***\n# ***\ny = 1"),
        ("x.conf", "a\r\ntoken = S3\r\nb\r\n", "a\r\ntoken = ***\r\nb\r\n"),
        ("x.conf", "token = S3", "token = ***"),
        ("x.conf", "token =\n\n  S3\nb", "token = ***\n\n  ***\nb"),
        (
            "x.toml",
            'a = {name = "token", value = "S3"}\nb = 1',
            'a = {name = "token", value = "***"}\nb = 1',
        ),
        (
            "x.toml",
            'a = {name = "a token", value = "shown"}\nb = 1',
            'a = {name = "a token", value = "shown"}\nb = 1',
        ),
        ("x.toml", 'a = {name = "X", value = "shown"}\n', 'a = {name = "X", value = "shown"}\n'),
        ("x.conf", "cp /run/token/x: y", "cp /run/token/x: y"),
        ("x.conf", "cp token/x: y", "cp token/x: y"),
        ("x.conf", "a/token = S3", "a/token = ***"),
        ("x.conf", "a/token: S3", "a/token: ***"),
        ("x.conf", "a/token x", "a/token x"),
        ("x.conf", "a/token, x", "a/token, x"),
        ("x.conf", "# token\n# S3\ny = 1", "# token ***\n# ***\ny = 1"),
        ("x.conf", "# the token\n# shown\ny = 1", "# the token\n# shown\ny = 1"),
        ("x.conf", "# the token'\n# shown\ny = 1", "# the token'\n# shown\ny = 1"),
        ("x.conf", "- token\n- S3", "- token ***\n***"),
        ("x.conf", "token: *** x\ny = 1", "token: ***\ny = 1"),
        ("x.conf", "token: ***\ny = 1", "token: ***\ny = 1"),
        ("x.conf", "[secret]\nttl = 60\nfile: /x = S3", "[secret]\nttl = 60\nfile: ***"),
        ("x.conf", "[secret]\nttl : 60\nb", "[secret]\nttl : 60\n***"),
        ("x.toml", 'a = {}\nb = {x = 1}\ntoken = "S3"', 'a = {}\nb = {x = 1}\ntoken = "***"'),
        ("x.toml", 'a = 1\na = 2\ntoken = "S3" # x', "a = 1\na = 2\ntoken = ***"),
        ("x.toml", 'e = [{key = "token", value = "S3"}]', 'e = [{key = "***", value = "***"}]'),
        ("x.toml", 'a = ["token", "shown"]', 'a = ["token", "shown"]'),
        ("x.toml", 'x = """token: S3"""\ny = 1', 'x = """token: ***"""\ny = 1'),
        ("x.toml", "x = '''token: S3'''\ny = 1", "x = '''token: ***'''\ny = 1"),
        ("x.toml", 'tokens = ["S3", "S3", "S3"]', 'tokens = ["***"]'),
        (
            "x.toml",
            'a = [{name = "token", value = "S3"}, {name = "x", value = "shown"}]',
            'a = [{name = "token", value = "***"}, {name = "x", value = "shown"}]',
        ),
        (
            "x.toml",
            '[[e]]\nname = "token"\nvalue = "S3"\nz = {x = 1}\n[[e]]\nname = "x"\nvalue = "shown"',
            '[[e]]\nname = "token"\nvalue = "***"\nz = {x = 1}\n[[e]]\nname = "x"\nvalue = "shown"',
        ),
        ("x.toml", 'XTOKEN = "S3" # x', 'XTOKEN = "***" # x'),
        ("x.toml", '"token" = "S3" # x', '"token" = "***" # x'),
        ("x.cfg", '{{a, token}, "shown"}.', '{{a, token}, "shown"}.'),
        ("x.cfg", '{<<"to" "ken">>, "shown"}.', '{<<"to" "ken">>, "shown"}.'),
        ("x.cfg", '#{token := "S3", x := 1}.', '#{token := "***", x := 1}.'),
        ("x.conf", "[secret]\na = S3 # ttl = 1\nb", "[secret]\na = ***\n***"),
        (
            "x.conf",
            "[secret]\nttl: 60\nx =\n  S3\n[b]\nc = 1",
            "[secret]\nttl: 60\nx = ***\n  ***\n[b]\nc = 1",
        ),
        ("x.conf", "say 'token' S3\ny = 1", "say 'token' ***\ny = 1"),
        ("x.conf", 'say "token" S3\ny = 1', 'say "token" ***\ny = 1'),
        ("x.conf", "say 'key' S3\ny = 1", "say 'key' ***\ny = 1"),
        ("x.conf", 'say "key" S3\ny = 1', 'say "key" ***\ny = 1'),
        ("x.conf", "[secret]\n# token:\n# S3\nb", "[secret]\n# token: ***\n# ***\n***"),
        ("x.conf", "token:\na = [\nS3]\nb = 1", "token: ***\n***\n***\nb = 1"),
        ("x.conf", "token = [\ntoken = [\nS3\n]]\nb = 1", "token = ***\n***\n***\n***\nb = 1"),
        ("x.conf", "# the token\n# = S3\ny = 1", "# the token\n# ***\ny = 1"),
        ("x.conf", "# the key!\n# = shown\ny = 1", "# the key!\n# = shown\ny = 1"),
        ("x.conf", "# the token\n# X = 1\ny = 1", "# the token\n# X = 1\ny = 1"),
        ("x.conf", "token:\n=\nS3\ny = 1", "token: ***\n***\n***\ny = 1"),
        ("x.conf", "pin:\nS3\n, shown\ny = 1", "pin: ***\n***\n, shown\ny = 1"),
        ("x.conf", "token: S3\n= shown\ny = 1", "token: ***\n= shown\ny = 1"),
        (
            "x.conf",
            "-----BEGIN PRIVATE KEY----- S3 S3 -----END PRIVATE KEY----- x = 1",
            "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY----- x = 1",
        ),
        (
            "x.conf",
            "token: [\n-----BEGIN PRIVATE KEY-----\nS3\n-----END PRIVATE KEY-----\n]\ny = 1",
            "token: ***\n***\n***\n***\n***\ny = 1",
        ),
        ("x.conf", "token: > ***\ny = 1", "token: > ***\ny = 1"),
        ("x.conf", "x, token, S3\ny = 1", "x, token, ***\ny = 1"),
        ("x.conf", "token: \nS3\ny = 1", "token: ***\n***\ny = 1"),
        ("x.conf", "{'mysql', h, S3}", "{'mysql', ***"),
        ("x.conf", "{X mysql, shown}", "{X mysql, shown}"),
        ("x.conf", '{mysql, "shown"}\ny = 1', '{mysql, "shown"}\ny = 1'),
        ("x.conf", '{mysql, "S3\nS3"}\ny = 1', "{mysql, ***\n***\ny = 1"),
        ("x.conf", "//token | S3\ny = 1", "//token | ***\ny = 1"),
        ("x.conf", "token = S3\nkey\n", "token = ***\nkey\n"),
        ("x.conf", "# token:\n\n# S3\ny = 1", "# token: ***\n\n# ***\ny = 1"),
        ("x.conf", "# token:\n  \n# S3\ny = 1", "# token: ***\n  \n# ***\ny = 1"),
        ("x.conf", "token = S3\n# pin: S3\ny = 1", "token = ***\n# pin: ***\ny = 1"),
        ("vm.args", "-a b\n# pin:\n\n# S3\n-y z", "-a b\n# pin: ***\n\n# ***\n-y z"),
        ("vm.args", "# pin: S3 # x\n-y z", "# pin: ***\n-y z"),
        ("vm.args", "# https://u:S3@h/\n-y z", "# https://***@h/\n-y z"),
        ("x.toml", 'x = """\n[secret]\na:"""\ny = 1', 'x = """\n[secret]\na:"""\ny = 1'),
        (
            "x.toml",
            'x = """\n[secret]\nfile = /x/token:"""\ny = 1',
            'x = """\n[secret]\nfile = /x/token:"""\ny = 1',
        ),
        (
            "x.toml",
            'x = """-----BEGIN PRIVATE KEY-----\nS3\n-----END PRIVATE KEY----- token:"""',
            'x = """-----BEGIN PRIVATE KEY-----\n***\n***-----END PRIVATE KEY----- token:"""',
        ),
    ],
)
def test_as_little_as_possible_is_hidden(file: str, text: str, shown: str) -> None:
    """Where the structure is known, what stands beside a secret is still readable."""
    assert shown == mask(text, file)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("file", ["x.toml", "x.cfg", "vm.args"])
@pytest.mark.parametrize("piece", ["secret", "secret ", "a", '"', "[", "]\n", "eyJ", "://a:"])
def test_a_megabyte_of_anything_is_masked_in_linear_time(file: str, piece: str) -> None:
    """No text makes the masking take longer than the server's start."""
    text = piece * (LARGEST_SHOWN // len(piece))
    assert text.count("\n") == mask(text, file).count("\n")


def test_each_file_is_shown_under_its_path(tmp_path: Path) -> None:
    """In the order of their names."""
    (tmp_path / "vm.args").write_text("-setcookie x\n")
    (tmp_path / "a").write_text("two\n\n")
    assert show_files(str(tmp_path), "/nowhere") == (
        f"==> {tmp_path}/a <==\ntwo\n==> {tmp_path}/vm.args <==\n-setcookie ***\n"
    )


def test_a_file_that_operators_see_elsewhere_is_shown_under_that_path(tmp_path: Path) -> None:
    """If it is the same there, byte by byte, and a file."""
    ours, given = tmp_path / "ours", tmp_path / "given"
    for folder in (ours, given):
        folder.mkdir()
        (folder / "same").write_text("x\n")
        (folder / "other").write_bytes(b"a\r\n" if folder == given else b"a\n")
    (ours / "folder").write_text("x\n")
    (given / "folder").mkdir()
    (given / "link").mkdir()
    (ours / "link").symlink_to("missing")
    shown = show_files(str(ours), str(given)).splitlines()
    assert [line for line in shown if line.startswith("==>")] == [
        f"==> {ours}/folder <==",
        f"==> {ours}/link <==",
        f"==> {ours}/other <==",
        f"==> {given}/same <==",
    ]


def test_a_file_is_masked_as_its_name_says(tmp_path: Path) -> None:
    """Whatever the folders above it are called; bytes that are no text are no reason to stop."""
    folder = tmp_path / "cookie.toml"
    folder.mkdir()
    (folder / "cookie").write_text("S3CRET\n")
    (folder / "empty").write_text("")
    (folder / "x.conf").write_bytes(b"caf\xe9 = 1\npassword = caf\xe9\n")
    assert show_files(str(folder), "/nowhere") == (
        f"==> {folder}/cookie <==\n***\n"
        f"==> {folder}/empty <==\n\n"
        f"==> {folder}/x.conf <==\ncaf\ufffd = 1\npassword = ***\n"
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a = 1\nb = 1\nc = 1\n\n\n", ["a = 1", "b = 1", "c = 1"]),
        ("a = 1\nb = 1\nc = 1\nd = 1\n", ["a = 1", "b = 1", "c = 1", None]),
        ("a = 1\nb = 1\nc = 1234\n\n", ["a = 1", "b = 1", None]),
        ("a = 1\nb = 1\nc = 12345", ["a = 1", "b = 1", None]),
        ("a = 1234567890123456", ["a = 1234567890123456"]),
        ("a = 12345678901234567", [None]),
    ],
)
def test_a_file_is_shown_up_to_its_last_whole_line(
    text: str, lines: list[str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the limit; None stands for the note about the rest."""
    monkeypatch.setattr(masking, "LARGEST_SHOWN", 20)
    (tmp_path / "x.conf").write_text(text)
    note = "(the rest is not shown: the file has more than 20 characters)"
    expected = [note if line is None else line for line in lines]
    assert show_files(str(tmp_path), "/nowhere").splitlines()[1:] == expected


def test_of_a_large_file_the_first_lines_are_shown(tmp_path: Path) -> None:
    """With a note, and without the line in the middle of which the limit is."""
    line = "port = 1\n"
    (tmp_path / "x.toml").write_text(line * (LARGEST_SHOWN // len(line) + 5))
    shown = show_files(str(tmp_path), "/nowhere").splitlines()
    assert shown[1:-1] == ["port = 1"] * (LARGEST_SHOWN // len(line))
    assert shown[-1] == (
        f"(the rest is not shown: the file has more than {LARGEST_SHOWN} characters)"
    )


def test_a_secret_of_a_large_file_is_hidden(tmp_path: Path) -> None:
    """Also one that is cut, which makes the file no TOML."""
    (tmp_path / "x.toml").write_text('secret = """\n' + "S3CRET\n" * LARGEST_SHOWN + '"""\n')
    shown = show_files(str(tmp_path), "/nowhere")
    assert "S3" not in shown
    assert "secret = ***" in shown


def test_what_is_no_text_is_not_shown(tmp_path: Path) -> None:
    """Nor waited for: a pipe that nobody writes to has no end."""
    (tmp_path / "a.p12").write_bytes(b"\0S3CRET")
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "c")
    (tmp_path / "d").symlink_to("missing")
    assert show_files(str(tmp_path), "/nowhere") == (
        f"==> {tmp_path}/a.p12 <==\n(not a text file)\n"
        f"==> {tmp_path}/b <==\n(not a file)\n"
        f"==> {tmp_path}/c <==\n(not a file)\n"
        f"==> {tmp_path}/d <==\n(not a file)\n"
    )


def test_the_toml_parser_is_loaded_for_toml_only() -> None:
    """Its import takes time that the server wants for its start."""
    program = (
        "import sys\n"
        "from member_entrypoint.release.masking import mask\n"
        "mask('[{x, 1}].', 'app.config'), mask('-x y', 'vm.args'), mask('x', 'hosts')\n"
        "assert 'tomllib' not in sys.modules\n"
        "mask('x = 1', 'mongooseim.toml')\n"
        "assert 'tomllib' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
