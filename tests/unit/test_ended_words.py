"""What is said of lines that servers log, and of crash dumps; no VM is needed for that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from members import make_member

from member_entrypoint import counts, state
from member_entrypoint.diagnosis import ended, traces
from member_entrypoint.errors import ExplainedError
from member_entrypoint.pid1 import limits

LISTENER = (
    "when=2026-12-01T10:00:00.000000+00:00 level=error what=listen_failed reason={listen_error,"
    "{listener,{5222,{0,0,0,0},tcp}},eaddrinuse}"
)
CETS = (
    "when=2026-12-01T10:00:00.000000+00:00 level=error what=backend_requires_internal_database "
    'database=mnesia path="auth.anonymous" password="hunter2"'
)
MNESIA = (
    "when=2026-12-01T10:00:00.000000+00:00 level=critical Mnesia(mongooseim@chat-2): ** ERROR ** "
    "(core dumped to file: x) ** FATAL ** Failed to merge schema: Bad cookie in table definition"
)
OTP_27 = (
    'Could not start kernel pid (x) ("error in config file \\"/x/app.config\\" (2): '
    'syntax error before: {}")'
)


def explained(root: Path, log: str = "", slogan: str = "", **how: int) -> str:
    """Return what is said of a VM that left these behind while it booted."""
    member = make_member(root, "chat-1", JOIN_CLUSTER="false")
    Path(member.places.log_now).mkdir(parents=True)
    state.note_logs(str(root), member.places.log_now)
    if log:
        Path(member.places.log_now, "mongooseim.log").write_text(f"{log}\n")
    if slogan:
        dump = Path(member.release.server, "erl_crash.dump")
        dump.parent.mkdir(parents=True)
        dump.write_text(f"=erl_crash_dump:0.5\nTue Dec  1 2026\nSlogan: {slogan}\nSystem: x\n")
    booting = not how.get("settled", 0)
    with pytest.raises(ExplainedError) as raised:
        ended.explain(member, how.get("code", 1), booting=booting, environment_dump="")
    return str(raised.value)


@pytest.mark.parametrize(
    ("log", "slogan", "said"),
    [
        (LISTENER, "", "port 5222 was taken by another process (eaddrinuse), and is free now"),
        ("level=error reason={eaddrinuse,5269}", "", "port 5269 was taken"),
        ("", "x (...{badmatch,{error,eaddrinuse}})", "a port of its configuration was taken"),
        (CETS, "", 'of [auth.anonymous]) must become backend = "cets"'),
        (MNESIA, "", "Mnesia met a node of its schema that runs in another cluster"),
        ("level=warning x\nlevel=error write failed: enospc", "", "no space is left on the volume"),
        ("", "eheap_alloc: Cannot allocate 1 bytes of memory (of type x)", "could not get memory"),
        ("", 'Could not read "x"', 'Could not read "x"; see '),
        ("level=info all is well", "", "see what it printed above, and "),
        ('{"level":"error","what":"strange"}', "", 'it logged: {"level":"error","what":"strange"}'),
        ("level=error what=\x1b[2Jx", "", "it logged: level=error what=?[2Jx; see "),
    ],
    ids=[
        "listener",
        "port",
        "no port",
        "CETS",
        "Mnesia",
        "disk",
        "memory",
        "slogan",
        "log",
        "JSON",
        "control characters",
    ],
)
def test_what_is_known_of_a_line_is_said(tmp_path: Path, log: str, slogan: str, said: str) -> None:
    """With what to do; what is not known is quoted."""
    text = explained(tmp_path, log, slogan)
    assert said in text
    assert text.startswith("MongooseIM ended while it started (exit status 1): ")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (CETS, "Mnesia, also by default, for auth.anonymous.backend, general.component_backend"),
        ("level=error reason={eaddrinuse,5222}", "port 5222 was taken"),
    ],
    ids=["the server says so", "it says something else"],
)
def test_what_needs_mnesia_is_named_where_the_server_says_so(
    tmp_path: Path, log: str, said: str
) -> None:
    """From its configuration."""
    etc = tmp_path / "usr/lib/mongooseim/.server/etc"
    etc.mkdir(parents=True)
    (etc / "mongooseim.toml").write_text("[internal_databases.cets]\n[auth.anonymous]\n")
    assert said in explained(tmp_path, log)


def test_toml_is_not_blamed_where_the_server_speaks_of_something_else(tmp_path: Path) -> None:
    """It may read what is no TOML to us."""
    for root in (tmp_path / "a", tmp_path / "b"):
        etc = root / "usr/lib/mongooseim/.server/etc"
        etc.mkdir(parents=True)
        (etc / "mongooseim.toml").write_text("a =\n")
    assert "port 5222 was taken" in explained(tmp_path / "a", LISTENER)
    said = explained(tmp_path / "b", "level=error Could not read the TOML configuration file")
    assert "mongooseim.toml, line 1, column 4: Invalid value; correct it there" in said


def test_a_line_that_is_quoted_has_no_secret(tmp_path: Path) -> None:
    """It goes to our log, and to `kubectl describe pod`."""
    text = explained(tmp_path, CETS)
    assert "it logged: when=" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "slogan",
    [
        'Kernel pid terminated (x) ({start,[{password,"hunter2"}]})',
        'error in config file "/x/app.config" (2): syntax error before: "hunter2")',
        'error in config file "/x/app.config" (2): syntax error before: hunter2)',
        'Kernel pid terminated (x) ("{start,[{password,\\"hunter2\\"}]}")',
        'Kernel pid terminated (x) ("{start,[{password,\\"hunter2',
        OTP_27.format("hunter2"),
        OTP_27.format('\\"hunter2\\"'),
        "x (pgsql://user:hunter2@db/x)",
    ],
)
def test_a_slogan_that_is_quoted_has_no_secret(tmp_path: Path, slogan: str) -> None:
    """Nor what a crash dump has of a configuration."""
    assert "hunter2" not in explained(tmp_path, slogan=slogan)


@pytest.mark.parametrize(
    ("slogan", "said"),
    [
        (
            'Kernel pid terminated (x) ("{start,[\\"a \\\\\\"b\\\\\\"\\"]}")',
            'Kernel pid terminated (x) ({start,["a \\"b\\""]}); see ',
        ),
        ('Kernel pid terminated (x) ("{start,[a', "Kernel pid terminated (x) ({start,[a); see "),
        ('Kernel pid terminated (x) ("{start,\\', "Kernel pid terminated (x) ({start,); see "),
        (
            OTP_27.format("b"),
            "app.config, line 2: syntax error before: a word that is not shown here; correct it",
        ),
    ],
    ids=["strings in it", "cut", "cut in a character", "app.config"],
)
def test_a_slogan_of_a_newer_otp_is_read_like_others(
    tmp_path: Path, slogan: str, said: str
) -> None:
    """With Erlang/OTP 27, other than with 25, the reason in it is a string."""
    assert said in explained(tmp_path, slogan=slogan)


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    """Erlang's terms can have megabytes."""
    assert len(explained(tmp_path, f"level=error {'x' * 100_000}")) < 700


