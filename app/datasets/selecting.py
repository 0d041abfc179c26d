"""What goes into a dataset and how: which images, what becomes of contradictions, which split.

The survey before freezing and the build read through the same functions, so that what was shown is what
is frozen (unless labels change in between: the manifest counts again).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from app.criteria.models import Node
from app.database import Json
from app.errors import Invalid
from app.images.counting import count_kinds
from app.images.inclusion import in_use
from app.images.models import Image
from app.images.pictures import find_pictures
from app.images.traits import find_traits
from app.labels.models import Label
from app.projects.models import Project
from taxonomy.applicability import UNKNOWN, Applicability, Traits
from taxonomy.contradictions import Contradiction, Held, Rules, contradictions
from taxonomy.tree import POLARITIES, Criteria, Side

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
DEFAULT_SALT = "morelli"
BATCH = 5000
MOST_SURVEYED = 25_000
"""Of more images than this a survey looks at a sample, so that it is there while one still wants it."""
SAMPLE = 10_000

Rule: TypeAlias = Literal["keep", "leave_out_labels", "leave_out_images"]
RULES: dict[Rule, str] = {
    "keep": "Keep them; they are counted",
    "leave_out_labels": "Leave out the labels that contradict",
    "leave_out_images": "Leave out the images",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """How a dataset is chosen: the options that a lead has. Attributes whose accuracy in closed audits is under
    `least_accuracy` are left out; `without` are those that this meant when the dataset was asked for.
    """

    salt: str = DEFAULT_SALT
    only_done: bool = True
    contradictions: Rule = "keep"
    least_accuracy: float | None = None
    without: tuple[Side, ...] = ()

    def as_options(self) -> Json:
        """As they stand in the dataset's row."""
        rule = {
            "least_accuracy": self.least_accuracy,
            "without": [f"{each.key}/{each.polarity}" for each in self.without],
        }
        return {
            "salt": self.salt,
            "fractions": FRACTIONS,
            "only_done": self.only_done,
            "contradictions": self.contradictions,
            **({} if self.least_accuracy is None else rule),
        }

    @classmethod
    def of(cls, options: Json) -> "Choice":
        """Of a dataset's row; those of earlier releases had fewer options."""
        return cls(
            salt=options.get("salt", DEFAULT_SALT),
            only_done=bool(options.get("only_done", False)),
            contradictions=options.get("contradictions", "keep"),
            least_accuracy=options.get("least_accuracy"),
            without=tuple(_side(each) for each in options.get("without", ())),
        )


def _side(text: str) -> Side:
    key, _, polarity = text.rpartition("/")
    return Side(key, "positive" if polarity == "positive" else "negative")


class Seen(NamedTuple):
    """An image as far as choosing needs it."""

    id: int
    sha256: str
    name: str
    prompt: str
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Example:
    """One image of the snapshot with its effective labels, in tree order.

    They stand as they read in the image's style: a negative attribute that is a merit there is among the
    positive ones; what is description there is neutral and not written; what does not apply is only
    counted. `contradictions` are those among its confirmed labels as they stand, before any rule.
    """

    image: Seen
    positive: tuple[Side, ...]
    negative: tuple[Side, ...]
    neutral: tuple[Side, ...] = ()
    num_not_applicable: int = 0
    traits: Traits = UNKNOWN
    num_undecided: int = 0
    is_finished: bool = True
    contradictions: tuple[Contradiction, ...] = ()


@dataclass
class Tally:
    """What was found while choosing: counted before anything is left out."""

    left_out: Counter[str] = field(default_factory=Counter)
    contradictions: Counter[str] = field(default_factory=Counter)
    contradicting_images: int = 0
    dropped_labels: int = 0
    under_the_bar: int = 0


def check_choice(choice: Choice) -> None:
    """Raise Invalid where an option is none."""
    if not 1 <= len(choice.salt) <= 80 or not choice.salt.isprintable():
        raise Invalid("The salt has 1 to 80 printable characters.", field="salt")
    if choice.contradictions not in RULES:
        raise Invalid(f"The rule is one of {', '.join(RULES)}.", field="contradictions")
    if choice.least_accuracy is not None and not 0 <= choice.least_accuracy <= 1:
        raise Invalid("An accuracy is from 0 to 1.", field="least_accuracy")


