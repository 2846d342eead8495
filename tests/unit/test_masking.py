"""What is shown of configuration files has no secret in it, and nearly all else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from masking_secrets import SECRETS
from masking_visible import VISIBLE

from member_entrypoint.release.masking import LARGEST_SHOWN, mask, show_files


@pytest.mark.parametrize(("file", "text", "name"), SECRETS)
def test_a_secret_is_hidden_in_every_form(file: str, text: str, name: str) -> None:
    """Its name stays readable, and so does the number of lines."""
    assert "S3CRET" in text
    shown = mask(text, file)
    assert "S3CRET" not in shown
    assert "***" in shown
    assert name in shown
    assert text.count("\n") == shown.count("\n")


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
        ("vm.args", "-x '{token, S3}' -y z", "-x '{token, ***' -y z"),
        ("x.yaml", "secret:\n  a: S3\n  b: S3\nc: 1", "secret: ***\n  ***\n  ***\nc: 1"),
        ("x.ini", "[secret]\na = S3\n[b]\nc = 1", "[secret]\na = ***\n[b]\nc = 1"),
        ("x.txt", "a token isn't S3\nport = 1", "a token ***\nport = 1"),
        ("x.txt", "pin =\n# below\nS3\nx = 1", "pin = ***\n# ***\n***\nx = 1"),
        ("x.txt", "key: S3\nthe key is shown", "key: ***\nthe key is shown"),
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
