"""What the server will read: rendered from pristine files, `/member` and the settings."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from member_entrypoint import settings, terms
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.network.hosts_file import add_hosts
from member_entrypoint.places import Places
from member_entrypoint.release import rendering
from member_entrypoint.release.active import Release
from member_entrypoint.release.app_config import app_config

NODE = "mongooseim@m-1"
VM_ARGS = "## from the chart\n-name mongooseim\n-setcookie chartcookie\n"
MNESIA = '{mnesia, [{dir, "/data/M"}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[].", f"[\n {MNESIA}]}}]."),
        (
            '[\n %{mnesia, [{dir, "x"}]},\n {kernel, []}\n].',
            f'[\n {MNESIA}]}},\n %{{mnesia, [{{dir, "x"}}]}},\n {{kernel, []}}\n].',
        ),
        ('[{mnesia, [{dir, "/user"}]}].', f"[{MNESIA}]}}]."),
        (
            '[{mnesia, [{dump_log_time_threshold, 1}, {dir,"/u\\"]}"}, {debug, none}]}].',
            '[{mnesia, [{dump_log_time_threshold, 1}, {dir,"/data/M"}, {debug, none}]}].',
        ),
        ("[{mnesia, [{debug, verbose}]}].", f"[{MNESIA}, {{debug, verbose}}]}}]."),
        ("[{mnesia, []}].", f"[{MNESIA}]}}]."),
        (
            '[{mnesia, [%{dir, "no"}\n {dir,\n "x" % here\n}]}].',
            '[{mnesia, [%{dir, "no"}\n {dir,\n "/data/M"}]}].',
        ),
        (
            '[{other, [{mnesia, [{dir, "theirs"}]}]}].',
            f'[\n {MNESIA}]}},{{other, [{{mnesia, [{{dir, "theirs"}}]}}]}}].',
        ),
        (
            '[{lager, [{log_root, "log"}, {a, "{log_root, \\"x\\"}"}]}].',
            f'[\n {MNESIA}]}},{{lager, [{{log_root, "/logs"}}, {{a, "{{log_root, \\"x\\"}}"}}]}}].',
        ),
    ],
)
def test_app_config_has_the_containers_folders_and_keeps_the_rest(text: str, expected: str) -> None:
    """Comments and strings that look like options are left alone; so is the user's own mnesia."""
    assert app_config(text, "/data/M", "/logs") == expected


def test_app_config_rendered_twice_is_the_same() -> None:
    """Restarting is idempotent."""
    once = app_config("[{kernel, []}].", "/data/M", "/logs")
    assert app_config(once, "/data/M", "/logs") == once


