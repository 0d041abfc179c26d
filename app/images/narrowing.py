"""Narrowing images down by their labels: which attribute or branch, side, state, source, confidence, by whom, from
which agent run; by whether their labels contradict one another; by the datasets that hold them; by what
their metadata says and the day they came in.

All that one wish asks is asked of one label; several wishes may be met by several labels of an image.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import zip_longest
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.orm import Session, aliased

from app.agents.models import AgentRun
from app.criteria.models import Node
from app.criteria.reading import get_node
from app.database import LARGEST_KEY
from app.errors import Invalid, NotFound
from app.images.applicability import applies
from app.images.contradictory import (
    contradictory_images,
    count_contradictory,
    first_contradictory,
    read_contradictory,
)
from app.images.frozen import Frozen, Held, are_held, find_held, first_held, read_frozen
from app.images.models import Image, ImageValue
from app.labels.models import (
    STATES,
    AgentRunCount,
    ImageContradiction,
    ImageTally,
    Label,
    LabelCount,
)
from app.projects.models import Project
from method.whole_numbers import read_whole
from taxonomy.tree import POLARITIES

SOURCES = ("agent", "person", "criteria")
ONCE = ("since", "until", "contradictory", "dataset", "split")
"""What addresses and forms ask once of an image, not of each label."""
MOST_WISHES = 3
LONGEST_VALUE = 200
MOST_ESTIMATED = 100_000
"""Images of one value that are counted to judge where the next ones lie."""


@dataclass(frozen=True, slots=True)
class LabelWish:
    """A label that an image is to have. `key` names an attribute pair, or a dimension for any pair below it;
    `by` is the person who decided, `least` and `most` bound the agent's confidence. What is empty is not asked.
    """

    key: str = ""
    polarity: str = ""
    state: str = ""
    source: str = ""
    by: int | None = None
    run: int | None = None
    least: float | None = None
    most: float | None = None

    @property
    def tells_of_agents(self) -> bool:
        """Whether it asks for what is hidden with the suggestions."""
        of_agent = (self.run, self.least, self.most) != (None, None, None)
        return of_agent or bool(self.source) or self.state != "confirmed"


@dataclass(frozen=True, slots=True)
class Saying:
    """A value that a field of an image's metadata is to have, in whatever letters. Without a field any may say it;
    without a value the field is to be there.
    """

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Labels that images are to have, what their metadata is to say, the days from and until which they came in,
    whether there are to be contradictions among their labels or none, and which dataset is to hold them.
    """

    labels: tuple[LabelWish, ...] = ()
    since: date | None = None
    until: date | None = None
    sayings: tuple[Saying, ...] = ()
    contradictory: bool | None = None
    frozen: Frozen | None = None

    def __bool__(self) -> bool:
        asked = self.labels or self.sayings or self.since or self.until
        return bool(asked) or self.contradictory is not None or self.frozen is not None

    @property
    def tells_of_agents(self) -> bool:
        """Whether the images that it finds are ones of which an agent may say something known."""
        return any(wish.key and wish.tells_of_agents for wish in self.labels)

    def asking(self, wish: LabelWish) -> "Narrowing":
        """The same, with one more wish."""
        return replace(self, labels=(*self.labels, wish))

    @property
    def query(self) -> str:
        """The same as part of an address, a name for each part of each wish."""
        names = ("key", "polarity", "state", "source", "by", "run", "least", "most")
        parts = [
            (name, "" if (value := getattr(wish, name)) is None else str(value))
            for wish in self.labels
            for name in names
        ]
        for saying in self.sayings:
            parts += [("field", saying.field), ("value", saying.value)]
        if self.contradictory is not None:
            parts.append(("contradictory", ("no", "yes")[self.contradictory]))
        parts += self.frozen.parts if self.frozen else []
        days = (("since", self.since), ("until", self.until))
        return urlencode([*parts, *((name, day.isoformat()) for name, day in days if day)])


EVERYTHING = Narrowing()


