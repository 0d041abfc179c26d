"""How often the measured agent is right on paintings that people have judged.

python -m bench.agent_accuracy JUDGEMENTS.csv [MORE.csv ...] FOLDER

A judgements file has a row for each label that was judged, with at least the columns `image_file` (a name in FOLDER),
`attribute_key`, `polarity` (positive, negative) and `verdict` (appears, does not appear, cannot tell); of a label in
several rows the last counts. The agent labels every picture of FOLDER as it would in a run, and its labels are looked up
among the judgements. Precision is appears / (appears + does not appear); beside it the 95 % interval (Wilson) and the
share where "cannot tell" counts as wrong. Withdrawn sides are shown as they were last decided; they count in no total.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from taxonomy.shipped import painting_criteria
from taxonomy.tree import POLARITIES, Polarity
from worker.agents.looking import MEASURES, measure
from worker.agents.measured import VERSION, decide, see
from worker.agents.rules import RULES
from worker.agents.withdrawn import WITHDRAWN

VERDICTS = ("appears", "does not appear", "cannot tell")
NEEDED_COLUMNS = ("image_file", "attribute_key", "polarity", "verdict")
BAR = 0.8
CONFIDENCES = (0.55, 0.65, 0.75, 0.85, 1.0)

Side = tuple[str, Polarity]
Judgements = Mapping[tuple[str, str, str], str]  # by file, pair key and polarity


class WrongInput(ValueError):
    """A file or folder that cannot be used, in a sentence."""


@dataclass
class Tally:
    """Proposals, and the verdicts on those of them that were judged."""

    proposed: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)

    @property
    def right(self) -> int:
        """Labels that appear."""
        return self.verdicts["appears"]

    @property
    def decided(self) -> int:
        """Labels of which the judge could tell."""
        return self.right + self.verdicts["does not appear"]

    @property
    def precision(self) -> float | None:
        """Right among decided; None where nothing was decided."""
        return self.right / self.decided if self.decided else None

    def add(self, verdict: str | None) -> None:
        """Count a proposal and, where there is one, the verdict on it."""
        self.proposed += 1
        if verdict:
            self.verdicts[verdict] += 1


@dataclass(frozen=True)
class Seen:
    """What the agent says of one picture: confidence by side, and the withdrawn sides it would have proposed."""

    file: str
    found: Mapping[Side, float]
    withdrawn: frozenset[Side]


def read_judgements(paths: Iterable[Path]) -> dict[tuple[str, str, str], str]:
    """The verdict on each judged label. Raises WrongInput naming file and line."""
    judged: dict[tuple[str, str, str], str] = {}
    for path in paths:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file)
                missing = [name for name in NEEDED_COLUMNS if name not in (rows.fieldnames or ())]
                if missing:
                    raise WrongInput(f"{path}: has no column {missing[0]}.")
                for row in rows:
                    image, key, polarity, verdict = ((row[n] or "").strip() for n in NEEDED_COLUMNS)
                    if verdict not in VERDICTS:
                        raise WrongInput(
                            f"{path}, line {rows.line_num}: the verdict {verdict!r} is none of "
                            f"{', '.join(VERDICTS)}."
                        )
                    judged[image, key, polarity] = verdict
        except (OSError, UnicodeDecodeError) as error:
            raise WrongInput(f"{path}: cannot be read: {error}") from error
    return judged


def look(path: Path) -> Seen | str:
    """The agent's labels of one file, or why it cannot be looked at."""
    try:
        with Image.open(path) as image:
            rgb = see(image).rgb
    except (OSError, ValueError, UnidentifiedImageError) as error:
        return f"{path.name}: {error}"
    values = measure(rgb, MEASURES)
    found = {(f.key, f.polarity): f.confidence for f in decide(values)}
    gone = {
        (side.key, side.polarity)
        for side in WITHDRAWN
        if all(condition.holds(values) for condition in side.conditions)
    }
    return Seen(path.name, found, frozenset(gone))


def tallies(
    seen: Iterable[Seen], judged: Judgements
) -> tuple[dict[Side, Tally], dict[Side, Tally]]:
    """By side: what is proposed, and what was withdrawn."""
    kept = {(rule.key, side): Tally() for rule in RULES for side in POLARITIES if rule.side(side)}
    gone = {(side.key, side.polarity): Tally() for side in WITHDRAWN}
    for each in seen:
        for side in each.found:
            kept[side].add(judged.get((each.file, *side)))
        for side in each.withdrawn:
            gone[side].add(judged.get((each.file, *side)))
    return kept, gone


