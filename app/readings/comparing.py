"""How far two readings agree, and how often agents are right by who read blind."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.agreement import (
    LEVEL,
    NOTHING,
    Agreement,
    cohens_kappa,
    gwets_ac1,
    krippendorffs_alpha,
)
from app.criteria.models import CriteriaVersion, Node
from app.criteria.reading import version_criteria
from app.readings.answering import Compared, compare
from app.readings.models import ReadImage, SecondReading
from method.student import student_quantile
from taxonomy.tree import POLARITIES, Polarity

BATCH = 500
DECIDED = ("confirmed", "rejected")


@dataclass(frozen=True, slots=True)
class Item:
    """An attribute of an image that both readings decided. What the first reading did not set it rejected."""

    image_id: int
    root: str
    polarity: Polarity
    first: bool
    second: bool


@dataclass(frozen=True, slots=True)
class Row:
    """Agreement about some items: all, those of a root dimension, of a polarity, or of both. The intervals take
    the items of one image together.
    """

    root: str | None
    polarity: Polarity | None
    items: int
    images: int
    agreed: int
    kappa: Agreement
    alpha: Agreement
    ac1: Agreement

    @property
    def share(self) -> float | None:
        """Of how many of the items both say the same."""
        return self.agreed / self.items if self.items else None


@dataclass(frozen=True, slots=True)
class AgentsRight:
    """Of what agents had proposed and the second reader decided blind, how much the reader confirmed. The 95 %
    interval takes the labels of one image together; None with fewer than two images or without any spread.
    """

    confirmed: int
    decided: int
    images: int
    interval: tuple[float, float] | None

    @property
    def share(self) -> float | None:
        """The part that the reader confirmed."""
        return self.confirmed / self.decided if self.decided else None


def agents_right(by_image: Mapping[int, tuple[int, int]]) -> AgentsRight:
    """From what was confirmed and decided on each image: a ratio with the sandwich estimate of its error for
    cluster samples, as `app.agreement` has it.
    """
    confirmed = sum(each for each, _ in by_image.values())
    decided = sum(each for _, each in by_image.values())
    images = len(by_image)
    if images < 2:
        return AgentsRight(confirmed, decided, images, None)
    share = confirmed / decided
    spread = sum((yes - share * number) ** 2 for yes, number in by_image.values())
    error = math.sqrt(spread * images / (images - 1)) / decided
    if not error:
        return AgentsRight(confirmed, decided, images, None)
    reach = student_quantile((1 + LEVEL) / 2, images - 1) * error
    return AgentsRight(
        confirmed, decided, images, (max(0.0, share - reach), min(1.0, share + reach))
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two readings side by side. `left_out` counts what was asked and tells nothing of agreement: one of both
    was unsure, the second gave no answer, or had seen suggestions of the image. `added` is what the second
    reader set of themselves.
    """

    rows: tuple[Row, ...]
    images: int
    left_out: int
    added: int
    differences: int
    agents: AgentsRight


def compare_readings(db: Session, reading: SecondReading) -> Comparison:
    """How far both readings agree about what was asked of the images that are read so far."""
    version = db.get_one(CriteriaVersion, reading.version_id)
    criteria = version_criteria(version)
    keys = {
        row.id: row.key
        for row in db.execute(
            select(Node.id, Node.key).where(Node.project_id == reading.project_id)
        )
    }
    images: dict[int, int] = {}
    items: list[Item] = []
    left_out = added = differences = 0
    agents: dict[int, tuple[int, int]] = {}
    for read, found in _read(db, reading):
        images |= read
        for each in found:
            differences += each.differs
            added += not each.is_asked
            if not each.is_asked:
                continue
            if not _is_decided(each):
                left_out += 1
                continue
            if each.is_agents:
                yes, number = agents.get(each.read_image_id, (0, 0))
                agents[each.read_image_id] = (yes + (each.second == "confirmed"), number + 1)
            entry = criteria.find(keys[each.node_id])
            items.append(
                Item(
                    read[each.read_image_id],
                    entry.root.name if entry else "",
                    "positive" if each.polarity == "positive" else "negative",
                    each.first == "confirmed",
                    each.second == "confirmed",
                )
            )
    roots = [each.name for each in criteria.dimensions]
    return Comparison(
        tuple(_rows(items, roots)),
        len(images),
        left_out,
        added,
        differences,
        agents_right(agents),
    )


def _is_decided(each: Compared) -> bool:
    first = each.first or "rejected"
    return each.is_blind and first in DECIDED and each.second in DECIDED


def _read(
    db: Session, reading: SecondReading
) -> Iterator[tuple[dict[int, int], Sequence[Compared]]]:
    """The images that are read, a part at a time: image by id of its row, and what both readings say."""
    rows = db.execute(
        select(ReadImage.id, ReadImage.image_id)
        .where(ReadImage.reading_id == reading.id, ReadImage.read_at.is_not(None))
        .order_by(ReadImage.place)
    ).all()
    for start in range(0, len(rows), BATCH):
        part = {row.id: row.image_id for row in rows[start : start + BATCH]}
        yield part, compare(db, list(part))


def _rows(items: Sequence[Item], roots: Sequence[str]) -> Iterator[Row]:
    yield _row(items, None, None)
    for polarity in POLARITIES:
        yield _row([each for each in items if each.polarity == polarity], None, polarity)
    for root in roots:
        own = [each for each in items if each.root == root]
        yield _row(own, root, None)
        for polarity in POLARITIES:
            yield _row([each for each in own if each.polarity == polarity], root, polarity)


def _row(items: Sequence[Item], root: str | None, polarity: Polarity | None) -> Row:
    if not items:
        return Row(root, polarity, 0, 0, 0, NOTHING, NOTHING, NOTHING)
    first, second = [each.first for each in items], [each.second for each in items]
    images = [each.image_id for each in items]
    counts = [[2 - a - b, a + b] for a, b in zip(first, second, strict=True)]
    return Row(
        root,
        polarity,
        len(items),
        len(set(images)),
        sum(a == b for a, b in zip(first, second, strict=True)),
        cohens_kappa(first, second, clusters=images),
        krippendorffs_alpha(counts, clusters=images),
        gwets_ac1(counts, clusters=images),
    )


COLUMNS: dict[str, Callable[[Row], object]] = {
    "root_dimension": lambda row: row.root or "all",
    "polarity": lambda row: row.polarity or "both",
    "items": lambda row: row.items,
    "images": lambda row: row.images,
    "agreed": lambda row: row.agreed,
}
COEFFICIENTS = ("kappa", "alpha", "ac1")


def table_of(comparison: Comparison) -> list[list[object]]:
    """The same as a table: a head, then a row for each part; each coefficient with both ends of its interval."""
    head: list[object] = [*COLUMNS]
    for name in COEFFICIENTS:
        head += [name, f"{name}_low", f"{name}_high"]
    rows = [head]
    for row in comparison.rows:
        cells = [each(row) for each in COLUMNS.values()]
        for name in COEFFICIENTS:
            found: Agreement = getattr(row, name)
            cells += [found.value, *(found.interval or (None, None))]
        rows.append(cells)
    return rows
