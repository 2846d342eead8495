"""Describes a tarball in two forms that other tools read.

- SLSA provenance: what it was built from and how. https://slsa.dev/spec/v1.0/provenance, as an
  in-toto statement, https://github.com/in-toto/attestation.
- A bill of materials: what it consists of. CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/.
"""

import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from builder_entrypoint import VERSION
from builder_entrypoint.lockfile import GitDependency, Lock, Package
from builder_entrypoint.masking import Mask, without_credentials

PROJECT = "https://github.com/esl/mongooseim-docker"
BUILD_TYPE = f"{PROJECT}/blob/HEAD/docs/builder.md"
BUILDER = f"{PROJECT}/blob/HEAD/Dockerfile.builder"
HEX = "https://repo.hex.pm/tarballs"


class Facts(NamedTuple):
    """What is known of a tarball."""

    tarball: str
    """File name."""
    sha256: str
    project: str
    repository: str
    """Address or path; may hold credentials, which are left out."""
    asked_for: str
    commit: str
    """Full hash."""
    commit_time: int
    """Seconds since 1970."""
    configure_arguments: tuple[str, ...] | None
    version: str | None
    """That of MongooseIM."""
    otp_version: str | None
    architecture: str
    applications: dict[str, str]
    """Those of the release, with their versions."""
    lock: Lock
    started: datetime
    finished: datetime


def provenance(facts: Facts) -> dict[str, Any]:
    """Return the SLSA provenance as an in-toto statement."""
    source = {
        "uri": f"git+{_address(facts.repository)}",
        "digest": {"gitCommit": facts.commit},
        "name": facts.project,
    }
    git = [
        {"uri": f"git+{_address(one.address)}", "digest": {"gitCommit": one.commit}}
        | {"name": one.application}
        for one in facts.lock.git
    ]
    packages = [
        {"uri": _package_url(one), "name": one.application}
        | ({"digest": {"sha256": one.sha256}} if one.sha256 else {})
        for one in facts.lock.packages
    ]
    parameters = {
        "project": facts.project,
        "repository": _address(facts.repository),
        "commit": facts.asked_for,
    }
    if facts.configure_arguments is not None:
        parameters["configureArguments"] = " ".join(facts.configure_arguments)
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": facts.tarball, "digest": {"sha256": facts.sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": {
                    "otpVersion": facts.otp_version or "unknown",
                    "architecture": facts.architecture,
                },
                "resolvedDependencies": [source, *git, *packages],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"build.sh": VERSION}},
                "metadata": {
                    "startedOn": _time(facts.started),
                    "finishedOn": _time(facts.finished),
                },
            },
        },
    }


def bill_of_materials(facts: Facts) -> dict[str, Any]:
    """Return the CycloneDX bill of materials; it is the same for the same tarball."""
    pinned: dict[str, Package | GitDependency] = {
        **{package.application: package for package in facts.lock.packages},
        **{dependency.application: dependency for dependency in facts.lock.git},
    }
    main = {
        "type": "application",
        "bom-ref": "release",
        "name": facts.project,
        "version": facts.version or facts.commit,
        "hashes": [{"alg": "SHA-256", "content": facts.sha256}],
        "externalReferences": [_repository(facts.repository, facts.commit)],
    }
    platform = {
        "type": "platform",
        "bom-ref": "erlang-otp",
        "name": "Erlang/OTP",
        "version": facts.otp_version or "unknown",
    }
    components = [
        _component(name, version, pinned.get(name)) for name, version in facts.applications.items()
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'sha256:{facts.sha256}')}",
        "version": 1,
        "metadata": {
            "timestamp": _time(datetime.fromtimestamp(facts.commit_time, UTC)),
            "tools": {
                "components": [{"type": "application", "name": "build.sh", "version": VERSION}]
            },
            "component": main,
        },
        "components": [platform, *components],
    }


def _component(name: str, version: str, pinned: Package | GitDependency | None) -> dict[str, Any]:
    """Return the component for an application of the release."""
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"{name}-{version}",
        "name": name,
        "version": version,
    }
    if isinstance(pinned, Package):
        component["purl"] = _package_url(pinned)
        reference = {"type": "distribution", "url": f"{HEX}/{pinned.name}-{pinned.version}.tar"}
        component["externalReferences"] = [reference]
        if pinned.sha256:
            component["hashes"] = [{"alg": "SHA-256", "content": pinned.sha256}]
    elif pinned is not None:
        component["purl"] = _git_url(pinned, version)
        component["externalReferences"] = [_repository(pinned.address, pinned.commit)]
    return component


def _package_url(package: Package) -> str:
    """Return the package URL of a Hex package: https://github.com/package-url/purl-spec."""
    return f"pkg:hex/{quote(package.name)}@{quote(package.version)}"


def _git_url(dependency: GitDependency, version: str) -> str:
    address = urlsplit(_address(dependency.address))
    if address.hostname == "github.com":
        path = address.path.strip("/").removesuffix(".git").lower()
        return f"pkg:github/{quote(path)}@{dependency.commit}"
    source = quote(f"git+{_address(dependency.address)}@{dependency.commit}", safe="")
    return f"pkg:generic/{quote(dependency.application)}@{quote(version)}?vcs_url={source}"


def _repository(address: str, commit: str) -> dict[str, str]:
    return {"type": "vcs", "url": _address(address), "comment": f"commit {commit}"}


def _address(address: str) -> str:
    """Return an address as a URL without credentials, also that of a folder or in ssh's form."""
    public = Mask(address).text(without_credentials(address))
    if "://" in public:
        return quote(public, safe=":/?#[]@!$&'()*+,;=%~")
    host, colon, path = public.partition(":")
    if public.startswith("/") or not colon:
        return f"file://{quote(public)}"
    return f"ssh://{quote(host, safe='@')}/{quote(path.lstrip('/'))}"


def _time(moment: datetime) -> str:
    """Return an instant as RFC 3339 has it, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