@pytest.mark.parametrize("text", ["", "% nothing", "{mnesia, []}.", "hello"])
def test_an_app_config_that_is_no_list_is_an_error(text: str) -> None:
    """Erlang would refuse it, after a boot."""
    with pytest.raises(ConfigurationError, match="Erlang list"):
        app_config(text, "/data/M", "/logs")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[{kernel, [\n{x, "hunter2}]}].\n', 2),
        ("[{kernel, [\n\n{x, 'hunter2}]}].\n", 3),
        ('[{kernel, [{x, "a}]},\n{y, "hunter2"}].\n', 2),
        ('[{kernel, [{x, "hunter2"}\n]}\n', 2),
        ('[{kernel, [{x, "hunter2"}]]\n]}]].\n', 2),
    ],
    ids=["a string", "an atom", "another string", "a bracket", "too many"],
)
def test_what_is_not_closed_is_told_by_its_line(text: str, line: int) -> None:
    """Not by what stands there, which may be a password."""
    with pytest.raises(ConfigurationError, match=f"is not closed, in line {line} or") as raised:
        app_config(text, "/data/M", "/logs")
    assert "hunter2" not in str(raised.value)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Return places with a release's pristine files and an empty `/member`."""
    found = Places(str(tmp_path))
    pristine = Path(found.release, ".server/etc.pristine")
    pristine.mkdir(parents=True)
    (pristine / "vm.args").write_text("-sname x@y\n-setcookie old\n+K true\n")
    (pristine / "app.config").write_text("[].\n")
    (pristine / "mongooseim.toml").write_text("[general]\n")
    for name in ("etc", "var"):
        Path(found.release, ".server", name).symlink_to(Path(found.run, name))
    Path(found.member).mkdir()
    Path(found.hosts).parent.mkdir()
    Path(found.hosts).write_text("127.0.0.1 localhost\n")
    return found


def render(places: Places, **environment: str) -> dict[str, str]:
    """Render once, and return what the server would read."""
    release = Release(places.release, "1", "1")
    files = rendering.render(release, places, settings.read(environment), NODE)
    add_hosts(places)
    rendering.write(release, places, files)
    return {entry.name: entry.read_text() for entry in Path(release.etc).iterdir()}


def tree(folder: str) -> dict[str, str]:
    """Return all files below a folder with their content."""
    return {str(path): path.read_text() for path in Path(folder).rglob("*") if path.is_file()}


def test_ten_starts_give_what_one_gives(places: Places) -> None:
    """Nothing is edited in place, so nothing adds up."""
    Path(places.member, "hosts").write_text("10.0.0.1 db\n")
    Path(places.member, "vm.args").write_text(VM_ARGS)
    render(places)
    once = tree(places.root)
    for _ in range(9):
        render(places)
    assert tree(places.root) == once


def test_sources_are_not_changed(places: Places) -> None:
    """Neither the release's files nor the operator's."""
    Path(places.member, "vm.args").write_text(VM_ARGS)
    Path(places.member, "app.config").write_text("[].")
    before = tree(places.member) | tree(os.path.join(places.release, ".server"))
    render(places)
    assert before == tree(places.member) | tree(os.path.join(places.release, ".server"))


def test_files_of_the_operator_count_instead_of_the_releases(places: Places) -> None:
    """With name, cookie and Mnesia folder the container's all the same."""
    Path(places.member, "mongooseim.toml").write_text("[mine]\n")
    Path(places.member, "mongooseim.cfg").write_text("{mine}.\n")
    Path(places.member, "vm.dist.args").write_text("-kernel x 1\n")
    Path(places.member, "vm.args").write_text(VM_ARGS)
    Path(places.member, "app.config").write_text('[{mnesia, [{dir, "/mine"}]}].')
    etc = render(places)
    assert etc["mongooseim.toml"] == "[mine]\n"
    assert etc["mongooseim.cfg"] == "{mine}.\n"
    assert etc["vm.dist.args"] == "-kernel x 1\n"
    assert etc["vm.args"].splitlines()[-2:] == [f"-sname {NODE}", "-setcookie chartcookie"]
    assert places.mnesia(NODE) in etc["app.config"]


def test_the_double_links_of_a_configmap_are_followed(places: Places) -> None:
    """Kubernetes mounts file -> ..data/file, ..data -> ..timestamp, and read-only."""
    member = Path(places.member)
    (member / "..2026_11_24").mkdir()
    (member / "..2026_11_24" / "mongooseim.toml").write_text("[map]\n")
    (member / "..data").symlink_to("..2026_11_24")
    (member / "mongooseim.toml").symlink_to("..data/mongooseim.toml")
    etc = render(places)
    assert etc["mongooseim.toml"] == "[map]\n"
    assert set(etc) == {"mongooseim.toml", "vm.args", "app.config"}


def test_a_file_that_the_operator_took_away_is_gone_at_the_next_start(places: Places) -> None:
    """The rendered files are those of this start, not of an earlier one."""
    extra = Path(places.member, "mongooseim.cfg")
    extra.write_text("{mine}.\n")
    assert "mongooseim.cfg" in render(places)
    extra.unlink()
    assert "mongooseim.cfg" not in render(places)


def test_hosts_are_added_once(places: Places) -> None:
    """However often the container restarts, and whatever the last line ends with."""
    Path(places.hosts).write_text("127.0.0.1 localhost")
    Path(places.member, "hosts").write_text("10.0.0.1 db\n\n# note\n10.0.0.2 other")
    for _ in range(3):
        render(places)
    expected = "127.0.0.1 localhost\n10.0.0.1 db\n# note\n10.0.0.2 other\n"
    assert Path(places.hosts).read_text() == expected


def test_hosts_that_docker_was_told_are_not_added_again(places: Places) -> None:
    """So `--add-host` is the way out where the hosts file cannot be written."""
    before = "127.0.0.1 localhost\n10.0.0.1\tdb\n10.0.0.1\tdb.local\n"
    Path(places.hosts).write_text(before)
    Path(places.member, "hosts").write_text("# the database\n10.0.0.1  db db.local # both\n")
    render(places)
    assert Path(places.hosts).read_text() == before


def test_logs_go_where_operators_look(places: Places) -> None:
    """The server's `log` leads to the log folder."""
    render(places)
    assert os.readlink(places.log_now) == places.log


def test_what_an_earlier_life_said_of_itself_is_removed(places: Places) -> None:
    """A stale `started` would be believed."""
    var = Path(places.run, "var")
    var.mkdir(parents=True)
    (var / "status").write_text("started")
    (var / "pid").write_text("7")
    render(places)
    assert not (var / "status").exists()
    assert not (var / "pid").exists()


def test_rendered_files_can_hold_secrets(places: Places) -> None:
    """Only their owner reads them."""
    render(places)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in Path(places.run, "etc").iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("breakage", "said"),
    [
        (lambda member: (member / "vm.args").write_bytes(b"\xff\xfe-\x00"), "not UTF-8"),
        (lambda member: (member / "app.config").write_text("oops"), "Erlang list"),
    ],
)
def test_a_broken_file_is_named(
    places: Places, breakage: Callable[[Path], object], said: str
) -> None:
    """One line that says which file, and what is wrong with it."""
    breakage(Path(places.member))
    with pytest.raises(ConfigurationError, match=said):
        render(places)


def test_terms_read_what_they_write() -> None:
    """Arguments of a question go to Erlang as data, and answers come back as data."""
    atom = terms.Atom("it's a 'b'\\")
    assert terms.read("{x@foo,[97,98],<<120,120>>,'A b',-1,1.5,[]}") == (
        "x@foo",
        [97, 98],
        b"xx",
        "A b",
        -1,
        1.5,
        [],
    )
    assert terms.read(terms.write([atom, 1, (terms.Atom("a"), [])])) == [atom, 1, ("a", [])]
    assert terms.write('"]). halt(). \\') == '"\\"]). halt(). \\\\"'


@pytest.mark.parametrize("text", ["", "{a", "a b", "#{}", "<0.1.0>", "a,b", "}", "[a,,b]"])
def test_terms_that_cannot_be_read_are_an_error(text: str) -> None:
    """What is not understood is not taken for something else."""
    with pytest.raises(ValueError, match=r"term|read"):
        terms.read(text)
