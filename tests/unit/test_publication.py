"""A complete tarball gets its name, with what describes it beside it: all of it or nothing."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from builder_entrypoint import VERSION, publication
from builder_entrypoint.errors import StoppedError, TarballError
from builder_entrypoint.locks import locked, remove_orphaned_files
from builder_entrypoint.publication import Built, publish
from builder_entrypoint.settings import Settings, read_settings
from builder_entrypoint.source import Source
from builder_entrypoint.tarball import TEMPORARY, Packed
from builder_entrypoint.versions import CARRIED

if TYPE_CHECKING:
    from collections.abc import Callable

HASH, SHA256 = "0b7fa8c8f87306ea1ab88f841af78ca399768a10", "a" * 64
STARTED = datetime(2026, 1, 2, 3, 4, 5).astimezone()
ENDINGS = [".cdx.json", ".json", ".provenance.json", ".tar.gz", ".tar.gz.sha256"]


class Clock(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:  # noqa: ARG003 - that of datetime has it
        """Return five minutes after the build began."""
        return STARTED + timedelta(minutes=5)


class Workshop:
    """A folder for tarballs, and a release that was built from a commit."""

    def __init__(self, folder: Path) -> None:
        """Make the folders."""
        self.builds = folder / "builds"
        self.builds.mkdir()
        release = folder / "mongooseim"
        (release / "releases").mkdir(parents=True)
        (release / "releases/start_erl.data").write_text("15.2 6.8.0\n")
        (release / "lib/exml-4.2.1").mkdir(parents=True)
        (release / CARRIED).mkdir(parents=True)
        (release / CARRIED / "libodbc.so.2").touch()
        source = Source(
            folder=folder, name="6.8.0", commit_hash=HASH, description="6.8.0-1-g0b7fa8c", time=7
        )
        self.packed = self.builds / f"{TEMPORARY}packed"
        self.built = Built(source, release, Packed(path=self.packed, size=7, sha256=SHA256))

    def settings(self, **variables: str) -> Settings:
        """Return the settings of a build into the folder."""
        arguments = ["p", "https://me:s3cret@host/x", "6.8.0"]
        return read_settings(arguments, {"BUILDS": str(self.builds), **variables})

    def publish(
        self,
        settings: Settings,
        content: str = "packed",
        *,
        stop: bool = False,
        wait: Callable[[float], None] | None = None,
    ) -> Path:
        """Publish a tarball with this content; `stop`: a signal arrives meanwhile.

        `wait` is called while another build publishes one.
        """

        def check() -> None:
            if stop:
                raise StoppedError("stopped by SIGTERM")

        self.packed.write_text(content)
        progress = SimpleNamespace(started=STARTED)
        processes = SimpleNamespace(
            signals=SimpleNamespace(check=check, wait=wait),
            output=SimpleNamespace(progress=progress),
        )
        return publish(settings, self.built, cast("Any", processes))

    def files(self) -> dict[str, str]:
        """Return the files in the folder, with their content."""
        return {path.name: path.read_text() for path in self.builds.iterdir() if path.is_file()}


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Return a workshop in which the time stands still."""
    monkeypatch.setattr(publication, "datetime", Clock)
    monkeypatch.setattr(publication, "otp_version", lambda: "27.3.4")
    return Workshop(tmp_path)


def test_a_tarball_has_its_sum_and_three_descriptions_beside_it(workshop: Workshop) -> None:
    """And nothing else is left in the folder."""
    tarball = workshop.publish(workshop.settings())
    stem = "mongooseim-p-6.8.0-2026-01-02_030905"
    assert tarball == workshop.builds / f"{stem}.tar.gz"
    files = workshop.files()
    assert sorted(files) == [f"{stem}{ending}" for ending in ENDINGS]
    assert files[tarball.name] == "packed"
    assert files[f"{stem}.tar.gz.sha256"] == f"{SHA256}  {tarball.name}\n"
    provenance = json.loads(files[f"{stem}.provenance.json"])
    assert provenance["subject"] == [{"name": tarball.name, "digest": {"sha256": SHA256}}]
    materials = json.loads(files[f"{stem}.cdx.json"])
    assert materials["bomFormat"] == "CycloneDX"


def test_our_own_description_has_what_was_asked_for_and_what_came_of_it(
    workshop: Workshop,
) -> None:
    """Without credentials, and as lines that people read."""
    tarball = workshop.publish(workshop.settings(ARCH="arm64", CONFIGURE_ARGS="with-all"))
    text = tarball.with_name(tarball.name.replace(".tar.gz", ".json")).read_text()
    assert text.startswith('{\n  "project": "p",\n')
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "project": "p",
        "repository": "https://***@host/x",
        "asked_for": "6.8.0",
        "commit": HASH,
        "description": "6.8.0-1-g0b7fa8c",
        "mongooseim_version": "6.8.0",
        "otp_version": "27.3.4",
        "architecture": "arm64",
        "shared_libraries": ["libodbc.so.2"],
        "time": (STARTED + timedelta(minutes=5)).isoformat(),
        "tarball": tarball.name,
        "size": 7,
        "sha256": SHA256,
        "builder_version": VERSION,
    }


