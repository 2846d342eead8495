"""What the tests with real processes share."""

from init_fixtures import init, machine, member, python, release

__all__ = ["init", "machine", "member", "python", "release"]
