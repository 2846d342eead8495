"""What tools read of a tarball is what their makers have published."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.statement import Statement

from builder_entrypoint.lockfile import GitDependency, Lock, Package
from builder_entrypoint.provenance import Facts, bill_of_materials, provenance

HASH = "0b7fa8c8f87306ea1ab88f841af78ca399768a10"
SHA256 = "c" * 64
FACTS = Facts(
    tarball="mongooseim-p-6.8.0.tar.gz",
    sha256="a" * 64,
    project="MongooseIM",
    repository="https://me:s3cret@github.com/esl/MongooseIM",
    asked_for="6.8.0",
    commit=HASH,
    commit_time=1735689600,
    configure_arguments=("with-all", "user=x"),
    version="6.8.0",
    otp_version="27.3.4",
    architecture="x86_64",
    applications={"kernel": "10.2", "hexml": "1", "exml": "4.2.1", "cqerl": "2.0", "own": "1.0"},
    lock=Lock(
        (Package("exml", "hexml", "4.2.1", SHA256), Package("old", "old", "1.0", None)),
        (
            GitDependency("cqerl", "https://tok3n@github.com/esl/CQErl.git", HASH),
            GitDependency("own", "git@host.example.com:a/own.git", HASH),
        ),
    ),
    started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    finished=datetime(2026, 1, 2, 3, 9, 5, tzinfo=UTC),
)
LEAST = FACTS._replace(
    repository="/a folder/with blanks",
    configure_arguments=None,
    version=None,
    otp_version=None,
    applications={},
    lock=Lock(),
)


def check_statement(statement: dict[str, Any]) -> None:
    """See that a statement, and the predicate in it, are what in-toto and SLSA have defined."""
    read = Statement.copy_from_pb(json_format.ParseDict(statement, Statement([], "", {}).pb))
    read.validate()
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    json_format.ParseDict(statement["predicate"], provenance_pb2.Provenance())


@pytest.mark.parametrize("facts", [FACTS, LEAST])
def test_provenance_is_a_statement_of_in_toto_about_slsa(facts: Facts) -> None:
    """Unknown fields, and those of another type, are errors for both."""
    check_statement(provenance(facts))


@pytest.mark.parametrize("facts", [FACTS, LEAST])
def test_bill_of_materials_is_valid(facts: Facts) -> None:
    """By the strict schema of CycloneDX 1.6."""
    text = json.dumps(bill_of_materials(facts))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_provenance_names_all_that_went_into_the_tarball() -> None:
    """The source with its commit, dependencies from git with theirs, packages with their sums."""
    statement = provenance(FACTS)
    assert statement["subject"] == [{"name": FACTS.tarball, "digest": {"sha256": FACTS.sha256}}]
    definition = statement["predicate"]["buildDefinition"]
    found = {one["uri"]: one.get("digest") for one in definition["resolvedDependencies"]}
    assert found == {
        "git+https://github.com/esl/MongooseIM": {"gitCommit": HASH},
        "git+https://github.com/esl/CQErl.git": {"gitCommit": HASH},
        "git+ssh://git@host.example.com/a/own.git": {"gitCommit": HASH},
        "pkg:hex/hexml@4.2.1": {"sha256": SHA256},
        "pkg:hex/old@1.0": None,
    }
    assert definition["externalParameters"]["commit"] == "6.8.0"
    assert definition["externalParameters"]["configureArguments"] == "with-all user=x"
    times = statement["predicate"]["runDetails"]["metadata"]
    assert times == {"startedOn": "2026-01-02T03:04:05Z", "finishedOn": "2026-01-02T03:09:05Z"}


def test_bill_of_materials_has_each_application_of_the_release() -> None:
    """With where it comes from; those of Erlang/OTP by name and version only."""
    components = {one["name"]: one for one in bill_of_materials(FACTS)["components"]}
    assert components.keys() == {"Erlang/OTP", *FACTS.applications}
    assert components["exml"]["purl"] == "pkg:hex/hexml@4.2.1"
    assert components["exml"]["hashes"] == [{"alg": "SHA-256", "content": SHA256}]
    assert components["cqerl"]["purl"] == f"pkg:github/esl/cqerl@{HASH}"
    assert components["own"]["purl"].startswith("pkg:generic/own@1.0?vcs_url=git%2Bssh%3A%2F%2F")
    assert "purl" not in components["kernel"]


def test_bill_of_materials_is_the_same_again() -> None:
    """Whenever and wherever the tarball is built; another tarball has another number."""
    later = FACTS._replace(started=datetime.now(UTC), finished=datetime.now(UTC))
    assert bill_of_materials(FACTS) == bill_of_materials(later)
    other = bill_of_materials(FACTS._replace(sha256="b" * 64))
    assert other["serialNumber"] != bill_of_materials(FACTS)["serialNumber"]


def test_credentials_are_in_neither() -> None:
    """Those of REPO, and those that a lock has."""
    for described in (provenance(FACTS), bill_of_materials(FACTS)):
        text = json.dumps(described)
        assert "s3cret" not in text
        assert "tok3n" not in text


def test_a_folder_is_a_file_url() -> None:
    """So that it is a URL for whoever reads it."""
    parameters = provenance(LEAST)["predicate"]["buildDefinition"]["externalParameters"]
    assert parameters["repository"] == "file:///a%20folder/with%20blanks"
