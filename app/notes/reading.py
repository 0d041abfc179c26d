"""Reads discussions: of one node, of an image, of a project, and what stands at the places of nodes that left the tree."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session, aliased

from app.accounts.models import Person
from app.criteria.models import Node
from app.criteria.reading import title
from app.criteria.successions import find_predecessors, find_successors
from app.errors import NotFound
from app.images.models import Image
from app.notes.models import Discussion, Note
from app.projects.models import Project
from taxonomy.tree import resolve

PAGE = 50
IN_PANEL = 6


@dataclass(frozen=True)
class ShownNote:
    """A note with the names of the people."""

    note: Note
    author: str
    editor: str | None
    deleter: str | None


@dataclass(frozen=True)
class ShownDiscussion:
    """A discussion in a list: what it is about, its first note, and how many answers it has."""

    discussion: Discussion
    node: Node | None
    image: Image | None
    first: Note
    author: str
    settler: str | None
    num_answers: int

    @property
    def title(self) -> str:
        """What it is about is called so."""
        return about(self.discussion, self.node, self.image)


def about(discussion: Discussion, node: Node | None, image: Image | None) -> str:
    """What a discussion is about: a node of the criteria, an image, or a label of one."""
    if image is None:
        return title(node) if node is not None else ""
    name = str(image.details.get("title") or image.name)
    if node is None or discussion.polarity is None:
        return name
    is_positive = discussion.polarity == "positive"
    attribute = node.positive_name if is_positive else node.negative_name
    return f"{'+' if is_positive else '−'} {attribute or node.key} on {name}"


def find_discussions(
    db: Session,
    project: Project,
    *,
    node: Node | None = None,
    image: Image | None = None,
    labels: bool = True,
    settled: bool | None = None,
    discussion_id: int | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> Sequence[ShownDiscussion]:
    """Discussions about the criteria of a project, about one node, or on one image (without `labels` those on the image
    as a whole), newest first, from below `before`; open or settled ones where asked, or one by id, whatever it is about.
    """
    starter, settler = aliased(Person), aliased(Person)
    page = (
        select(Discussion.id)
        .where(Discussion.project_id == project.id)
        .order_by(Discussion.id.desc())
        .limit(limit)
    )
    if image is not None:
        page = page.where(Discussion.image_id == image.id)
        if not labels:
            page = page.where(Discussion.node_id.is_(None))
    elif discussion_id is None:
        page = page.where(Discussion.image_id.is_(None))
    if node is not None:
        page = page.where(Discussion.node_id == node.id)
    if settled is not None:
        is_open = Discussion.settled_at.is_(None)
        page = page.where(~is_open if settled else is_open)
    if discussion_id is not None:
        page = page.where(Discussion.id == discussion_id)
    if before is not None:
        page = page.where(Discussion.id < before)
    notes = (
        select(
            Note.discussion_id,
            func.min(Note.id).label("first"),
            (func.count() - 1).label("answers"),
        )
        .where(Note.discussion_id.in_(page))
        .group_by(Note.discussion_id)
        .subquery()
    )
    rows = db.execute(
        select(Discussion, Node, Image, Note, starter.name, settler.name, notes.c.answers)
        .join(notes, notes.c.discussion_id == Discussion.id)
        .join(Note, Note.id == notes.c.first)
        .outerjoin(Node, Node.id == Discussion.node_id)
        .outerjoin(Image, Image.id == Discussion.image_id)
        .join(starter, starter.id == Discussion.started_by)
        .outerjoin(settler, settler.id == Discussion.settled_by)
        .order_by(Discussion.id.desc())
    )
    return [ShownDiscussion(*row) for row in rows]


def show_discussion(db: Session, project: Project, discussion_id: int) -> ShownDiscussion:
    """One discussion. Raises NotFound."""
    found = find_discussions(db, project, discussion_id=discussion_id)
    if not found:
        raise NotFound(f"There is no discussion {discussion_id} in this project.")
    return found[0]


def find_notes(
    db: Session, discussion: Discussion, *, after: int = 0, limit: int = PAGE
) -> Sequence[ShownNote]:
    """The notes of a discussion in their order, from above `after`."""
    author, editor, deleter = aliased(Person), aliased(Person), aliased(Person)
    rows = db.execute(
        select(Note, author.name, editor.name, deleter.name)
        .join(author, author.id == Note.written_by)
        .outerjoin(editor, editor.id == Note.edited_by)
        .outerjoin(deleter, deleter.id == Note.deleted_by)
        .where(Note.discussion_id == discussion.id, Note.id > after)
        .order_by(Note.id)
        .limit(limit)
    )
    return [ShownNote(*row) for row in rows]


def get_any_node(db: Session, project: Project, key: str) -> Node:
    """A node by key, also one that left the tree: what was written at it stays. Raises NotFound."""
    node = db.scalar(select(Node).where(Node.project_id == project.id, Node.key == key))
    if node is None:
        raise NotFound(f"The criteria have no node “{key}”.")
    return node


@dataclass(frozen=True)
class Count:
    """How many discussions a node has, and how many of them are open."""

    node: Node
    open: int
    all: int

    @property
    def title(self) -> str:
        """What the node is called."""
        return title(self.node)


def count_discussions(db: Session, nodes: Iterable[Node]) -> list[Count]:
    """The discussions of each of these nodes that has some, in the order given; one query."""
    wanted = {node.id: node for node in nodes}
    if not wanted:
        return []
    rows = {
        node_id: (is_open, every)
        for node_id, is_open, every in db.execute(
            select(
                Discussion.node_id,
                func.count().filter(Discussion.settled_at.is_(None)),
                func.count(),
            )
            .where(Discussion.node_id.in_(wanted), Discussion.image_id.is_(None))
            .group_by(Discussion.node_id)
        )
    }
    return [Count(node, *rows[key]) for key, node in wanted.items() if key in rows]


def count_before(db: Session, node: Node) -> list[Count]:
    """The discussions at nodes whose place this one took, however many steps ago."""
    return count_discussions(db, find_predecessors(db, node))


@dataclass(frozen=True)
class NodeNotes:
    """What the panel of a node shows of its discussions: the newest open ones, how many there are, and those
    at nodes whose place it took.
    """

    open: Sequence[ShownDiscussion]
    num_open: int
    num_all: int
    before: Sequence[Count]


def notes_at(db: Session, project: Project, node: Node) -> NodeNotes:
    """The discussions at a node as its panel shows them."""
    found = find_discussions(db, project, node=node, settled=False, limit=IN_PANEL)
    counts = count_discussions(db, [node, *find_predecessors(db, node)])
    own = next((each for each in counts if each.node is node), Count(node, 0, 0))
    return NodeNotes(found, own.open, own.all, [each for each in counts if each.node is not node])


@dataclass(frozen=True)
class OpenDiscussions:
    """How many discussions of a project are open, and by the key of the node where each is to be found: its
    own, or those that took its place.
    """

    all: int
    by_key: Mapping[str, int]


def count_open(db: Session, project: Project) -> OpenDiscussions:
    """The open discussions of a project; one query, and a second where some are at nodes that left the tree."""
    rows = db.execute(
        select(Node.key, Node.removed, func.count())
        .join(Discussion, Discussion.node_id == Node.id)
        .where(
            Discussion.project_id == project.id,
            Discussion.settled_at.is_(None),
            Discussion.image_id.is_(None),
        )
        .group_by(Node.id)
    ).all()
    counts = Counter({key: number for key, removed, number in rows if not removed})
    gone = [(key, number) for key, removed, number in rows if removed]
    successors = find_successors(db, project) if gone else {}
    for key, number in gone:
        for place in resolve(key, successors, lambda _: True):
            counts[place] += number
    return OpenDiscussions(sum(row[2] for row in rows), counts)


# Every labelling page asks.
_OPEN_ON = select(func.count()).where(
    Discussion.image_id == bindparam("image_id"), Discussion.settled_at.is_(None)
)


def count_on(db: Session, image: Image, *, labels: bool) -> int:
    """How many discussions on an image are open; without `labels` those on the image as a whole."""
    open_ones = _OPEN_ON if labels else _OPEN_ON.where(Discussion.node_id.is_(None))
    return db.scalar(open_ones, {"image_id": image.id}) or 0
