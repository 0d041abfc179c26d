"""Property tests here take fewer examples; as all tests, they do not run by the clock."""

from hypothesis import settings

settings.register_profile("taxonomy", settings.get_profile("tests"), max_examples=60)
settings.load_profile("taxonomy")