def split_of(salt: str, image_sha256: str) -> str:
    """The split an image belongs to: by the hash of salt and image alone, so that adding images
    moves none of the others, and the same image never changes sides between datasets. Of files of one
    picture that of the first imported one decides (`app.images.pictures`).
    """
    digest = hashlib.sha256(f"{salt}:{image_sha256}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for name, fraction in FRACTIONS.items():
        if place < fraction:
            return name
        place -= fraction
    return "test"


def read_examples(
    db: Session, project: Project, criteria: Criteria, *, share: float = 1
) -> Iterator[Example]:
    """Every image of the project with its confirmed labels, by id; of a smaller share those whose hashes
    come first, which is a random sample.

    One transaction sees one state of all of them when the caller has set REPEATABLE READ. Finished is
    an image that is marked as done; in a project where nobody has marked one yet, an image without an
    undecided label.
    """
    marked = select(Image.id).where(
        Image.project_id == project.id, in_use(), Image.done_at.is_not(None)
    )
    uses_marks = db.scalar(marked.limit(1)) is not None
    sides, places = _sides_in_order(db, project, criteria)
    rules = criteria.derived(Rules)
    applicability = criteria.derived(Applicability)
    after = 0
    while images := _next_images(db, project, after, share):
        labels = _find_labels(db, project, images)
        traits = {} if applicability.is_plain else _find_traits(db, project, criteria, images)
        for image in images:
            confirmed, undecided = labels.get(image.id, ((), ()))
            known = traits.get(image.id, UNKNOWN)
            num_undecided = sum(
                each not in places or not applicability.lacking(sides[places[each]].key, known)
                for each in undecided
            )
            here = sorted(places[each] for each in confirmed if each in places)
            read = applicability.sort([sides[each] for each in here], known)
            yield Example(
                image,
                read.positive,
                read.negative,
                read.neutral,
                num_not_applicable=len(read.not_applicable),
                traits=known,
                num_undecided=num_undecided,
                is_finished=image.done_at is not None if uses_marks else not num_undecided,
                contradictions=rules.among({*read.positive, *read.negative, *read.neutral}),
            )
        after = images[-1].id


def _find_traits(
    db: Session, project: Project, criteria: Criteria, images: Sequence[Seen]
) -> dict[int, Traits]:
    ids = [each.id for each in images]
    rows = db.execute(select(Image.id, Image.details).where(Image.id == func.any(ids)))
    return find_traits(db, project, criteria, {row.id: row.details for row in rows})


def _next_images(db: Session, project: Project, after: int, share: float) -> list[Seen]:
    wanted = select(Image.id, Image.sha256, Image.name, Image.prompt, Image.done_at).where(
        Image.project_id == project.id, in_use(), Image.id > after
    )
    if share < 1:
        wanted = wanted.where(Image.sha256 < f"{int(share * 2**32):08x}")
    return [Seen(*row) for row in db.execute(wanted.order_by(Image.id).limit(BATCH))]


def _sides_in_order(
    db: Session, project: Project, criteria: Criteria
) -> tuple[list[Side], dict[int, int]]:
    """Each attribute in use, in tree order, and the place of each there by its code."""
    rows = db.execute(select(Node.key, Node.id).where(Node.project_id == project.id))
    ids: dict[str, int] = {row.key: row.id for row in rows}
    pairs = [pair.key for pair in criteria.active_pairs() if pair.key in ids]
    sides = [Side(key, polarity) for key in pairs for polarity in POLARITIES]
    codes = (2 * ids[key] + negative for key in pairs for negative in (False, True))
    return sides, {code: place for place, code in enumerate(codes)}


def _find_labels(
    db: Session, project: Project, images: Sequence[Seen]
) -> dict[int, tuple[Sequence[int], Sequence[int]]]:
    """The codes of the confirmed and of the undecided labels (proposed, unsure) of images, which come by id.

    A code is twice the node's id, and one more for the negative attribute: numbers in one row for each image
    come several times faster than a row for each label.
    """
    code = Label.node_id * 2 + case((Label.polarity == "negative", 1), else_=0)
    rows = db.execute(
        select(
            Label.image_id,
            func.array_agg(code).filter(Label.state == "confirmed"),
            func.array_agg(code).filter(Label.state.in_(("proposed", "unsure"))),
        )
        .where(
            Label.project_id == project.id, Label.image_id == func.any([each.id for each in images])
        )
        .group_by(Label.image_id)
    )
    return {row[0]: (row[1] or (), row[2] or ()) for row in rows}


def choose(
    examples: Iterable[Example], choice: Choice, criteria: Criteria, tally: Tally
) -> Iterator[Example]:
    """The images that go in, with the rules for attributes and contradictions applied; what does not is counted."""
    for example in examples:
        example = _without_attributes(example, choice.without, tally)
        if not (example.positive or example.negative):
            tally.left_out["without_label"] += 1
            continue
        if choice.only_done and not example.is_finished:
            tally.left_out["unfinished"] += 1
            continue
        if example.contradictions:
            tally.contradicting_images += 1
            tally.contradictions.update(each.kind for each in example.contradictions)
            if choice.contradictions == "leave_out_images":
                tally.left_out["contradicting"] += 1
                continue
            if choice.contradictions == "leave_out_labels":
                example = _without_contradictions(example, criteria, tally)
                if not (example.positive or example.negative):
                    tally.left_out["contradicting"] += 1
                    continue
        yield example


def _without_attributes(example: Example, without: tuple[Side, ...], tally: Tally) -> Example:
    left = [each for each in without if each in example.positive or each in example.negative]
    if not left:
        return example
    tally.under_the_bar += len(left)
    return replace(
        example,
        positive=tuple(each for each in example.positive if each not in left),
        negative=tuple(each for each in example.negative if each not in left),
    )


def _without_contradictions(example: Example, criteria: Criteria, tally: Tally) -> Example:
    held: set[Held] = {*example.positive, *example.negative, *example.neutral}
    # Taking out a positive attribute can leave its flaw alone, which is a contradiction too.
    while found := contradictions(held, criteria):
        wrong = {each for contradiction in found for each in contradiction.attributes}
        tally.dropped_labels += len(held & wrong)
        held -= wrong
    return replace(
        example,
        positive=tuple(each for each in example.positive if each in held),
        negative=tuple(each for each in example.negative if each in held),
    )


def count(chosen: Sequence[Example], pictures: dict[int, str], salt: str, tally: Tally) -> Json:
    """The numbers of a dataset, as its page, its manifest, its job and the survey before it show them."""
    splits = Counter(split_of(salt, pictures[each.image.id]) for each in chosen)
    different = {pictures[each.image.id] for each in chosen}
    return {
        "images": len(chosen),
        **{name: splits[name] for name in FRACTIONS},
        "positive_labels": sum(len(each.positive) for each in chosen),
        "negative_labels": sum(len(each.negative) for each in chosen),
        "neutral_labels": sum(len(each.neutral) for each in chosen),
        "not_applicable_labels": sum(each.num_not_applicable for each in chosen),
        "images_of_known_style": sum(bool(each.traits.styles) for each in chosen),
        "undecided_labels": sum(each.num_undecided for each in chosen),
        "unfinished": sum(not each.is_finished for each in chosen),
        "without_negative": sum(not each.negative for each in chosen),
        "without_prompt": sum(not each.image.prompt for each in chosen),
        "same_picture": len(chosen) - len(different),
        "contradictions": tally.contradictions.total(),
        "contradicting_images": tally.contradicting_images,
        "contradictions_by_kind": dict(sorted(tally.contradictions.items())),
        "labels_left_out": tally.dropped_labels,
        "labels_under_the_bar": tally.under_the_bar,
        "images_left_out": dict(sorted(tally.left_out.items())),
    }


# Before freezing ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Survey:
    """What freezing now would give: the counts of the dataset, and its images.

    In a project of very many images they are those of a sample, `sampled` of `of`: the counts are then
    estimates of the whole.
    """

    counts: Json
    examples: list[Example]
    splits: list[str]
    sampled: int | None = None
    of: int | None = None

    @property
    def refusal(self) -> Invalid | None:
        """Why nothing would be frozen, where that is so."""
        return None if self.examples else why_empty(self.counts["images_left_out"])

    @property
    def rows(self) -> list[tuple[Example, str]]:
        """The images with their splits, by id."""
        return list(zip(self.examples, self.splits, strict=True))


def survey(db: Session, project: Project, choice: Choice, criteria: Criteria) -> Survey:
    """What would be frozen with these options. Raises Invalid for wrong ones."""
    check_choice(choice)
    number = count_kinds(db, project).used
    if number > MOST_SURVEYED:
        return _sampled(db, project, choice, criteria, number)
    tally = Tally()
    chosen = list(choose(read_examples(db, project, criteria), choice, criteria, tally))
    pictures = find_pictures(db, project)
    counts = count(chosen, pictures, choice.salt, tally)
    splits = [split_of(choice.salt, pictures[each.image.id]) for each in chosen]
    return Survey(counts, chosen, splits)


def _sampled(
    db: Session, project: Project, choice: Choice, criteria: Criteria, number: int
) -> Survey:
    tally = Tally()
    looked_at = list(read_examples(db, project, criteria, share=SAMPLE / number))
    chosen = list(choose(looked_at, choice, criteria, tally))
    # Which of them are files of one picture is only known of all images together.
    counts = count(
        chosen, {each.image.id: each.image.sha256 for each in chosen}, choice.salt, tally
    )
    del counts["same_picture"]
    times = number / max(len(looked_at), 1)
    splits = [split_of(choice.salt, each.image.sha256) for each in chosen]
    return Survey(_scaled(counts, times), chosen, splits, len(looked_at), number)


def _scaled(counts: Json, times: float) -> Json:
    return {
        name: _scaled(value, times) if isinstance(value, dict) else round(value * times)
        for name, value in counts.items()
    }


def check_not_empty(db: Session, project: Project, choice: Choice, criteria: Criteria) -> None:
    """Raise Invalid where nothing would be frozen; reads no further than the first image that would be."""
    tally = Tally()
    if next(choose(read_examples(db, project, criteria), choice, criteria, tally), None) is None:
        raise why_empty(tally.left_out)


def why_empty(left_out: Mapping[str, int]) -> Invalid:
    """Why no image is left to freeze, by what was left out; survey, form, API and job say the same."""
    if num := left_out.get("unfinished"):
        return Invalid(
            f"No image with confirmed labels is finished ({num:,} are not).",
            field="only_done",
            hint="Mark some as done, or include images that are not finished.",
        )
    if left_out.get("contradicting"):
        return Invalid(
            "Every image has labels that contradict one another, and the rule leaves such images out.",
            field="contradictions",
            hint="Choose another rule, or correct their labels.",
        )
    return Invalid(
        "No image has a confirmed label of this criteria version.",
        field="labels",
        hint="A dataset freezes confirmed labels: correct some first.",
    )
