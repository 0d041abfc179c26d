"""What `morelli criteria check` says about a file, as plain data."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from taxonomy.checks import check
from taxonomy.formats.json import sha256
from taxonomy.tree import Criteria, InvalidCriteria, counts


def report(read: Callable[[], Criteria]) -> dict[str, Any]:
    """The size, faults and hash of the criteria that `read` gives, ready for JSON.

    Where it raises InvalidCriteria: problems with the code `invalid`, counts of 0 and no hash.
    """
    try:
        criteria = read()
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
