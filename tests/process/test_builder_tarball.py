"""What is packed: always the same bytes, links followed, and nothing that is not the build's."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
from builder_tools import RELEASE, Repository, Workshop
from processes import tool
from tarballs import content, read

PACK = """
import os, pathlib, sys
from builder_entrypoint.masking import Mask
from builder_entrypoint.output import Output
from builder_entrypoint.processes import Processes
from builder_entrypoint.signals import Signals
from builder_entrypoint.tarball import packed
signals = Signals()
processes = Processes(signals, Output(Mask(), lambda: False))
release, builds = map(pathlib.Path, sys.argv[1:3])
with packed(release, builds, 86400, processes, dict(os.environ)) as tarball:
    tarball.path.rename(builds / sys.argv[3])
"""


def pack(workshop: Workshop, release: Path, name: str, *prefix: str, **variables: str) -> bytes:
    """Pack a folder and return the bytes of the tarball."""
    subprocess.run(
        [*prefix, sys.executable, "-c", PACK, str(release), str(workshop.builds), name],
        env=workshop.environment(**variables),
        check=True,
        timeout=60,
    )
    return (workshop.builds / name).read_bytes()


def make_tree(folder: Path, names: list[str]) -> Path:
    """Make a tree with the files `names`, in that order, and links between them."""
    release = folder / "mongooseim"
    for name in names:
        path = release / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}\n" * 20000)
    (release / "link").symlink_to("b/two")
    return release


def test_same_tree_gives_the_same_bytes(workshop: Workshop) -> None:
    """Order of creation, times, hard links, variables and the number of cores change nothing."""
    names = ["a", "b/two", "b/Three", "c/d/e"]
    one = make_tree(workshop.folder / "one", names)
    other = make_tree(workshop.folder / "other", names[::-1])
    os.utime(other / "a", (1, 1))
    (other / "b" / "two").unlink()
    (workshop.folder / "elsewhere").write_bytes((one / "b" / "two").read_bytes())
    os.link(workshop.folder / "elsewhere", other / "b" / "two")
    os.link(workshop.folder / "elsewhere", other / "f")
    (one / "f").write_bytes((one / "b" / "two").read_bytes())
    first = pack(workshop, one, "first", tool("taskset"), "-c", "0")
    second = pack(workshop, other, "second", TZ="Asia/Tokyo", GZIP="-1", TAR_OPTIONS="--verbose")
    assert first == second


def test_same_files_as_those_of_tar(workshop: Workshop) -> None:
    """The tarball holds what `tar czfh`, the command of the shell version, puts into its own."""
    release = make_tree(workshop.folder, ["a", "b/two", "c/d/e"])
    theirs, ours = workshop.folder / "theirs.tar.gz", workshop.builds / "ours.tar.gz"
    command = [tool("tar"), "czfh", str(theirs), "-C", str(workshop.folder), release.name]
    subprocess.run(command, check=True, timeout=60)
    pack(workshop, release, ours.name)
    with tarfile.open(theirs) as archive:
        # Files that are the same on the disk are hard links here.
        expected = {member.name: read(archive, member) for member in archive if not member.isdir()}
    assert content(ours) == expected


def test_every_file_that_a_link_leads_to_is_packed(
    workshop: Workshop, repository: Repository
) -> None:
    """Links to files and folders of the build, and to files that all may read, are followed."""
    repository.make(
        f"@ln -s mongooseim {RELEASE}/bin/mim",
        f"@ln -s ../../../../hello {RELEASE}/source",
        f"@ln -s bin {RELEASE}/programs",
        f"@ln -s /etc/passwd {RELEASE}/passwd",
    )
    packed = content(workshop.build("p", repository.url, "master").tarball)
    assert packed["mongooseim/bin/mim"] == b"hello\n"
    assert packed["mongooseim/source"] == b"hello\n"
    assert packed["mongooseim/programs/mongooseim"] == b"hello\n"
    assert packed["mongooseim/passwd"].startswith(b"root:")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("ln -s /etc/shadow {0}/keys", "mongooseim/keys leads to /etc/shadow"),
        ("ln -s secrets {0}/etc; ln -s $(HOME)/private {0}/secrets", "not readable by everybody"),
        ("ln -s $(HOME)/private/key {0}/key", "mongooseim/key leads to"),
        ("ln -s nowhere {0}/dangling", "mongooseim/dangling is a link to nowhere"),
        ("ln -s me {0}/me", "mongooseim/me is a link to me, which cannot be followed"),
        ("ln -s .. {0}/bin/up", "mongooseim/bin/up leads back to a folder that it is in"),
        ("ln -s ../../.. {0}/all", "leads back to a folder"),
        ("ln -s /dev/zero {0}/zero", "mongooseim/zero is neither a file nor a folder"),
        ("mkfifo {0}/fifo", "mongooseim/fifo is neither a file nor a folder"),
    ],
)
def test_links_that_lead_astray_are_named(
    workshop: Workshop, repository: Repository, recipe: str, message: str
) -> None:
    """Secrets, nothing, circles and devices end the build with 2; the message names the link."""
    private = workshop.home / "private"
    private.mkdir(mode=0o700)
    (private / "key").write_text("secret\n")
    repository.make(f"@{recipe.format(RELEASE)}")
    result = workshop.build("p", repository.url, "master")
    assert result.status == 2, result.output
    assert message in result.said[-2]
    assert workshop.tarballs() == []


def test_a_secret_in_a_folder_that_all_may_read_is_not_packed(
    workshop: Workshop, repository: Repository
) -> None:
    """A link to a folder elsewhere brings only what everybody may read."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        public = Path(folder)
        public.chmod(0o755)
        (public / "notice").write_text("for all\n")
        repository.make(f"@ln -s {folder} {RELEASE}/public")
        packed = content(workshop.build("p", repository.url, "master").tarball)
        assert packed["mongooseim/public/notice"] == b"for all\n"
        (public / "secret").touch(0o600)
        result = workshop.build("p", repository.url, "master")
    assert result.status == 2
    assert f"mongooseim/public/secret leads to {folder}/secret" in result.said[-2]


