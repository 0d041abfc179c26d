"""Property tests here run by number of examples, never by the clock: the machine may be busy."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "taxonomy", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("taxonomy")
