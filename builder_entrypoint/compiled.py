"""Keeps compiled dependencies for later builds with the same lock, compilers and path.

All that a lock pins is one file. Its name has a key, made of all that the compiled code depends on,
and the file's own checksum: so it is there whole or not at all, and never for another build. It is
unpacked, not linked, because a build may write into its dependencies.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from builder_entrypoint.errors import BuildError, StoppedError
from builder_entrypoint.job import Job
from builder_entrypoint.lockfile import Lock
from builder_entrypoint.locks import remove_orphaned_files, temporary_file
from builder_entrypoint.versions import otp_version

LARGEST = 2 * 2**30
"""Bytes of all files together; those that were not used for the longest time are removed."""
TEMPORARY = ".unfinished-"
CHUNK = 2**20
FORMAT = "1"
"""Part of the key: another number makes all older files useless."""
SOURCES = ("rebar.lock", "rebar.config", "rebar.config.script", "configure.out")
VARIABLES = (
    *("CC", "CFLAGS", "CPPFLAGS", "CXX", "CXXFLAGS", "LDFLAGS"),
    *("ERL_COMPILER_OPTIONS", "ERL_LIBS", "REBAR_CONFIG", "REBAR_PROFILE"),
)
INSTALLED = Path("/var/lib/dpkg/status")
"""What is installed, of which version: libraries and headers that compiled code depends on."""


class CompiledDependencies:
    """The compiled dependencies of one build."""

    def __init__(self, job: Job, lock: Lock) -> None:
        """Take the lock of the source, which is configured already."""
        self._job = job
        self._lock = lock
        self._folder = job.settings.cache / "compiled"
        self._active = job.settings.use_cache and bool(lock.applications)
        self._restored = False
        self._key = self._make_key() if self._active else ""

    def restore(self) -> None:
        """Put them where rebar3 looks for them, if there are some. Raises `StoppedError`."""
        if not self._active:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            remove_orphaned_files(self._folder, TEMPORARY)
            self._restored = any(map(self._unpack, sorted(self._folder.glob(f"{self._key}-*.tar"))))
        except OSError as error:
            self._disable(error)
        self._count()

    def save(self) -> None:
        """Keep them, after a build that succeeded. If that fails, it is said.

        Raises `StoppedError`.
        """
        if not self._active or self._restored:
            return
        try:
            self._pack()
            self._remove_oldest()
        except StoppedError:
            raise
        except (OSError, BuildError) as error:
            self._disable(error)

    def _unpack(self, path: Path) -> bool:
        """Unpack a file and return whether that worked; remove one that is damaged."""
        if path.name != f"{self._key}-{_digest(path, self._job.processes.signals.check)}.tar":
            self._job.processes.output.say("the cached compiled dependencies are damaged")
            path.unlink(missing_ok=True)
            return False
        folder = self._job.work / "compiled"
        folder.mkdir()
        target = self._job.source.folder / "_build"
        command = ["tar", "--extract", "--preserve-permissions", "--no-same-owner"]
        ended = self._job.processes.run(
            [*command, f"--file={path}", f"--directory={folder}"],
            name="unpacking compiled dependencies",
            environment=self._job.environment,
        )
        if not ended.succeeded or target.exists():
            shutil.rmtree(folder)
            return False
        (folder / "_build").rename(target)
        os.utime(path)  # so that it is not the oldest
        return True

    def _pack(self) -> None:
        """Write all of them into one file. Raises `OSError`, `BuildError`."""
        names = sorted(self._built())
        if not names:
            return
        with temporary_file(self._folder, TEMPORARY) as (path, file):
            digest = hashlib.sha256()

            def write(data: bytes) -> None:
                digest.update(data)
                file.write(data)

            # This format keeps the times to the nanosecond, by which rebar3 knows what is newer.
            command = [
                "tar",
                "--create",
                "--format=posix",
                f"--directory={self._job.source.folder}",
            ]
            ended = self._job.processes.run(
                [*command, "--", *names],
                name="tar",
                environment=self._job.environment,
                take=write,
            )
            if not ended.succeeded:
                raise BuildError(ended.explained(), ended)
            file.flush()
            os.fsync(file.fileno())
            path.rename(self._folder / f"{self._key}-{digest.hexdigest()}.tar")

    def _built(self) -> Iterator[str]:
        """Yield the folders, relative to the source, of what the lock pins and rebar3 compiled."""
        for profile in (self._job.source.folder / "_build").iterdir():
            for application in self._lock.applications:
                path = profile / "lib" / application
                if path.is_dir() and not path.is_symlink():
                    yield str(path.relative_to(self._job.source.folder))

    def _remove_oldest(self) -> None:
        """Remove what was not used for the longest time until all is small enough."""
        files = [(path.stat(), path) for path in self._folder.glob("*.tar")]
        size = sum(status.st_size for status, _ in files)
        for status, path in sorted(files, key=lambda file: file[0].st_mtime):
            if size > LARGEST:
                path.unlink(missing_ok=True)
                size -= status.st_size

    def _make_key(self) -> str:
        folder = self._job.source.folder
        environment = self._job.environment
        compiler = bytearray()
        self._job.processes.run(
            [environment.get("CC") or "cc", "--version"],
            name="cc",
            environment=environment,
            take=compiler.extend,
        )
        parts = [
            FORMAT,
            str(folder),
            os.uname().machine,
            str(otp_version()),
            os.path.realpath(shutil.which("erl") or ""),
            compiler.decode(errors="replace"),
            *(f"{name}={environment.get(name)}" for name in VARIABLES),
            *(_digest_of_file(path) for path in (INSTALLED, *(folder / name for name in SOURCES))),
        ]
        return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:32]

    def _count(self) -> None:
        number = len(self._lock.applications)
        self._job.processes.output.progress.count(
            "compiled dependencies",
            cached=number * self._restored,
            fetched=number * (not self._restored),
        )

    def _disable(self, error: Exception) -> None:
        self._active = False
        self._job.processes.output.say(f"compiled dependencies are not kept: {error}")


def _digest(path: Path, check_stop: Callable[[], None]) -> str:
    """Return the SHA-256 of a large file; `check_stop` is called again and again."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            check_stop()
            digest.update(data)
    return digest.hexdigest()


def _digest_of_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
