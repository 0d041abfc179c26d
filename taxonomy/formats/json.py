"""Criteria as JSON: the canonical form that versions are hashed in."""

import hashlib
import json
from collections import Counter
from typing import Any, NoReturn

from taxonomy.formats.data import from_data, refuse_size, to_data
from taxonomy.tree import Criteria, InvalidCriteria


def write_json(criteria: Criteria) -> str:
    """Canonical JSON: sorted keys, no spaces, text as it is (to be encoded as UTF-8)."""
    data = to_data(criteria)
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_json(text: str) -> Criteria:
    """Read criteria from JSON, fields in any order; raises InvalidCriteria with every fault."""
    refuse_size(text)
    try:
        data = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=_fields,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidCriteria([f"{where}: this is not JSON: {error.msg}."]) from error
    except RecursionError as error:
        raise InvalidCriteria(["The JSON is nested too deep to be read; flatten it."]) from error
    except ValueError as error:
        raise InvalidCriteria([f"This JSON is not read: {error}"]) from error
    return from_data(data)


def sha256(criteria: Criteria) -> str:
    """The SHA-256 of the canonical JSON in UTF-8, as 64 hex digits."""
    return hashlib.sha256(write_json(criteria).encode("utf-8")).hexdigest()


def _fields(items: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(items)
    if len(fields) < len(items):
        twice = Counter(name for name, _ in items).most_common(1)[0][0]
        raise ValueError(f"an object holds the field {twice[:40]!r} twice; keep one of them.")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number.")
