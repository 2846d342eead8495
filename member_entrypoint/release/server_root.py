"""The folder that the server runs from: the release, but for its configuration and its logs.

`/usr/lib/mongooseim` is the release as it came, and operators may mount, copy or move into it what
they like. `.server` in it is ours: `etc`, `var` and `log` lead to folders that each start fills,
all else is the release's, by links. The programs are copies: they find `etc` by where they are.
"""

import contextlib
import os
import re

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import users
from member_entrypoint.files.whole import write_whole
from member_entrypoint.places import Places
from member_entrypoint.release.active import PRISTINE, SERVER

AS_MEMBER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "as-member.sh")
SHELL = re.compile(rb"#!.*\b(ba|da|k)?sh\b")
READ = os.O_RDONLY | os.O_CLOEXEC
LONGEST_PROGRAM = 1 << 20  # bytes of a program that is copied; larger ones are no scripts
RUN_TIME = ("etc", "var", "log")
TEMPLATES = "templates"  # those of the bootstrap scripts, which operators mount


def lay_out(root: str, later: Places) -> None:
    """Make the server's folder in the release `root`, which was just unpacked.

    `later` are the places as the member will see them. Raises OSError, `ConfigurationError`.
    """
    import shutil  # 10 modules, which a start without a new release does not need

    server = os.path.join(root, SERVER)
    for name in (SERVER, "var", "log"):
        shutil.rmtree(os.path.join(root, name), ignore_errors=True)
    os.makedirs(os.path.join(server, "bin"))
    _copy_files(os.path.join(root, "etc"), os.path.join(server, PRISTINE))
    var = os.path.join(later.run, "var")
    os.symlink(os.path.join(later.run, "etc"), os.path.join(server, "etc"))
    os.symlink(later.log_now, os.path.join(server, "log"))
    os.symlink(var, os.path.join(server, "var"))
    os.symlink(os.path.join("..", TEMPLATES), os.path.join(server, TEMPLATES))
    os.symlink(later.log, os.path.join(root, "log"))
    os.symlink(var, os.path.join(root, "var"))
    programs = os.path.join(root, "bin")
    for path in (os.path.join(programs, name) for name in os.listdir(programs)):
        if os.path.isfile(path):
            _have_it_run_as_member(path)
    _give_to_member(os.path.join(root, "etc"), later)
    bring_up_to_date(root, None)


def _give_to_member(etc: str, places: Places) -> None:
    """Let the member write into the release's own `etc`, whatever user it is."""
    if os.path.islink(etc):
        return
    os.chmod(etc, 0o1777)  # noqa: S103 - as /run/mongooseim, and /tmp
    user = users.image_user(places)
    if user and os.geteuid() == 0:
        os.chown(etc, *user)
        for entry in os.scandir(etc):
            # A second name may be one of what only root shall change: as `folders.change_owner`.
            if (
                entry.is_dir(follow_symlinks=False)
                or entry.stat(follow_symlinks=False).st_nlink == 1
            ):
                os.chown(entry.path, *user, follow_symlinks=False)


def bring_up_to_date(root: str, places: Places | None) -> list[str]:
    """Let the server's folder in the release `root` have what has come into the release since.

    `places` is None for a release that nobody but this process can have changed. Returns a warning
    for each thing that the server will not see, since this user may not write there. Raises
    `ConfigurationError` for a program that cannot be read, and where the release has no folder for
    the server.
    """
    refuse_not_laid_out(root)
    server = os.path.join(root, SERVER)
    ours = _is_ours(server) and _is_ours(os.path.join(server, "bin"))
    unseen = []
    for name in sorted(os.listdir(root)):
        if name not in {SERVER, "bin", *RUN_TIME} and not os.path.lexists(f"{server}/{name}"):
            if ours:
                os.symlink(os.path.join("..", name), os.path.join(server, name))
            else:
                unseen.append(os.path.join(root, name))
    for name in sorted(os.listdir(os.path.join(root, "bin"))):
        given, used = os.path.join(root, "bin", name), os.path.join(server, "bin", name)
        content = _program(given, used, places)
        if content is None:
            if not os.path.lexists(used) and ours:
                os.symlink(os.path.join("../../bin", name), used)
        elif content != _program(used, used, places):
            if ours:
                write_whole(used, content, 0o755)
            else:
                unseen.append(given)
    return [
        f"the server does not see {path} at its place below {root}, since {server} cannot be "
        "written; name it by its whole path, or start the container as root with a writable root"
        for path in unseen
    ]


def refuse_not_laid_out(root: str) -> None:
    """Raise `ConfigurationError` where the release in `root` has no folder for the server."""
    server = os.path.join(root, SERVER)
    if not os.path.isdir(os.path.join(server, "bin")):
        raise ConfigurationError(
            f"{root} was not unpacked by this image, or something else is mounted on it: there is "
            f"no {server}/bin; give a release as /member/mongooseim.tar.gz, or build an image from "
            "it (Dockerfile.member)"
        )


def _is_ours(folder: str) -> bool:
    """Tell whether `folder` is a folder of this user's, on a file system that can be written."""
    return (
        not os.path.islink(folder)
        and os.stat(folder).st_uid == os.geteuid()
        and os.access(folder, os.W_OK)
    )


def _copy_files(source: str, target: str) -> None:
    """Copy the files of a folder, not its subfolders; what is missing there makes an empty one."""
    os.mkdir(target)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_file():
                with open(entry.path, "rb") as file:
                    write_whole(os.path.join(target, entry.name), file.read(), 0o644)


def _program(path: str, used: str, places: Places | None) -> bytes | None:
    """Return the content of a program, as the server's folder has it; None if it is no script.

    What the member's user may not read is no program of the server's, and a copy would show it.
    Raises `ConfigurationError` if that stands where the release has one, whose copy is `used`.
    """
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > LONGEST_PROGRAM:
            return None
        return _content(users.open_as_member(path, places) if places else os.open(path, READ))
    except OSError as error:
        if not places or os.path.islink(used) or not os.path.isfile(used):
            return None
        with contextlib.suppress(OSError):
            content = _content(users.open_to_read(path, places))
            if content == _content(os.open(used, READ)):
                return content
        raise ConfigurationError(
            f"{path} cannot be read by the member's user ({error.strerror})"
        ) from None


def _content(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return _as_member_first(file.read(LONGEST_PROGRAM))


def _have_it_run_as_member(program: str) -> None:
    """Have one of the release's shell scripts read `as-member.sh` first; see there.

    A line after the first, so that nothing else of the script counts: not what it calls, nor how
    it finds out where it is.
    """
    with open(program, "rb") as file:
        content = file.read(LONGEST_PROGRAM + 1)
    if SHELL.match(content):
        if len(content) > LONGEST_PROGRAM:
            raise ConfigurationError(
                f"{program} is a script of more than {LONGEST_PROGRAM >> 20} MiB, which none of "
                "MongooseIM's is: build the tarball anew"
            )
        with open(program, "wb") as file:
            file.write(_as_member_first(content))


def _as_member_first(content: bytes) -> bytes:
    line = f"[ ! -r {AS_MEMBER} ] || . {AS_MEMBER}\n".encode()
    first, newline, rest = content.partition(b"\n")
    if not SHELL.match(first) or rest.startswith(line):
        return content
    return first + newline + line + rest
