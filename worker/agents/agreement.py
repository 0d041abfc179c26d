"""How far the measured agent agrees with a painter whose pictures have a known truth.

    python -m worker.agents.agreement                 the demo painter, seeds 0 to 199
    python -m worker.agents.agreement --first 1000    other seeds
    python -m worker.agents.agreement --folder PATH   how often each rule fires on the pictures in a folder

Neither the agent nor the painter knows the other; this module is the only one that sees both.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from method.painter.painting import STATED, paint
from taxonomy.tree import Polarity
from worker.agents.measured import Finding, label_image
from worker.agents.rules import RULES


@dataclass
class Tally:
    """Counts for one pair: pictures it is stated for, proposals among them and how many were right."""

    stated: int = 0
    holding: int = 0  # pictures for which the truth names a side that the agent proposes
    proposed: int = 0
    right: int = 0

    @property
    def precision(self) -> float | None:
        """Share of the proposals that are right; None without proposals."""
        return self.right / self.proposed if self.proposed else None

    @property
    def recall(self) -> float | None:
        """Share of the attributes that hold which were proposed; None where none holds."""
        return self.right / self.holding if self.holding else None


Judged = tuple[list[Finding], Mapping[str, str], AbstractSet[str]]


def tally(pictures: Iterable[Judged]) -> dict[str, Tally]:
    """Count agreement by pair over (findings, truth, absent) of each picture.

    Only pairs and sides that the agent proposes: what it never says it cannot say rightly or wrongly. A flaw's negative
    side qualifies a positive that also holds; the painter does not state it, so it is not judged.
    """
    decides = {rule.key: rule for rule in RULES}
    flaws = {rule.key for rule in RULES if rule.relation == "flaw"}
    table = {key: Tally() for key in STATED if key in decides}
    for findings, truth, absent in pictures:
        proposals = {
            f.key: f.polarity for f in findings if f.polarity == "positive" or f.key not in flaws
        }
        for key, row in table.items():
            if key not in truth and key not in absent:
                continue
            row.stated += 1
            row.holding += bool(key in truth and decides[key].side(_polarity(truth[key])))
            row.proposed += key in proposals
            row.right += key in truth and proposals.get(key) == truth[key]
    return table


def _polarity(side: str) -> Polarity:
    return "negative" if side == "negative" else "positive"


def overall(table: Mapping[str, Tally]) -> Tally:
    """All pairs of a table together."""
    rows = table.values()
    return Tally(
        sum(row.stated for row in rows),
        sum(row.holding for row in rows),
        sum(row.proposed for row in rows),
        sum(row.right for row in rows),
    )


def demo_pictures(first: int, count: int, size: int = 512) -> Iterable[Judged]:
    """Findings and truth for `count` pictures of the demo painter from seed `first`."""
    for seed in range(first, first + count):
        painting = paint(seed, size)
        yield label_image(painting.image), painting.truth, painting.absent


def _print_agreement(first: int, count: int) -> None:
    table = tally(demo_pictures(first, count))
    print(f"{'pair':34}{'stated':>8}{'hold':>8}{'proposed':>10}{'precision':>11}{'recall':>8}")
    for key, row in [*table.items(), ("all", overall(table))]:
        print(
            f"{key:34}{row.stated:8}{row.holding:8}{row.proposed:10}{_share(row.precision):>11}{_share(row.recall):>8}"
        )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _print_rates(folder: Path) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    numbers: list[int] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}:
            continue
        with Image.open(path) as image:
            findings = label_image(image)
        numbers.append(len(findings))
        counts.update((finding.key, finding.polarity) for finding in findings)
    total = max(len(numbers), 1)
    print(f"{'pair':34}{'positive':>10}{'negative':>10}   share of {len(numbers)} pictures")
    for rule in RULES:
        rates = [f"{counts[rule.key, side] / total:.1%}" for side in ("positive", "negative")]
        print(f"{rule.key:34}{rates[0]:>10}{rates[1]:>10}")
    print(
        f"labels by picture: mean {sum(numbers) / total:.1f}, from {min(numbers, default=0)} to {max(numbers, default=0)}"
    )


def main() -> None:
    """Print the table asked for on the command line."""
    parser = argparse.ArgumentParser(
        description="Agreement of the measured agent with a known truth."
    )
    parser.add_argument(
        "--first", type=int, default=0, help="first seed of the demo painter (default 0)"
    )
    parser.add_argument("--count", type=int, default=200, help="number of pictures (default 200)")
    parser.add_argument(
        "--folder", type=Path, help="show how often each rule fires on the pictures in this folder"
    )
    asked = parser.parse_args()
    if asked.folder is None:
        _print_agreement(asked.first, asked.count)
    elif asked.folder.is_dir():
        _print_rates(asked.folder)
    else:
        parser.error(f"{asked.folder} is not a folder.")


if __name__ == "__main__":
    main()
