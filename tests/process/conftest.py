"""What the tests with real processes share."""

from builder_fixtures import repository, server, site, workshop
from health_fixtures import host, probe, web
from hosts_fixtures import one, sample, two
from init_fixtures import init, machine, member, places, python, release

__all__ = [
    "host",
    "init",
    "machine",
    "member",
    "one",
    "places",
    "probe",
    "python",
    "release",
    "repository",
    "sample",
    "server",
    "site",
    "two",
    "web",
    "workshop",
]