def test_what_was_logged_before_does_not_count(tmp_path: Path) -> None:
    """A log that goes on, and one that was not touched."""
    log = tmp_path / "run/mongooseim/log"
    log.mkdir(parents=True)
    old = log / "mongooseim.log"
    old.write_text("level=error the old one\n")
    (log / "other.log").write_text("level=error never touched\n")
    os.utime(log / "other.log", (1, 1))
    state.note_logs(str(tmp_path), str(log))
    with old.open("a") as file:
        file.write("level=error the new one\n")
    member = make_member(tmp_path, "chat-1", JOIN_CLUSTER="false")
    left = traces.find(member.release, member.places, member.settings)
    assert dict(left.logs) == {str(old.resolve()): "level=error the new one\n"}


def test_a_crash_dump_of_before_does_not_count(tmp_path: Path) -> None:
    """The VM would have written another one."""
    member = make_member(tmp_path, "chat-1", JOIN_CLUSTER="false")
    dump = Path(member.release.server, "erl_crash.dump")
    dump.parent.mkdir(parents=True)
    dump.write_text("=erl_crash_dump:0.5\nx\nSlogan: x\n")
    log = tmp_path / "run/mongooseim/log"
    log.mkdir(parents=True)
    state.note_logs(str(tmp_path), str(log))
    began = state.vm_began(str(tmp_path))
    assert began is not None
    for age, slogan in ((1, ""), (-1, "x")):
        os.utime(dump, (began - age, began - age))
        left = traces.find(member.release, member.places, member.settings)
        assert left.slogan == slogan


