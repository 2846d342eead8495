"""The environment as settings: every variable with its default, good values and bad ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from member_entrypoint import settings
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.values import Address

BOOLEANS = (
    [("true", True), ("1", True), ("TRUE", True), ("false", False), ("0", False), ("False", False)],
    ["yes", "on", "2", "true "],
)
PORTS = ([("1", 1), ("65535", 65535)], ["0", "65536", "-1", "x", "5222 ", "1e3", "\uff15"])

TABLE: dict[str, tuple[Any, list[tuple[str, Any]], list[str]]] = {
    "HOSTNAME": (
        None,
        [("mongooseim-1", "mongooseim-1"), ("a.b.c", "a.b.c"), ("3f2a", "3f2a")],
        ["a b", "-a", "a@b", 'a"', "a\n", "a..b", "é"],
    ),
    "NODE_TYPE": ("sname", [("sname", "sname"), ("NAME", "name")], ["short", "long", "-name"]),
    "NODE_NAME": (
        "mongooseim",
        [("chat", "chat"), ("chat_1-x", "chat_1-x")],
        ["a b", "a@b", "-a", "a.b", "a\nb", "a'b", 'a"b', "ä", "a" * 201],
    ),
    "NODE_HOST": (
        None,
        [("host", "host"), ("fd00--1", "fd00--1")],
        ["a b", "@", "a@b", "a\n-setcookie x", "'", "host name", "a" * 300],
    ),
    "MASTER_ORDINAL": (
        "1",
        [("0", "0"), ("12", "12"), ("01", "01")],
        ["-1", "one", "1.0", "\u0663"],
    ),
    "JOIN_CLUSTER": (True, *BOOLEANS),
    "CLUSTER_WITH": (
        None,
        [("mongooseim@first-node", "mongooseim@first-node")],
        ["first-node", "@x", "x@", "a@b@c", "a@b c", "a@b\n", "a'b@c"],
    ),
    "CLUSTER_COOKIE": (
        None,
        [("s3cret", "s3cret"), ("ab+/=c", "ab+/=c"), ("a@b", "a@b"), ("a" * 255, "a" * 255)],
        ["a b", "a\nb", "a'b", 'a"b', "-a", "+a", "a#b", "a*", "a\\b", "ä", "a" * 256],
    ),
    "BOOTSTRAP_ENABLED": (False, *BOOLEANS),
    "PRINT_CONFIG_FILES_ON_START": (False, *BOOLEANS),
    "START_TIMEOUT": (120.0, [("1", 1.0), ("2.5", 2.5)], ["0", "-1", "abc", "nan", "inf", "1e9"]),
    "JOIN_TIMEOUT": (300.0, [("0", 0.0), ("5", 5.0)], ["-1", "abc", "5s", "99999999999"]),
    "STOP_TIMEOUT": (25.0, [("0", 0.0), ("0.5", 0.5)], ["-1", "abc", "1,5", "infinity"]),
    "LEAVE_CLUSTER_ON_STOP": (False, *BOOLEANS),
    "WAIT_FOR": (
        (),
        [
            ("db:5432", (Address("db", 5432),)),
            ("db:5432, [::1]:1", (Address("db", 5432), Address("::1", 1))),
        ],
        ["db", "db:", ":5432", "db:0", "db:x", "::1:5432", "a b:1"],
    ),
    "JOIN_DISCARDS_DATA": (False, *BOOLEANS),
    "NEW_CLUSTER": ("auto", [("never", "never")], ["always", "no"]),
    "NODE_RENAMED": ("refuse", [("start-empty", "start-empty")], ["yes", "start_empty"]),
    "PARTITION_POLICY": ("ignore", [("restart-minority", "restart-minority")], ["heal"]),
    "DISCOVERY_INTERVAL": (10.0, [("1", 1.0)], ["0", "-1", "x"]),
    "HEALTH_PORT": (5222, *PORTS),
    "HEALTH_HTTP_PORT": (None, *PORTS),
    "LOG_FORMAT": ("console", [("json", "json"), ("logfmt", "logfmt")], ["text", "xml"]),
    "LOG_LEVEL": ("info", [("DEBUG", "debug"), ("error", "error")], ["verbose", "5"]),
    "CLUSTER_COOKIE_FILE": (None, [], ["/nowhere", "nowhere"]),
    "ERL_EPMD_PORT": (None, *PORTS),
    "ERL_EPMD_ADDRESS": (
        (),
        [("10.0.0.5", ("10.0.0.5",)), ("10.0.0.5, fd00::5", ("10.0.0.5", "fd00::5"))],
        ["localhost", "10.0.0.5,eth0"],
    ),
    "ERL_AFLAGS": ("", [("+K true", "+K true")], []),
    "ERL_FLAGS": ("", [("-kernel x y", "-kernel x y")], []),
    "ERL_ZFLAGS": ("", [("+A 1", "+A 1")], []),
    "ENTRYPOINT_ROOT": ("/", [("/tmp", "/tmp")], ["tmp", "./x"]),  # noqa: S108
    "DISCOVERY_NAME": (None, [], ["a b", "@"]),
    "DISCOVERY_FILE": (None, [], ["relative"]),
    "MONGOOSEIM_CONFIG_FORMAT": (None, [("toml", "toml"), ("cfg", "cfg")], []),
    "EJABBERD_CONFIG_PATH": (None, [("etc/x.toml", "etc/x.toml")], []),
}


def field(variable: str) -> str:
    """Return the field of the settings that a variable fills."""
    return "root" if variable == "ENTRYPOINT_ROOT" else variable.lower()


def test_the_table_has_every_variable() -> None:
    """No variable is without its rows in this table."""
    assert set(TABLE) == {variable.name for variable in settings.VARIABLES}


@pytest.mark.parametrize("variable", TABLE)
@pytest.mark.parametrize("text", [None, ""])
def test_an_unset_or_empty_variable_gives_its_default(variable: str, text: str | None) -> None:
    """Compose files pass on variables that are not set as empty ones."""
    given = settings.read({} if text is None else {variable: text})
    assert getattr(given, field(variable)) == TABLE[variable][0]


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [(name, text, value) for name, (_, good, _) in TABLE.items() for text, value in good],
)
def test_a_good_value_is_taken(variable: str, text: str, value: object) -> None:
    """Each allowed form of a value is understood."""
    assert getattr(settings.read({variable: text}), field(variable)) == value


@pytest.mark.parametrize(
    ("variable", "text"), [(name, text) for name, (_, _, bad) in TABLE.items() for text in bad]
)
def test_a_bad_value_is_refused_naming_the_variable(variable: str, text: str) -> None:
    """The line names variable and value (unless secret) and says what is allowed."""
    with pytest.raises(ConfigurationError) as refusal:
        settings.read({variable: text})
    said = str(refusal.value)
    assert said.startswith(f"{variable} is ")
    assert "allowed: " in said
    assert (repr(text) in said) != (variable == "CLUSTER_COOKIE")
    assert refusal.value.status == 78


def test_all_errors_are_said_at_once() -> None:
    """An operator who corrects one error does not meet the next at the next start."""
    wrong = {name: bad[0] for name, (_, _, bad) in TABLE.items() if bad}
    with pytest.raises(ConfigurationError) as refusal:
        settings.read(wrong)
    named = re.findall(r"^(\w+) is ", str(refusal.value), re.MULTILINE)
    assert sorted(set(named)) == sorted(wrong)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"NODE_HOST": "a.b"}, "NODE_HOST is 'a.b', a long name"),
        ({"NODE_HOST": "10.0.0.1"}, "NODE_HOST is '10.0.0.1', a long name"),
        ({"NODE_TYPE": "name", "NODE_HOST": "ab"}, "NODE_HOST is 'ab', a short name"),
        ({"CLUSTER_WITH": "m@a.b"}, "CLUSTER_WITH is 'm@a.b', a long name"),
        ({"NODE_TYPE": "name", "CLUSTER_WITH": "m@a"}, "CLUSTER_WITH is 'm@a', a short name"),
        ({"DISCOVERY_NAME": "svc"}, "allowed: both or neither"),
        ({"DISCOVERY_FILE": "/run/nodes"}, "allowed: both or neither"),
        ({"HEALTH_HTTP_PORT": "5222"}, "HEALTH_HTTP_PORT is 5222, which is the server's"),
    ],
)
def test_values_that_exclude_each_other_are_refused(environment: dict[str, str], said: str) -> None:
    """Two values, each good by itself, may still be an error that Erlang would find too late."""
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        settings.read(environment)


@pytest.mark.parametrize("host", ["a.b", "10.0.0.1", "fd00::1", "::1", "::ffff:10.0.0.1"])
def test_long_hosts_go_with_long_names(host: str) -> None:
    """NODE_HOST may be a name or an address of either family."""
    assert settings.read({"NODE_TYPE": "name", "NODE_HOST": host}).node_host == host


def test_a_cookie_file_is_read_without_its_newline(tmp_path: Path) -> None:
    """Secrets are files, and editors end files with a newline."""
    path = tmp_path / "cookie"
    path.write_text("s3cret\n")
    assert settings.read({"CLUSTER_COOKIE_FILE": str(path)}).cluster_cookie == "s3cret"


def test_a_cookie_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A secret that was not mounted must not become the default cookie."""
    path = str(tmp_path / "none")
    with pytest.raises(ConfigurationError, match=f"CLUSTER_COOKIE_FILE is '{path}'"):
        settings.read({"CLUSTER_COOKIE_FILE": path})


