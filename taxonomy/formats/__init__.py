"""Reading and writing criteria as text, and nothing else."""

from taxonomy.formats.json import read_json
from taxonomy.formats.yaml import read_yaml
from taxonomy.tree import Criteria


def read_criteria(text: str) -> Criteria:
    """Read criteria written as YAML or, when the text starts with a brace, as JSON.

    Raises InvalidCriteria with every fault found.
    """
    is_json = text.lstrip("\ufeff \t\r\n").startswith("{")
    return read_json(text) if is_json else read_yaml(text)
