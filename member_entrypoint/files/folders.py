"""Opening folders as root without trusting a path: by descriptor, component by component.

The member's user owns folders that root works in at the next start, and may have put a link in the
place of any of them. So root opens each component by itself, follows only links that nobody but
root can have made, and looks at what it has opened, not at what a name said a moment before.
"""

import errno
import os
import stat

from member_entrypoint.errors import ConfigurationError

ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_LINKS = 40  # as the kernel, path_resolution(7)
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def open_made(root: str, path: str, owners: set[int] | None = None) -> int:
    """Return a descriptor of the folder `path`, which is made if it is missing.

    `root` stands for `/` and is trusted. `owners` are the users who may have the folder, None for
    any: where it is mounted, or where only root can have put it. Raises `ConfigurationError` that
    says what stands in its place, and OSError where it cannot be made.
    """
    folder = os.open(root, ROOT)
    try:
        parts = os.path.relpath(path, root).split(os.sep)
        links = 0
        while parts:
            name = parts.pop(0)
            target = _link(folder, name)
            if target is None:
                folder = _step(folder, name, path)
                continue
            links += 1
            if links > MOST_LINKS or not _only_root_can_write(folder):
                refusal = _refusal(path, f"{name!r} in it is a link")
                raise ConfigurationError(refusal)  # noqa: TRY301 - closed like all errors
            if target.startswith("/"):
                os.close(folder)
                folder = os.open(root, ROOT)
            parts[:0] = [part for part in target.split("/") if part not in {"", "."}]
        owner = os.fstat(folder).st_uid
        if owners is not None and owner not in owners:
            refusal = _refusal(path, f"it belongs to uid {owner}")
            raise ConfigurationError(refusal)  # noqa: TRY301 - as above
    except BaseException:
        os.close(folder)
        raise
    return folder


def _link(folder: int, name: str) -> str | None:
    """Return where the link `name` leads, None if it is no link or does not exist."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None


def _step(folder: int, name: str, path: str) -> int:
    """Return a descriptor of the folder `name` in `folder`, made if missing; close `folder`."""
    try:
        try:
            inside = os.open(name, FOLDER, dir_fd=folder)
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=folder)
            inside = os.open(name, FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
            raise
        raise ConfigurationError(_refusal(path, f"{name!r} in it is no folder")) from None
    os.close(folder)
    return inside


def _only_root_can_write(folder: int) -> bool:
    found = os.fstat(folder)
    return found.st_uid == 0 and not found.st_mode & OTHERS_MAY_WRITE


def _refusal(path: str, why: str) -> str:
    return (
        f"{path} is not the folder that it should be ({why}), and root works only in folders that "
        "no other user can have put there; remove it, or start a new container"
    )


def can_be_replaced_by(uid: int, gid: int, path: str) -> bool:
    """Tell whether a user can have put something else at `path`, or at a link on the way there.

    That is so if any folder or link on the way, or the file itself, is the user's, or if the user
    may write into one of the folders; but what is mounted in such a folder cannot be replaced.
    Raises OSError where there is nothing.
    """
    parts = [part for part in path.split("/") if part]
    folder = os.open("/", ROOT)
    try:
        links = 0
        while parts:
            name = parts.pop(0)
            found = os.fstat(folder)
            if _is_of(found, uid, gid, name, folder):
                return True
            target = _link(folder, name)
            if target is not None:
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                if target.startswith("/"):
                    os.close(folder)
                    folder = os.open("/", ROOT)
                parts[:0] = [part for part in target.split("/") if part not in {"", "."}]
            elif parts:
                inside = os.open(name, FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inside
        return False
    finally:
        os.close(folder)


def open_alone(path: str) -> int:
    """Return a descriptor to read a file in a folder of a user who may not read it.

    It is no link, and has no second name: that user can have moved it there only from another
    folder of its own, where `change_owner` gives it away. Raises OSError for anything else.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and _links_are_protected():
        return descriptor
    os.close(descriptor)
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _is_of(folder: os.stat_result, uid: int, gid: int, name: str, descriptor: int) -> bool:
    """Tell whether a user has `name` in the folder, or can put something else in its place."""
    entry = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    if entry.st_uid == uid and not stat.S_ISDIR(entry.st_mode):
        return True
    if _is_mount(name, descriptor):
        return False
    if folder.st_uid == uid:
        return True
    if folder.st_mode & stat.S_ISVTX and entry.st_uid != uid:
        return False
    by_group = folder.st_mode & stat.S_IWGRP and folder.st_gid == gid
    return bool(by_group or folder.st_mode & stat.S_IWOTH)


