"""What the tests with real processes share."""

from builder_fixtures import repository, workshop
from init_fixtures import init, machine, member, python, release

__all__ = ["init", "machine", "member", "python", "release", "repository", "workshop"]
