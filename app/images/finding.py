"""Reads images and imports of a project, a page at a time, by key."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    any_,
    bindparam,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import LARGEST_KEY, keep_until_commit
from app.errors import Invalid, NotFound
from app.images.applicability import applies
from app.images.counting import count_kinds
from app.images.inclusion import in_use, is_there
from app.images.models import Image, ImageImport, ImportProblem
from app.images.narrowing import EVERYTHING, LabelWish, Narrowing, among, narrowed, prepare
from app.images.rarity import judge
from app.images.searching import is_found, place_of
from app.images.walking import Walk
from app.jobs.models import Job
from app.labels.models import ImageContradiction, ImageTally, Label
from app.projects.models import Project
from taxonomy.folding import Query, read_query

FILTERS = ("all", "undone", "new", "done", "proposed", "unsure", "contradictory", "aside")
# Whose images are found stretch by stretch.
WALKED = ("proposed", "contradictory")
OF_SUGGESTIONS = ("proposed", "unsure", "contradictory")
PAGE = 60
_IDS = ARRAY(BigInteger)
MOST_RANKED = 1_000
"""Images that are put in the order of how well they fit some words."""
MOST_COUNTED = 1_000
"""Images that are counted for a filter whose number is not kept."""


# Not the key: who takes a lease on the image holds its place in the queue, and waiting for one another they would
# never end.
LOCKED: Select[Image] = (
    select(Image)
    .where(Image.id == bindparam("image_id"))
    .with_for_update(key_share=True, of=Image)
    .execution_options(populate_existing=True)
)


def get_image(
    db: Session, project: Project, image_id: int, *, lock: bool | Select[Image] = False
) -> Image:
    """An image of this project, in use or set aside. `lock` makes its writers wait for one another; it may be
    `LOCKED` with what else is to be held, of a `project_id`.

    Raises NotFound, for one that was erased with who did it and when.
    """
    if not 0 < image_id <= LARGEST_KEY:
        raise NotFound(f"There is no image {image_id} in this project.")
    if lock is not False:
        locking = LOCKED if lock is True else lock
        image = db.scalar(locking, {"image_id": image_id, "project_id": project.id})
        # Nobody else changes it until the transaction ends: what asks for it again needs no question.
        keep_until_commit(db, image)
    else:
        image = db.get(Image, image_id)
    if image is None or image.project_id != project.id:
        raise NotFound(f"There is no image {image_id} in this project.")
    if image.state == "erased":
        raise NotFound(f"Image {image_id} is gone: it {erased_words(db, image)}.")
    return image


def erased_words(db: Session, image: Image) -> str:
    """What the trace of an erased image says: by whom, when and why."""
    person = db.get(Person, image.state_by) if image.state_by else None
    day = image.state_at.strftime("%-d %b %Y") if image.state_at else "some day"
    by = f" by {person.name}" if person else ""
    return f"was erased{by} on {day} ({image.state_reason})"


@dataclass(frozen=True)
class Page:
    """Images in the order of their import; `before` and `after` are the keys of the pages beside."""

    images: Sequence[Image]
    before: int | None
    after: int | None


def filters(*, suggestions: bool = True) -> tuple[str, ...]:
    """The filters that a person has. Who hides suggestions is not told which images have some."""
    return FILTERS if suggestions else tuple(each for each in FILTERS if each not in OF_SUGGESTIONS)


def check_filter(show: str, *, suggestions: bool) -> None:
    """Raise Invalid for a filter that would tell of suggestions that are hidden."""
    if show in FILTERS and show not in filters(suggestions=suggestions):
        raise Invalid(
            "Which images have proposals, contradictions, or labels that somebody is unsure of, is hidden with the suggestions.",
            field="show",
            hint="Show suggestions on the page of an image first.",
        )


def filtered(
    project: Project, show: str, text: str, *, is_common: bool = False
) -> list[ColumnElement[bool]]:
    """What holds of the images of a project that a filter finds; where its words are `is_common`, each image
    is looked at for them. Raises Invalid for an unknown filter.
    """
    if show not in FILTERS:
        raise Invalid(f"Images can be filtered by {', '.join(FILTERS)}.", field="show")
    found: list[ColumnElement[bool]] = [Image.project_id == project.id]
    found.append(Image.state == "aside" if show == "aside" else in_use())
    if show == "undone":
        found.append(or_(Image.done_at.is_(None), Image.came_back_at.is_not(None)))
    if show == "new":
        found.append(Image.came_back_at.is_not(None))
    if show == "done":
        found.append(Image.done_at.is_not(None))
    if show == "proposed":
        found.append(_is_asked())
    if show == "unsure":
        found.append(has_unsure(project))
    if show == "contradictory":
        found.append(_is_contradictory())
    query = read_query(text)
    if query:
        # The index would first collect all images that have the words.
        found.append(is_found(query).is_(true()) if is_common else is_found(query))
    return found


def has_unsure(project: Project, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether an image of the project has labels that somebody is unsure of and that apply to it, and of which
    `more` holds. They are few: an index of their own is asked, not each image.
    """
    labels = select(Label.image_id).where(
        Label.project_id == project.id,
        Label.state == literal_column("'unsure'"),
        applies(Label.image_id, Label.node_id),
        *more,
    )
    return Image.id.in_(labels)


