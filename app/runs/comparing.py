"""In what two runs differ: their options, dataset and expert."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.runs.options import FILLED_IN
from app.runs.reading import RunRow
from method.training.config_fields import in_order


@dataclass(frozen=True)
class Difference:
    """An option by its dotted path and its two values; None also where a run does not have it."""

    path: str
    this: Any
    other: Any


def compare_runs(this: RunRow, other: RunRow) -> list[Difference]:
    """In what two runs differ: what they are made from first, then options in the config's order."""
    mine, theirs = _origins(this), _origins(other)
    return [
        *(
            Difference(name, mine[name], theirs[name])
            for name in mine
            if mine[name] != theirs[name]
        ),
        *compare_configs(this.run.config, other.run.config),
    ]


def _origins(row: RunRow) -> dict[str, str | None]:
    found = {
        "dataset": row.dataset,
        "pairs": row.pairs,
        "expert": row.expert,
        "start": row.start,
        "negative branch": row.negative,
    }
    return {name: f"{each.number}: {each.name}" if each else None for name, each in found.items()}


def compare_configs(this: Mapping[str, Any], other: Mapping[str, Any]) -> list[Difference]:
    """The options in which two configs differ, which earlier releases may have written. Places say nothing about
    a run: what lies there is compared by its name.
    """
    mine, theirs = dict(_options(in_order(this))), dict(_options(in_order(other)))
    paths = [*mine, *(path for path in theirs if path not in mine)]
    return [
        Difference(path, mine.get(path), theirs.get(path))
        for path in paths
        if path not in FILLED_IN and mine.get(path) != theirs.get(path)
    ]


def _options(part: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from _options(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