def test_a_cookie_file_with_a_bad_cookie_is_an_error_without_the_cookie(tmp_path: Path) -> None:
    """The content of a secret is in no message."""
    path = tmp_path / "cookie"
    path.write_text("two words")
    with pytest.raises(ConfigurationError) as refusal:
        settings.read({"CLUSTER_COOKIE_FILE": str(path)})
    assert "two words" not in str(refusal.value)
    assert "not a cookie" in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "cookie"), [(b"XcookieX\r\n", "XcookieX"), (b"\n\nc", "c"), (b"a" * 255, "a" * 255)]
)
def test_only_line_ends_around_a_cookie_are_left_out(
    content: bytes, cookie: str, tmp_path: Path
) -> None:
    """All else in the file is the cookie."""
    path = tmp_path / "cookie"
    path.write_bytes(content)
    assert settings.read({"CLUSTER_COOKIE_FILE": str(path)}).cluster_cookie == cookie


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b" c", "not a cookie; allowed: 1 to 255"),
        (b"\n" * settings.LONGEST_COOKIE_FILE + b"c", "not a cookie; allowed: 1 to 255"),
        (b"\xff\xfe", "which cannot be read (it is not text); allowed: a readable file"),
        (None, "which cannot be read (No such file or directory); allowed: a readable file"),
    ],
)
def test_what_is_wrong_with_a_cookie_file_is_said(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    """A blank, too much before the cookie, bytes that are no text, no file."""
    path = tmp_path / "cookie"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        settings.read({"CLUSTER_COOKIE_FILE": str(path)})


def test_a_wrong_value_leaves_the_default() -> None:
    """So `check` goes on to the next question."""
    given, errors = settings.read_with_errors({"HEALTH_PORT": "x", "NODE_HOST": "a b"})
    assert (given.health_port, given.node_host) == (5222, None)
    assert [error.partition(" ")[0] for error in errors] == ["NODE_HOST", "HEALTH_PORT"]


def test_the_flags_of_the_vm_keep_their_names() -> None:
    """OTP reads them from these."""
    flags = {"ERL_AFLAGS": "+a", "ERL_FLAGS": "+b", "ERL_ZFLAGS": "+c"}
    assert settings.read(flags).vm_flags == flags


def test_the_log_is_as_the_settings_say(capfd: pytest.CaptureFixture[str]) -> None:
    """On standard output, from the level on that was asked for."""
    log = settings.log_as(settings.read({"LOG_FORMAT": "json", "LOG_LEVEL": "warning"}))
    log.info("left out")
    log.warning("said")
    captured = capfd.readouterr()
    assert (json.loads(captured.out)["event"], captured.err) == ("said", "")


@pytest.mark.parametrize(
    ("given", "begin"),
    [
        ({"LOG_FORMAT": "JSON"}, "{"),
        ({"LOG_FORMAT": "logfmt"}, "timestamp="),
        ({"LOG_FORMAT": "xml"}, "20"),
        ({}, "20"),
    ],
)
def test_errors_of_the_settings_are_said_in_the_format_asked_for(
    given: dict[str, str], begin: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """If it exists: else in the default one."""
    settings.log_of(given, descriptor=2).error("wrong")
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(begin)
    assert "wrong" in captured.err


def test_two_different_cookies_are_an_error(tmp_path: Path) -> None:
    """Which of two secrets counts is not for us to guess."""
    path = tmp_path / "cookie"
    path.write_text("one")
    with pytest.raises(ConfigurationError) as refusal:
        settings.read({"CLUSTER_COOKIE": "other", "CLUSTER_COOKIE_FILE": str(path)})
    assert "give different cookies" in str(refusal.value)
    assert "other" not in str(refusal.value).replace("CLUSTER_COOKIE", "")


def test_the_password_of_a_url_is_not_shown() -> None:
    """Which somebody has given where a host and a port are wanted."""
    given = {"WAIT_FOR": "db:1,postgres://mongooseim:hunter/2@db:5432/chat"}
    with pytest.raises(ConfigurationError, match=re.escape("'db:1,postgres://***@db:5432/chat'")):
        settings.read(given)