def find_rare(db: Session, project: Project, query: Query) -> list[int] | None:
    """The images in use or set aside that are found by these words; None where they are too many to be put in
    the order of how well they fit.
    """
    used, conditions = count_kinds(db, project).used, [is_found(query)]
    if used > 10 * MOST_RANKED:
        rarity = judge(db, project, query)
        if rarity.is_above(MOST_RANKED, used):
            return None
        conditions = rarity.conditions()
    some = select(Image.id).where(Image.project_id == project.id, is_there(), *conditions)
    ids = list(db.scalars(some.limit(MOST_RANKED + 1)))
    return ids if len(ids) <= MOST_RANKED else None


def _is_asked() -> ColumnElement[bool]:
    """Whether an image has proposals that apply to it."""
    asked = select(ImageTally.image_id).where(ImageTally.image_id == Image.id, ImageTally.is_asked)
    return asked.exists()


def _is_contradictory() -> ColumnElement[bool]:
    """Whether labels of an image that stand and apply to it contradict one another."""
    kept = select(ImageContradiction.image_id).where(
        ImageContradiction.image_id == Image.id, ImageContradiction.is_contradictory
    )
    return kept.exists()


@dataclass(frozen=True, slots=True)
class Search:
    """How the images of a filter are come by: all `conditions` hold of them. Where there is a `walk`, it finds
    them stretch by stretch; where there is a `query`, they are few and in the order of how well they fit it.
    """

    conditions: Sequence[ColumnElement[bool]]
    walk: Walk | None = None
    query: Query | None = None


def search(db: Session, project: Project, show: str, text: str, narrowing: Narrowing) -> Search:
    """The way to the images of a filter that costs the same at any number of images.

    Raises Invalid for an unknown filter, NotFound for a node of the narrowing that is not there.
    """
    query = read_query(text)
    ranked = find_rare(db, project, query) if query else None
    if ranked is not None:
        few = [*filtered(project, show, ""), Image.id == any_(literal(ranked, _IDS))]
        if narrowing:
            few += narrowed(project, prepare(db, project, narrowing), among(ranked))
        return Search(few, query=query)
    conditions = filtered(project, show, text, is_common=True)
    if show == "proposed":
        narrowing = narrowing.asking(LabelWish(state="proposed"))
    if show == "contradictory":
        narrowing = replace(narrowing, contradictory=True)
    if not narrowing:
        return Search(conditions)
    # Of these an index holds the images alone.
    indexed = filtered(project, show, "") if show in ("undone", "new", "aside") else ()
    return Search(
        conditions, Walk(db, project, prepare(db, project, narrowing), conditions, indexed)
    )


def find_images(
    db: Session,
    project: Project,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int = PAGE,
    show: str = "all",
    text: str = "",
    narrowing: Narrowing = EVERYTHING,
) -> Page:
    """A page of images behind `after` or in front of `before`, filtered, in the order of their import.

    With `text` those whose name, metadata or prompt have words that start with each of its words, best
    first, as `taxonomy.folding` ranks them; where these are more than `MOST_RANKED`, in the order of their
    import. Raises Invalid for an unknown filter, NotFound for a node of the narrowing that is not there.
    """
    backwards = before is not None and after is None
    cursor = before if backwards else after
    found = search(db, project, show, text, narrowing)
    # One more than asked for tells whether the walk goes on.
    if found.walk:
        rows = found.walk.find(Image, cursor, limit + 1, backwards=backwards)
    else:
        order = _order(db, found.query, cursor)
        statement = select(Image).where(*found.conditions).limit(limit + 1)
        if backwards:
            by = [column.desc() for column in order.columns]
            statement = statement.where(tuple_(*order.columns) < order.at).order_by(*by)
        else:
            if after is not None:
                statement = statement.where(tuple_(*order.columns) > order.at)
            statement = statement.order_by(*order.columns)
        rows = list(db.scalars(statement))
    return _page(rows, cursor, limit, backwards=backwards)


