"""The criteria that come with the application."""

from functools import lru_cache
from importlib.resources import files

from taxonomy.formats.yaml import read_yaml
from taxonomy.tree import Criteria


@lru_cache
def painting_criteria() -> Criteria:
    return read_yaml((files("taxonomy") / "painting.yaml").read_text("utf-8"))