def read_narrowing(given: Mapping[str, Sequence[str]], *, suggestions: bool) -> Narrowing:
    """A narrowing as addresses and forms give it: the parts of the first wish first, then those of the next.

    Raises Invalid with the field for what makes no sense, for more wishes than `MOST_WISHES`, and without
    `suggestions` for what is hidden with them.
    """
    number = max((len(given.get(name, ())) for name in _READERS), default=0)
    wishes = []
    for place in range(number):
        values = {
            name: read(name, texts[place].strip())
            for name, read in _READERS.items()
            if place < len(texts := given.get(name, ())) and texts[place].strip()
        }
        if values:
            if not suggestions:
                values.setdefault("state", "confirmed")
            wishes.append(LabelWish(**values))
    if len(wishes) > MOST_WISHES:
        raise Invalid(f"Ask for up to {MOST_WISHES} labels at once.", field="key")
    if not suggestions and any(each.tells_of_agents for each in wishes):
        raise Invalid(
            "Which labels were suggested is hidden with the suggestions: only confirmed ones can be asked for.",
            field="state",
            hint="Show suggestions on the page of an image first.",
        )
    once = {name: (given.get(name) or [""])[0].strip() for name in ONCE}
    return Narrowing(
        tuple(wishes),
        _day("since", once["since"]),
        _day("until", once["until"]),
        _read_sayings(given),
        read_contradictory(once["contradictory"], suggestions=suggestions),
        read_frozen(once["dataset"], once["split"]),
    )


def _read_sayings(given: Mapping[str, Sequence[str]]) -> tuple[Saying, ...]:
    fields, values = ([each.strip() for each in given.get(name, ())] for name in ("field", "value"))
    if max(len(fields), len(values)) > MOST_WISHES:
        raise Invalid(f"Ask for up to {MOST_WISHES} fields at once.", field="field")
    pairs = zip_longest(fields, values, fillvalue="")
    return tuple(Saying(field, value[:LONGEST_VALUE]) for field, value in pairs if field or value)


def _one_of(*allowed: str) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in allowed:
            raise Invalid(f"{name.capitalize()} is {', '.join(allowed)}.", field=name)
        return text

    return read


def _number(name: str, text: str) -> int:
    number = read_whole(text, LARGEST_KEY)
    if number is None:
        raise Invalid(f"“{text[:40]}” is no number of a {name}.", field=name)
    return number