def _page(rows: list[Image], cursor: int | None, limit: int, *, backwards: bool) -> Page:
    goes_on = len(rows) > limit
    images = rows[:limit][::-1] if backwards else rows[:limit]
    if not images:
        return Page([], None, None)
    has_before = goes_on if backwards else cursor is not None
    has_after = True if backwards else goes_on
    return Page(images, images[0].id if has_before else None, images[-1].id if has_after else None)


class _Order(NamedTuple):
    """What images are ordered by, and where in that order a page begins."""

    columns: tuple[ColumnElement[int], ...]
    at: tuple[int, ...]


def _order(db: Session, query: Query | None, cursor: int | None) -> _Order:
    own = cast(ColumnElement[int], Image.id)
    if query is None:
        return _Order((own,), (cursor or 0,))
    place = place_of(query)
    # The place of the image at the cursor is asked for, so that the cursor stays one number.
    at = db.scalar(select(place).where(Image.id == cursor)) if cursor else None
    return _Order((place, own), (-1 if at is None else at, cursor or 0))


@dataclass(frozen=True, slots=True)
class Total:
    """How many images a filter finds; with `is_more` so many were counted, and there may be more."""

    number: int
    is_more: bool = False


def count_images(
    db: Session,
    project: Project,
    *,
    show: str = "all",
    text: str = "",
    narrowing: Narrowing = EVERYTHING,
) -> Total:
    """How many images a filter finds. Without words and narrowing the number is kept, but that of unsure ones;
    else no more than `MOST_COUNTED` are counted, and fewer where counting takes longer than somebody waits for it.
    """
    kept = count_kinds(db, project).of(show)
    if kept is not None and not read_query(text) and not narrowing:
        return Total(kept)
    query = read_query(text)
    if query and not narrowing and show not in WALKED:
        found = Search([*filtered(project, show, ""), *_by_words(db, project, query)])
    else:
        found = search(db, project, show, text, narrowing)
    if found.walk:
        number, is_more = found.walk.count(MOST_COUNTED + 1)
        return Total(min(number, MOST_COUNTED), is_more or number > MOST_COUNTED)
    some = select(Image.id).where(*found.conditions).limit(MOST_COUNTED + 1).subquery()
    number = db.scalar(select(func.count()).select_from(some)) or 0
    return Total(min(number, MOST_COUNTED), number > MOST_COUNTED)


def _by_words(db: Session, project: Project, query: Query) -> list[ColumnElement[bool]]:
    """That images have these words, asked so that counting some of them costs least."""
    used = count_kinds(db, project).used
    if used <= 10 * MOST_RANKED:
        return [is_found(query)]
    rarity = judge(db, project, query)
    is_common = rarity.is_above(MOST_RANKED, used)
    return [is_found(query).is_(true())] if is_common else rarity.conditions()


def neighbours(
    db: Session,
    project: Project,
    image_id: int,
    *,
    show: str = "all",
    text: str = "",
    narrowing: Narrowing = EVERYTHING,
) -> tuple[int | None, int | None]:
    """The ids of the images before and after one, in the order of the wall under this filter."""
    if (show, text) == ("all", "") and not narrowing:
        return _beside(db, project, image_id)
    same = {"limit": 1, "show": show, "text": text, "narrowing": narrowing}
    found = [
        find_images(db, project, before=image_id, **same),  # type: ignore[arg-type]
        find_images(db, project, after=image_id, **same),  # type: ignore[arg-type]
    ]
    previous, following = (page.images[0].id if page.images else None for page in found)
    return previous, following


def _beside(db: Session, project: Project, image_id: int) -> tuple[int | None, int | None]:
    """The same where nothing is filtered: both ends of the index in one statement, without their rows."""
    values = {"project_id": project.id, "image_id": image_id}
    previous, following = db.execute(_BESIDE, values).one()
    return previous, following