def test_what_git_keeps_of_dependencies_is_not_packed(
    workshop: Workshop, repository: Repository
) -> None:
    """Neither folders nor files called .git, also behind a link; the build says how much it was."""
    lib = f"{RELEASE}/lib"
    repository.make(
        "@mkdir -p deps/re2/.git/objects && head -c 1000 /dev/zero > deps/re2/.git/objects/pack",
        "@echo nif > deps/re2/re2.so; echo '*.o' > deps/re2/.gitignore",
        f"@mkdir -p {lib}/sub && ln -s ../../../../../deps/re2 {lib}/re2",
        f"@printf 'gitdir: x' > {lib}/sub/.git; ln -s /etc/shadow deps/re2/.git/secret",
    )
    result = workshop.build("p", repository.url, "master")
    packed = {name for name in content(result.tarball) if name.startswith("mongooseim/lib/")}
    assert packed == {"mongooseim/lib/re2/re2.so", "mongooseim/lib/re2/.gitignore"}
    assert "not packed: 2 .git of dependencies, 1,020 bytes" in result.said


def test_no_file_runs_as_its_owner(workshop: Workshop, repository: Repository) -> None:
    """Bits for setuid and setgid are removed, whatever the sources have; all others stay."""
    program = f"{RELEASE}/bin/mongooseim"
    repository.make(f"@chmod 6755 {program}; chmod 2750 {RELEASE}/bin; chmod 1777 {RELEASE}")
    with tarfile.open(workshop.build("p", repository.url, "master").tarball) as archive:
        modes = {member.name: member.mode for member in archive}
    assert modes["mongooseim/bin/mongooseim"] == 0o755
    assert modes["mongooseim/bin"] == 0o750
    assert modes["mongooseim"] == 0o1777


def test_names_with_newlines_are_packed(workshop: Workshop, repository: Repository) -> None:
    """A file name may hold whatever the file system takes, in the repository and the release."""
    name = "new\nline -x \udcff"
    (repository.folder / name).write_text("odd\n")
    repository.make(f"@cp new* {RELEASE}/bin/; ln -s new* {RELEASE}/bin/-link")
    tarball = workshop.build("p", repository.url, "master").tarball
    packed = content(tarball)
    assert packed[f"mongooseim/bin/{name}"] == b"odd\n"
    with tarfile.open(tarball) as archive:
        assert all(member.name.startswith("mongooseim") for member in archive)


def test_dangling_link_with_a_newline_is_named_on_one_line(
    workshop: Workshop, repository: Repository
) -> None:
    """A hostile name cannot forge a line of the log."""
    repository.make(f"@ln -s nowhere \"{RELEASE}/$$(printf 'x\\n[2025-01-01] y is ready')\"")
    result = workshop.build("p", repository.url, "master")
    assert result.status == 2
    assert r"x\n[2025-01-01] y is ready" in result.said[-2]


def test_files_of_dead_builds_are_removed_and_those_of_others_left(
    workshop: Workshop, repository: Repository
) -> None:
    """A temporary file that nobody has locked is a leftover; a locked one is another build's."""
    dead = workshop.builds / ".mongooseim-builder-dead"
    alive = workshop.builds / ".mongooseim-builder-alive"
    dead.touch()
    folder = workshop.temporary / f"mongooseim-builder-{os.getuid()}"
    (folder / "7" / "source").mkdir(parents=True)
    (folder / "7.lock").touch()
    with alive.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert workshop.build("p", repository.url, "master").status == 0
    assert not dead.exists()
    assert alive.exists()
    assert not (folder / "7").exists()


def test_tarball_has_the_permissions_of_an_ordinary_file(
    workshop: Workshop, repository: Repository
) -> None:
    """Whoever may read files made in the folder may read the tarball, and what is beside it."""
    plain = workshop.folder / "plain"
    plain.touch()
    workshop.build("p", repository.url, "master")
    assert {path.stat().st_mode for path in workshop.tarballs()} == {plain.stat().st_mode}
