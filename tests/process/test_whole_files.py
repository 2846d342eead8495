"""Writing a file whole, whatever happens meanwhile."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from member_entrypoint.files.whole import remove, write_whole


def test_content_and_mode_are_as_given_whatever_the_umask_is(tmp_path: Path) -> None:
    """Also when a file with another mode is replaced."""
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o777)
    before = os.umask(0o077)
    try:
        write_whole(path, b"new", 0o644, durable=True)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Neither at the name itself nor at the temporary one."""
    target = tmp_path / "target"
    target.write_text("theirs")
    for name in ("file", "file.unfinished"):
        (tmp_path / name).symlink_to(target)
    write_whole(str(tmp_path / "file"), b"ours", 0o600)
    assert target.read_text() == "theirs"
    assert not (tmp_path / "file").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["file", "target"]


def test_the_old_content_stays_when_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    """As on a full disk, here a limit on the size of files; nothing half-written is left."""
    path = tmp_path / "file"
    path.write_text("old")
    script = f"""if True:
        import resource, signal
        from member_entrypoint.files.whole import write_whole
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            write_whole({str(path)!r}, b"x" * 200, 0o600)
        except OSError as error:
            print(error.errno)
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "27\n"
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    """It finds the old content or the new one, however often it looks."""
    path = tmp_path / "file"
    contents = [b"a" * 100_000, b"b" * 100_000]
    write_whole(path, contents[0], 0o600)
    script = f"""if True:
        from member_entrypoint.files.whole import write_whole
        print("begin", flush=True)
        for number in range(400):
            write_whole({str(path)!r}, b"ab"[number % 2:][:1] * 100_000, 0o600)
    """
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen = set()
        while writer.poll() is None:
            seen.add(path.read_bytes())
    assert writer.returncode == 0
    assert seen <= set(contents)


def test_a_file_that_is_not_there_can_be_removed(tmp_path: Path) -> None:
    """What cannot be removed is an error."""
    remove(str(tmp_path / "missing"))
    with pytest.raises(OSError, match="directory"):
        remove(str(tmp_path))
