"""What the tests with real processes share."""

from builder_fixtures import repository, server, site, workshop
from health_fixtures import host, probe, web
from init_fixtures import init, machine, member, places, python, release

__all__ = [
    "host",
    "init",
    "machine",
    "member",
    "places",
    "probe",
    "python",
    "release",
    "repository",
    "server",
    "site",
    "web",
    "workshop",
]
