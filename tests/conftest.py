"""What all tests share."""

from hypothesis import HealthCheck, settings

# How long an example takes says nothing on a machine that runs several tests at the same time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
