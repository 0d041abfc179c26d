"""The criteria that come with the application, in their editions."""

from functools import lru_cache
from importlib.resources import files

from taxonomy.formats.yaml import read_yaml
from taxonomy.tree import Criteria

# The files by the number of the edition; what was shipped once stays, since projects began with it.
_FILES = {1: "painting-1.yaml", 2: "painting.yaml"}
NEWEST = max(_FILES)


@lru_cache
def painting_edition(number: int) -> Criteria:
    """The criteria for paintings in one of their editions, from 1 to NEWEST."""
    return read_yaml((files("taxonomy") / _FILES[number]).read_text("utf-8"))


def painting_criteria() -> Criteria:
    """The criteria for paintings."""
    return painting_edition(NEWEST)
