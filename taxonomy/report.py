"""What `morelli criteria check` says about a file, as plain data."""

from dataclasses import asdict
from typing import Any

from taxonomy.checks import check
from taxonomy.formats import read_criteria
from taxonomy.formats.json import sha256
from taxonomy.tree import InvalidCriteria, counts


def report(text: str) -> dict[str, Any]:
    """The size, faults and hash of the criteria in the text (YAML or JSON), ready for JSON.

    Never raises for bad content: a text that is not a criteria tree gives problems with the code
    `invalid`, counts of 0 and no hash.
    """
    try:
        criteria = read_criteria(text)
    except InvalidCriteria as error:
        return _invalid(error.problems)
    return {
        "name": criteria.name,
        **asdict(counts(criteria)),
        "problems": [asdict(problem) for problem in check(criteria)],
        "sha256": sha256(criteria),
    }


def _invalid(problems: list[str]) -> dict[str, Any]:
    return {
        "name": None,
        "root_dimensions": 0,
        "levels": 0,
        "attribute_pairs": 0,
        "dimensions": 0,
        "by_root": {},
        "problems": [
            {"code": "invalid", "severity": "error", "key": "", "message": message}
            for message in problems
        ],
        "sha256": None,
    }