def test_other_tools_read_the_same_facts(workshop: Workshop) -> None:
    """When the build began and ended, from what and how it was made, what is in it."""
    tarball = workshop.publish(workshop.settings(CONFIGURE_ARGS="with-all user=x"))
    files = workshop.files()
    stem = tarball.name.removesuffix(".tar.gz")
    predicate = json.loads(files[f"{stem}.provenance.json"])["predicate"]
    assert predicate["buildDefinition"]["externalParameters"] == {
        "project": "p",
        "repository": "https://host/x",
        "commit": "6.8.0",
        "configureArguments": "with-all user=x",
    }
    assert predicate["buildDefinition"]["internalParameters"] == {
        "otpVersion": "27.3.4",
        "architecture": os.uname().machine,
    }
    [source] = predicate["buildDefinition"]["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": HASH}
    times = predicate["runDetails"]["metadata"]
    began, ended = (datetime.fromisoformat(times[key]) for key in ("startedOn", "finishedOn"))
    assert (began, ended) == (STARTED, STARTED + timedelta(minutes=5))
    materials = json.loads(files[f"{stem}.cdx.json"])
    assert materials["metadata"]["timestamp"] == "1970-01-01T00:00:07Z"
    assert materials["metadata"]["component"]["version"] == "6.8.0"
    assert "exml" in {one["name"] for one in materials["components"]}


@pytest.mark.parametrize("ending", [".tar.gz", ".json"])
def test_a_name_with_the_time_is_given_once(workshop: Workshop, ending: str) -> None:
    """Two builds in one second are a second apart, also where one is a link to nowhere."""
    for second in ("05", "06", "07"):
        taken = workshop.builds / f"mongooseim-p-6.8.0-2026-01-02_0309{second}{ending}"
        taken.symlink_to("nowhere")
    assert workshop.publish(workshop.settings()).name == (
        "mongooseim-p-6.8.0-2026-01-02_030908.tar.gz"
    )


def test_a_tarball_of_the_same_name_is_replaced_with_all_beside_it(workshop: Workshop) -> None:
    """Files beside a tarball always belong to it."""
    settings = workshop.settings(TARBALL_NAME="x")
    workshop.publish(settings)
    (workshop.builds / "x.json").write_text("old")
    workshop.publish(settings, "packed anew")
    files = workshop.files()
    assert sorted(files) == [f"x{ending}" for ending in ENDINGS]
    assert files["x.tar.gz"] == "packed anew"
    assert json.loads(files["x.json"])["sha256"] == SHA256


@pytest.mark.parametrize("ending", [".json", ".cdx.json"])
def test_what_is_in_the_way_leaves_the_older_tarball(workshop: Workshop, ending: str) -> None:
    """With what was beside it; the error says where and why."""
    settings = workshop.settings(TARBALL_NAME="x")
    workshop.publish(settings, "older")
    older = workshop.files()
    in_the_way = workshop.builds / f"x{ending}"
    in_the_way.unlink()
    in_the_way.mkdir()
    with pytest.raises(TarballError) as refusal:
        workshop.publish(settings, "newer")
    assert str(refusal.value) == (
        f"packing failed: cannot name the tarball in {workshop.builds}: Is a directory"
    )
    del older[in_the_way.name]
    left = workshop.files()
    assert left.pop(workshop.packed.name, "newer") == "newer"
    assert left == older


def never(_seconds: float) -> None:
    """Wait for a lock that nobody else has."""
    raise AssertionError("nobody else has it")


def test_a_name_that_cannot_be_given_leaves_the_older_tarball(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though another build removes what killed builds have left at that moment."""
    settings = workshop.settings(TARBALL_NAME="x")
    workshop.publish(settings, "older")
    older = workshop.files()
    rename = Path.rename

    def fail_for_one(path: Path, name: Path) -> Path:
        remove_orphaned_files(workshop.builds, TEMPORARY)
        if name.name == "x.json":
            raise OSError(5, "Input/output error")
        return rename(path, name)

    monkeypatch.setattr(Path, "rename", fail_for_one)
    workshop.packed.touch()
    with locked(workshop.packed, never), pytest.raises(TarballError, match="Input/output error"):
        workshop.publish(settings, "newer")
    del older["x.json"]
    assert workshop.files() == older


def test_two_builds_publish_one_after_the_other(workshop: Workshop) -> None:
    """Names are given under a lock, and a stop is noticed while that is waited for."""
    waits: list[float] = []
    with contextlib.ExitStack() as other:
        other.enter_context(locked(workshop.builds, waits.append))

        def wait(seconds: float) -> None:
            waits.append(seconds)
            other.close()

        assert workshop.publish(workshop.settings(), wait=wait).is_file()
    assert len(waits) == 1


def test_a_name_that_is_a_folder_leaves_no_tarball(workshop: Workshop) -> None:
    """Nor anything beside it."""
    (workshop.builds / "x.tar.gz").mkdir()
    with pytest.raises(TarballError, match="Is a directory"):
        workshop.publish(workshop.settings(TARBALL_NAME="x"))
    assert list(workshop.files()) == [workshop.packed.name]


def test_a_build_that_is_stopped_names_nothing(workshop: Workshop) -> None:
    """An older tarball of the same name stays, and no temporary file does."""
    settings = workshop.settings(TARBALL_NAME="x")
    workshop.publish(settings, "older")
    older = workshop.files()
    with pytest.raises(StoppedError):
        workshop.publish(settings, "newer", stop=True)
    left = workshop.files()
    assert left.pop(workshop.packed.name) == "newer"
    assert left == older


def test_all_is_on_the_disk_before_it_has_its_name(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as fsync can tell: four files, and then the folder."""
    synced = []

    def note(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", note)
    workshop.publish(workshop.settings())
    assert len(synced) == len(ENDINGS)
    assert all(path.startswith(f"{workshop.builds}/{TEMPORARY}") for path in synced[:-1])
    assert synced[-1] == str(workshop.builds)