def _both_sides() -> Select[Any]:
    own = select(Image.id).where(Image.project_id == bindparam("project_id"), in_use()).limit(1)
    here: BindParameter[int] = bindparam("image_id")
    sides = (
        own.where(Image.id < here).order_by(Image.id.desc()),
        own.where(Image.id > here).order_by(Image.id),
    )
    return select(*(each.scalar_subquery() for each in sides))


_BESIDE = _both_sides()


@dataclass
class LabelCounts:
    """How many labels an image has, by polarity and state."""

    by_state: dict[tuple[str, str], int] = field(default_factory=dict)

    def of(self, polarity: str, *states: str) -> int:
        """The labels of one polarity in any of these states."""
        return sum(self.by_state.get((polarity, state), 0) for state in states)

    @property
    def positive(self) -> int:
        """Positive labels that stand: proposed or confirmed."""
        return self.of("positive", "proposed", "confirmed")

    @property
    def negative(self) -> int:
        """Negative labels that stand: proposed or confirmed."""
        return self.of("negative", "proposed", "confirmed")

    @property
    def proposed(self) -> int:
        """Labels that nobody has judged yet."""
        return self.of("positive", "proposed") + self.of("negative", "proposed")

    @property
    def unsure(self) -> int:
        """Labels that somebody looked at and could not decide."""
        return self.of("positive", "unsure") + self.of("negative", "unsure")

    @property
    def confirmed(self) -> int:
        """Labels that a person has confirmed."""
        return self.of("positive", "confirmed") + self.of("negative", "confirmed")


def count_labels(
    db: Session,
    images: Sequence[Image],
    *,
    suggestions: bool = True,
    viewer_id: int | None = None,
    all_kept: bool = False,
) -> dict[int, LabelCounts]:
    """The labels that apply to each of these images, in one query; with `all_kept` the others too. Without
    `suggestions` those that the viewer is not shown (`app.labels.reading.find_labels`) are not counted.
    """
    counts = {image.id: LabelCounts() for image in images}
    statement = (
        select(Label.image_id, Label.polarity, Label.state, func.count())
        .where(Label.image_id.in_(list(counts)))
        .group_by(Label.image_id, Label.polarity, Label.state)
    )
    if not all_kept:
        statement = statement.where(applies(Label.image_id, Label.node_id))
    if not suggestions:
        of_others = Label.decided_by.is_distinct_from(viewer_id)
        refused = Label.state.in_(("rejected", "unsure")) & (Label.source != "person") & of_others
        statement = statement.where(Label.state != "proposed", ~refused)
    rows = db.execute(statement)
    for image_id, polarity, state, number in rows:
        counts[image_id].by_state[polarity, state] = number
    return counts


def get_import(db: Session, project: Project, import_id: int) -> tuple[ImageImport, Job | None]:
    """An import of this project with its job, where it has one. Raises NotFound."""
    row = db.execute(
        select(ImageImport, Job)
        .outerjoin(Job, Job.id == ImageImport.job_id)
        .where(ImageImport.id == import_id, ImageImport.project_id == project.id)
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such import in this project.")
    return row[0], row[1]


def import_of_upload(db: Session, project: Project, token: str) -> int | None:
    """The import that was made of an upload, or None."""
    return db.scalar(
        select(ImageImport.id)
        .join(Job, Job.id == ImageImport.job_id)
        .where(
            ImageImport.project_id == project.id,
            Job.spec["source"]["token"].astext == token,
        )
    )


def find_imports(
    db: Session, project: Project, *, before: int | None = None, limit: int = 20
) -> list[tuple[ImageImport, Job | None]]:
    """Imports with their jobs, newest first."""
    query = (
        select(ImageImport, Job)
        .outerjoin(Job, Job.id == ImageImport.job_id)
        .where(ImageImport.project_id == project.id)
        .order_by(ImageImport.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(ImageImport.id < before)
    return [(row[0], row[1]) for row in db.execute(query)]


def find_problems(
    db: Session, import_id: int, *, after: int = 0, limit: int = 100
) -> Sequence[ImportProblem]:
    """What an import said about files it did not add, in the order it came to them."""
    return db.scalars(
        select(ImportProblem)
        .where(ImportProblem.import_id == import_id, ImportProblem.id > after)
        .order_by(ImportProblem.id)
        .limit(limit)
    ).all()