def test_a_log_that_was_begun_anew_is_read_from_its_begin(tmp_path: Path) -> None:
    """As when it was rotated meanwhile."""
    log = tmp_path / "run/mongooseim/log"
    log.mkdir(parents=True)
    (log / "mongooseim.log").write_text("level=error old\n" * 100)
    state.note_logs(str(tmp_path), str(log))
    (log / "mongooseim.log").write_text("level=error new\n")
    member = make_member(tmp_path, "chat-1", JOIN_CLUSTER="false")
    left = traces.find(member.release, member.places, member.settings)
    assert list(left.logs.values()) == ["level=error new\n"]


def test_logs_of_a_server_that_has_served_explain_nothing(tmp_path: Path) -> None:
    """They may be days old; its crash dump counts."""
    assert "see what it printed above" in explained(tmp_path / "a", MNESIA, settled=1)
    text = explained(tmp_path / "b", MNESIA, "Received SIGUSR1", settled=1)
    assert "MongooseIM ended by itself (exit status 1): Received SIGUSR1; see " in text


@pytest.mark.parametrize(("code", "said"), [(137, "SIGKILL came from"), (139, "it crashed, in")])
def test_an_end_by_a_signal_is_explained(tmp_path: Path, code: int, said: str) -> None:
    """By its number."""
    text = explained(tmp_path, code=code)
    assert f"(signal {code - 128}): {said}" in text


def test_only_a_kill_for_memory_since_its_start_explains_a_sigkill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier VM, or another program of this container, may have been killed before."""
    monkeypatch.setattr(limits, "oom_kills", lambda: 3)
    for before, said in ((2, "has reached its memory limit"), (3, "SIGKILL came from outside")):
        root = tmp_path / str(before)
        state.begin(str(root), 5222)
        counts.write(str(root), counts.OOM_KILLS, str(before))
        assert said in explained(root, code=137)


def test_a_new_life_forgets_when_the_vm_of_the_last_one_was_started(tmp_path: Path) -> None:
    """Else what that one left behind would count, where the logs cannot be looked at."""
    log = tmp_path / "run/mongooseim/log"
    log.mkdir(parents=True)
    state.note_logs(str(tmp_path), str(log))
    assert state.vm_began(str(tmp_path)) is not None
    state.begin(str(tmp_path), 5222)
    assert state.vm_began(str(tmp_path)) is None


def test_many_large_logs_are_read_in_part(tmp_path: Path) -> None:
    """The end of the container waits for that."""
    member = make_member(tmp_path, "chat-1", JOIN_CLUSTER="false")
    logs = Path(member.places.log_now)
    logs.mkdir(parents=True)
    state.note_logs(str(tmp_path), str(logs))
    for number in range(20):
        (logs / f"{number:02}.log").write_bytes(b"x" * (2 << 20))
    found = traces.find(member.release, member.places, member.settings)
    assert list(found.logs) == [f"{logs}/{number:02}.log" for number in range(4)]
    assert {len(text) for text in found.logs.values()} == {1 << 20}