def _share(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise Invalid("A confidence is between 0 and 1.", field=name)
    return value


def _day(name: str, text: str) -> date | None:
    try:
        day = date.fromisoformat(text) if text else None
        if day == date.max:
            raise ValueError("no day comes after it, which it would be compared with")
    except ValueError as error:
        raise Invalid(f"“{text[:40]}” is no day; write it as 2026-11-30.", field=name) from error
    return day


_READERS: dict[str, Callable[[str, str], Any]] = {
    "key": lambda _, text: text,
    "polarity": _one_of(*POLARITIES),
    "state": _one_of(*STATES),
    "source": _one_of(*SOURCES),
    "by": _number,
    "run": _number,
    "least": _share,
    "most": _share,
}


# Statements ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prepared:
    """A narrowing whose nodes and datasets are known, with how many labels each wish finds, as they are kept, and images
    whatever else is asked.
    """

    narrowing: Narrowing
    node_ids: tuple[tuple[int, ...] | None, ...]
    numbers: tuple[int, ...]
    held: Held | None = None


def prepare(db: Session, project: Project, narrowing: Narrowing) -> Prepared:
    """Look the nodes, agent runs and datasets of a narrowing up. Raises NotFound for one that is not there, Invalid for
    a dataset whose images are not known.
    """
    _refuse_unknown_runs(db, project, narrowing)
    nodes = tuple(
        _pairs_at(db, project, wish.key) if wish.key else None for wish in narrowing.labels
    )
    numbers = tuple(
        _count(db, project, wish, ids) for wish, ids in zip(narrowing.labels, nodes, strict=True)
    )
    said = tuple(_count_saying(db, project, each) for each in narrowing.sayings)
    held = find_held(db, project, narrowing.frozen) if narrowing.frozen else None
    numbers += said
    if (wanted := narrowing.contradictory) is not None:
        numbers += (count_contradictory(db, project, wanted=wanted),)
    return Prepared(narrowing, nodes, (*numbers, held.number) if held else numbers, held)


def _refuse_unknown_runs(db: Session, project: Project, narrowing: Narrowing) -> None:
    asked = {wish.run for wish in narrowing.labels if wish.run is not None}
    if not asked:
        return
    here = select(AgentRun.id).where(AgentRun.project_id == project.id, AgentRun.id.in_(asked))
    if unknown := asked - set(db.scalars(here)):
        raise NotFound(f"There is no agent run {min(unknown)} in this project.")


def _says(project: Project, saying: Saying) -> list[ColumnElement[bool]]:
    says = [ImageValue.project_id == project.id]
    if saying.field:
        says.append(ImageValue.field == saying.field)
    if saying.value:
        says.append(func.lower(ImageValue.value) == func.lower(literal(saying.value)))
    return says


def _count_saying(db: Session, project: Project, saying: Saying) -> int:
    if not saying.field:
        return MOST_ESTIMATED  # no index tells, and all rows would be read
    some = select(literal(1)).select_from(ImageValue).where(*_says(project, saying))
    counted = some.limit(MOST_ESTIMATED).subquery()
    return db.scalar(select(func.count()).select_from(counted)) or 0


def get_node_with_labels(db: Session, project: Project, key: str) -> Node:
    """The node with this key; a pair may have left the tree since its labels were made. Raises NotFound."""
    node = db.scalar(select(Node).where(Node.project_id == project.id, Node.key == key))
    if node is None or (node.removed and node.kind == "dimension"):
        node = get_node(db, project, key)
    return node


def _pairs_at(db: Session, project: Project, key: str) -> tuple[int, ...]:
    """The pair with this key, or all pairs below this dimension."""
    node = get_node_with_labels(db, project, key)
    if node.kind == "pair":
        return (node.id,)
    below = select(Node.id).where(Node.id == node.id).cte(recursive=True)
    child = aliased(Node)
    below = below.union_all(
        select(child.id).join(below, child.parent_id == below.c.id).where(~child.removed)
    )
    return tuple(
        db.scalars(select(Node.id).where(Node.id.in_(select(below.c.id)), Node.kind == "pair"))
    )


def _count(db: Session, project: Project, wish: LabelWish, node_ids: tuple[int, ...] | None) -> int:
    counts: type[AgentRunCount | LabelCount]
    if wish.run is not None:
        counts, whose = AgentRunCount, AgentRunCount.agent_run_id == wish.run
    else:
        counts, whose = LabelCount, (LabelCount.project_id == project.id) & ~LabelCount.lacking
    kept = select(cast(func.coalesce(func.sum(counts.num), 0), BigInteger)).where(whose)
    if node_ids is not None:
        kept = kept.where(counts.node_id == any_(literal(list(node_ids), ARRAY(BigInteger))))
    if wish.polarity:
        kept = kept.where(counts.polarity == wish.polarity)
    if wish.state:
        kept = kept.where(counts.state == wish.state)
    if wish.source and wish.run is None:
        kept = kept.where(LabelCount.source == wish.source)
    return db.scalar(kept) or 0


Stretch = Callable[[Any], list[ColumnElement[bool]]]
"""What holds of a column of image ids that a statement looks at."""


def between(low: int, high: int) -> Stretch:
    """The ids above `low` and up to `high`."""
    # Written into the statement: one that was prepared without them is planned for stretches of any length, and took a
    # second for what takes a millisecond.
    ends = [bindparam(None, each, BigInteger, literal_execute=True) for each in (low, high)]
    return lambda column: [column > ends[0], column <= ends[1]]


def among(ids: Sequence[int]) -> Stretch:
    """These ids."""
    return lambda column: [column == any_(literal(list(ids), ARRAY(BigInteger)))]


def narrowed(project: Project, prepared: Prepared, stretch: Stretch) -> list[ColumnElement[bool]]:
    """What holds of the images of a stretch that a narrowing finds."""
    found = stretch(Image.id)
    if kept := _kept(project, prepared, stretch):
        found.append(Image.id.in_(_in_all(kept)))
    for saying in prepared.narrowing.sayings:
        says = select(ImageValue.image_id).where(*_says(project, saying))
        found.append(Image.id.in_(says.where(*stretch(ImageValue.image_id))))
    if prepared.narrowing.since:
        found.append(Image.created_at >= _midnight(prepared.narrowing.since))
    if prepared.narrowing.until:
        found.append(Image.created_at < _midnight(prepared.narrowing.until + timedelta(days=1)))
    return found


def find_start(db: Session, project: Project, prepared: Prepared, after: int, last: int) -> int:
    """The id behind which, and not before, images may be found: the labels of each wish have an index in the order of
    images. `last` where there are none any more.
    """
    start = after
    for wish, node_ids in zip(prepared.narrowing.labels, prepared.node_ids, strict=True):
        for first in _first_labels(project, wish, node_ids, start):
            found = db.scalar(first)
            start = max(start, last if found is None else found - 1)
    for saying in prepared.narrowing.sayings:
        if not (saying.field and saying.value):
            continue  # no index has these in the order of images
        said = select(func.min(ImageValue.image_id)).where(*_says(project, saying))
        found = db.scalar(said.where(ImageValue.image_id > start))
        start = max(start, last if found is None else found - 1)
    if prepared.narrowing.contradictory is not None:
        wanted = prepared.narrowing.contradictory
        found = db.scalar(first_contradictory(project, start, wanted=wanted))
        start = max(start, last if found is None else found - 1)
    if prepared.held:
        found = db.scalar(first_held(project, prepared.held, start))
        start = max(start, last if found is None else found - 1)
    return start


def _first_labels(
    project: Project, wish: LabelWish, node_ids: tuple[int, ...] | None, after: int
) -> Iterator[Select[int]]:
    """The first image behind `after` that may have what a wish asks for, as each index tells it that knows a part."""
    if node_ids is not None:
        each = (
            func.unnest(literal(list(node_ids), ARRAY(BigInteger)))
            .table_valued("node_id")
            .render_derived(name="asked")
        )
        polarities = [wish.polarity] if wish.polarity else list(POLARITIES)
        states = [wish.state] if wish.state else list(STATES)
        firsts = [
            select(func.min(Label.image_id))
            .where(
                Label.node_id == each.c.node_id,
                Label.polarity == polarity,
                Label.state == state,
                Label.image_id > after,
            )
            .scalar_subquery()
            for polarity in polarities
            for state in states
        ]
        least = func.least(*firsts) if len(firsts) > 1 else firsts[0]
        yield select(func.min(least)).select_from(each)
    if wish.run is not None:
        of_run = select(func.min(Label.image_id)).where(Label.agent_run_id == wish.run)
        yield of_run.where(Label.image_id > after)
    if wish.by is not None:
        of_person = select(func.min(Label.image_id)).where(Label.decided_by == wish.by)
        yield of_person.where(Label.image_id > after)
    if wish.state == "proposed" and node_ids is None:
        yield select(func.min(ImageTally.image_id)).where(
            ImageTally.project_id == project.id, ImageTally.is_asked, ImageTally.image_id > after
        )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _kept(project: Project, prepared: Prepared, stretch: Stretch) -> list[tuple[int, Select[int]]]:
    """The images of a stretch that have a label, wish by wish, that have contradictions or none, that a dataset holds; each
    with about how many that finds.
    """
    asked = prepared.narrowing
    wishes = zip(prepared.numbers, asked.labels, prepared.node_ids, strict=False)
    found = [
        (number, _labels(project, wish, node_ids).where(*stretch(Label.image_id)))
        for number, wish, node_ids in wishes
    ]
    if asked.contradictory is not None:
        number = prepared.numbers[len(asked.labels) + len(asked.sayings)]
        images = contradictory_images(project, wanted=asked.contradictory)
        images = images.where(*stretch(ImageContradiction.image_id))
        found.append((number, images))
    if prepared.held:
        found.append((prepared.held.number, are_held(project, prepared.held, stretch)))
    return found


def _in_all(kept: Sequence[tuple[int, Select[int]]]) -> Select[int]:
    """The images that are in each of these.

    What is rarest is read in the order of images, and each image that has it is asked for the rest before
    anything else of it is: the database cannot know how few are left, and would look at all of them first.
    """
    rarest, *others = (images for _, images in sorted(kept, key=lambda each: each[0]))
    if not others:
        return rarest
    candidates = rarest.distinct().cte("having_the_rarest").prefix_with("MATERIALIZED")
    asked = select(candidates.c.image_id)
    return asked.where(*(candidates.c.image_id.in_(each) for each in others))


def _labels(project: Project, wish: LabelWish, node_ids: tuple[int, ...] | None) -> Select[int]:
    """The images of the labels that a wish asks for."""
    asked = select(Label.image_id)
    if node_ids is not None:
        # Every column of the index is given, so that it is read part by part in the order of images, and
        # none that it lacks, so that nothing is looked up in the table.
        asked = asked.where(
            Label.node_id == any_(literal(list(node_ids), ARRAY(BigInteger))),
            Label.polarity.in_([wish.polarity] if wish.polarity else POLARITIES),
            Label.state.in_([wish.state] if wish.state else STATES),
        )
    else:
        if wish.by is None and wish.run is None:
            asked = asked.where(Label.project_id == project.id)
        if wish.polarity:
            asked = asked.where(Label.polarity == wish.polarity)
        if wish.state:
            asked = asked.where(Label.state == wish.state)
    for column, value in (
        (Label.source, wish.source or None),
        (Label.decided_by, wish.by),
        (Label.agent_run_id, wish.run),
    ):
        if value is not None:
            asked = asked.where(column == value)
    if wish.least is not None:
        asked = asked.where(Label.confidence >= wish.least)
    if wish.most is not None:
        asked = asked.where(Label.confidence <= wish.most)
    return asked.where(applies(Label.image_id, Label.node_id))