def _is_mount(name: str, folder: int) -> bool:
    handle = os.open(name, HANDLE, dir_fd=folder)
    try:
        return _mount_of(handle) != _mount_of(folder)
    finally:
        os.close(handle)


def change_owner(top: int, uid: int, gid: int, *, links_protected: bool | None = None) -> None:
    """Make uid and gid the owner of the folder `top` and of all below, as far as possible.

    No link is followed. What is mounted in it stays as it is, and so does a file with a second
    name, which may be outside. Where the kernel lets users make such names for the files of others
    (`links_protected` is what it says, unless given), files stay as they are in folders where the
    user could do that, too: the name can be gone before it is counted. Errors are skipped: a later
    write reports them.
    """
    if links_protected is None:
        links_protected = _links_are_protected()
    mount = _mount_of(top)
    for _, folders, files, folder in os.fwalk(".", dir_fd=top, follow_symlinks=False):
        found = os.fstat(folder)
        safe = links_protected or not (found.st_uid == uid or found.st_mode & OTHERS_MAY_WRITE)
        for name in folders.copy():
            kind = _kind(name, folder, mount)
            if kind != stat.S_IFDIR:
                folders.remove(name)
            if kind == stat.S_IFLNK:
                _change_one(name, folder, mount, uid, gid)
        for name in files if safe else ():
            _change_one(name, folder, mount, uid, gid)
        # Last: whose the folder is, tells what its files may be.
        _change_one(".", folder, mount, uid, gid)


def _kind(name: str, folder: int, mount: str) -> int:
    """Return the type of a file, 0 if it is mounted there or cannot be looked at."""
    try:
        handle = os.open(name, HANDLE, dir_fd=folder)
    except OSError:
        return 0
    try:
        return stat.S_IFMT(os.fstat(handle).st_mode) if _mount_of(handle) == mount else 0
    finally:
        os.close(handle)


def _links_are_protected() -> bool:
    """Tell whether the kernel keeps users from hard links to what is not theirs: proc(5)."""
    try:
        with open("/proc/sys/fs/protected_hardlinks", encoding="ascii") as file:
            return file.read().strip() == "1"
    except OSError:
        return False


def _change_one(name: str, folder: int, mount: str, uid: int, gid: int) -> None:
    """Change the owner of one file, unless it is mounted there or has a second name."""
    try:
        handle = os.open(name, HANDLE, dir_fd=folder)
    except OSError:
        return
    try:
        found = os.fstat(handle)
        alone = stat.S_ISDIR(found.st_mode) or found.st_nlink == 1
        if found.st_uid != uid and alone and _mount_of(handle) == mount:
            # The descriptor names what was looked at, whatever stands under the name by now.
            os.chown(f"/proc/self/fd/{handle}", uid, gid)
    except OSError:
        return
    finally:
        os.close(handle)


def is_mounted(path: str, folder: str) -> bool:
    """Tell whether `path` is in another mount than `folder`; False if that cannot be known."""
    try:
        return _mount_at(path) != _mount_at(folder)
    except OSError:
        return False


def _mount_at(path: str) -> str:
    handle = os.open(path, HANDLE)
    try:
        return _mount_of(handle)
    finally:
        os.close(handle)


def _mount_of(descriptor: int) -> str:
    """Return the number of the mount that a file was opened in: proc_pid_fdinfo(5)."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
        return next((line for line in file if line.startswith("mnt_id:")), "")