def by_confidence(seen: Iterable[Seen], judged: Judgements) -> dict[str, Tally]:
    """The same labels by what the agent said of its own certainty."""
    table = {f"{low:.2f} to {high:.2f}": Tally() for low, high in itertools.pairwise(CONFIDENCES)}
    for each in seen:
        for side, confidence in each.found.items():
            step = sum(confidence >= low for low in CONFIDENCES[1:-1])
            list(table.values())[step].add(judged.get((each.file, *side)))
    return table


def wilson(right: int, number: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson); 0 to 1 where there is nothing to go by."""
    if not number:
        return 0.0, 1.0
    z, share = 1.959964, right / number
    middle = share + z * z / (2 * number)
    reach = z * math.sqrt(share * (1 - share) / number + z * z / (4 * number * number))
    scale = 1 + z * z / number
    return (middle - reach) / scale, (middle + reach) / scale


def row(tally: Tally) -> str:
    """Figures of one line: proposed, the three verdicts, precision, interval, cannot tell as wrong."""
    counts = "/".join(str(tally.verdicts[verdict]) for verdict in VERDICTS)
    line = f"{tally.proposed:9}{counts:>13}"
    if tally.precision is None:
        return line
    low, high = wilson(tally.right, tally.decided)
    strict = tally.right / (tally.decided + tally.verdicts["cannot tell"])
    flag = f"   below {BAR}" if tally.precision < BAR else ""
    return f"{line}{tally.precision:9.3f}   {low:.2f}-{high:.2f}{strict:9.3f}{flag}"


def _sum(parts: Iterable[Tally]) -> Tally:
    total = Tally()
    for part in parts:
        total.proposed += part.proposed
        total.verdicts += part.verdicts
    return total


def _print_all(seen: list[Seen], judged: Judgements) -> None:
    criteria = painting_criteria()
    kept, gone = tallies(seen, judged)
    title = f"{'':46}proposed  yes/no/unsure  precision   95 %      unsure=no"
    print(f"By side\n{title}")
    for (key, polarity), tally in kept.items():
        print(f"{key:35}{polarity:11}{row(tally)}")
    print(f"\nBy root dimension and polarity\n{title}")
    for root in criteria.dimensions:
        inside = {s: t for s, t in kept.items() if criteria.root_of(s[0]).key == root.key}
        for polarity in ("positive", "negative"):
            some = _sum(t for s, t in inside.items() if s[1] == polarity)
            print(f"{root.name:35}{polarity:11}{row(some)}")
        print(f"{root.name:35}{'both':11}{row(_sum(inside.values()))}")
    for polarity in ("positive", "negative"):
        some = _sum(t for s, t in kept.items() if s[1] == polarity)
        print(f"{'All':35}{polarity:11}{row(some)}")
    print(f"{'All':35}{'both':11}{row(_sum(kept.values()))}")
    print(f"\nBy confidence\n{title}")
    for name, tally in by_confidence(seen, judged).items():
        print(f"{name:46}{row(tally)}")
    print(f"\nWithdrawn, as last decided\n{title}")
    for (key, polarity), tally in gone.items():
        print(f"{key:35}{polarity:11}{row(tally)}")


def measure_folder(folder: Path) -> tuple[list[Seen], list[str]]:
    """What the agent says of every picture of a folder, and what could not be looked at."""
    if not folder.is_dir():
        raise WrongInput(f"{folder} is not a folder.")
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(look, paths, chunksize=4))
    return [a for a in answers if isinstance(a, Seen)], [a for a in answers if isinstance(a, str)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("judgements", nargs="+", type=Path, metavar="JUDGEMENTS.csv")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    try:
        judged = read_judgements(asked.judgements)
        seen, refused = measure_folder(asked.folder)
    except WrongInput as error:
        print(error, file=sys.stderr)
        return 2
    for line in refused:
        print(f"left out: {line}", file=sys.stderr)
    files = {each.file for each in seen}
    labels = sum(len(each.found) for each in seen)
    print(f"Measured agent, version {VERSION}: {labels} labels on {len(files)} pictures.")
    missing = {file for file, _, _ in judged} - files
    print(f"{len(judged)} judged labels; {len(missing)} of their pictures are not in the folder.\n")
    _print_all(seen, judged)
    return 0


if __name__ == "__main__":
    sys.exit(main())
