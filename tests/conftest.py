"""What all tests share."""

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says nothing on a machine that runs several tests at the same time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test of a group that would run beside the others of its group all the same.

    pytest-xdist puts `@` and the group behind the names of its tests.
    """
    for group in item.iter_markers("xdist_group"):
        if getattr(item.config.option, "loadgroup", False) and "@" not in item.nodeid:
            pytest.fail(
                f"no group {group.args[0]}: pytest and pytest-xdist disagree", pytrace=False
            )
