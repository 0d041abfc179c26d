"""Random lives of criteria with labels: whatever is done in whatever order, no label is lost or left at a
node that is not there, undoing gives back the same bytes, ids stay, and what was published stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import database
from app.criteria.editing import rename
from app.criteria.loading import load_criteria
from app.criteria.merging import NewDimension, NewPair, merge, redefine, split
from app.criteria.models import CriteriaVersion, Node
from app.criteria.placing import move
from app.criteria.reading import find_nodes, get_criteria, version_criteria, working_criteria
from app.criteria.retiring import restore, retire
from app.criteria.undoing import undo
from app.errors import AppError
from app.images.models import Image
from app.labels.models import Carrying, Label
from app.labels.saving import save
from app.labels.unfolding import happened_to
from app.projects.models import Membership, Project
from app.versions.publishing import publish
from taxonomy.formats.json import read_json, sha256, write_json
from taxonomy.tree import Attribute, Criteria, Dimension, Pair
from tests.app.labels.test_replay import replayed
from tests.app.versions.test_texts import check_kept_texts
from tests.people import Cast

START = Criteria(
    "Life",
    dimensions=tuple(
        Dimension(
            f"d{i}",
            f"Dimension number {i}{i}{i}",
            "What it is.",
            pairs=tuple(
                Pair(
                    f"p{i}{j}",
                    "opposed",
                    Attribute(f"Quality {'abc'[i] * 4}{'xyz'[j] * 4}", "Seen."),
                    Attribute(f"Lack {'abc'[i] * 4}{'xyz'[j] * 4}", "Seen."),
                )
                for j in range(3)
            ),
        )
        for i in range(3)
    ),
)
EDITS = (
    "rename",
    "undo",
    "move",
    "merge",
    "merge",
    "split",
    "redefine",
    "retire",
    "restore",
    "undo",
    "undo",
)
STEP = st.tuples(
    st.sampled_from((*EDITS, *EDITS, *["label"] * 10, *["publish"] * 6)),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 3),
)
States = Literal["confirmed", "rejected", "unsure", "withdrawn"]


@dataclass
class Life:
    """One project through its life, in one transaction."""

    db: Session
    people: Cast
    project: Project
    images: list[Image]
    names: int = 0
    keys: dict[int, str] = field(default_factory=dict)
    published: dict[int, tuple[str, str]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def json(self) -> str:
        return write_json(working_criteria(self.db, self.project))

    def pick(self, number: int, kind: str | None = None) -> Node:
        nodes = sorted(find_nodes(self.db, self.project), key=lambda node: node.id)
        fitting = [node for node in nodes if kind in (None, node.kind)]
        return fitting[number % len(fitting)]

    def new(self) -> NewPair:
        self.names += 1
        word = "".join("abcdefghij"[int(digit)] * 2 for digit in f"{self.names:03d}")
        return NewPair(
            "opposed", Attribute(f"New {word}", "Seen."), Attribute(f"No {word}", "Seen.")
        )

    def edit(self, kind: str, n: int, m: int, p: int) -> None:
        """One edit of the working criteria."""
        db, project, by = self.db, self.project, self.people.ada
        if kind == "undo":
            last = get_criteria(db, project).revision
            undo(db, project, max(1, last - n % 5), by=by)
            return
        node = self.pick(n, "pair" if kind in ("split", "redefine") or n % 3 else None)
        if kind == "restore":
            node = next((each for each in find_nodes(db, project) if each.retired), node)
        how: dict[str, Any] = {"based_on": node.revision, "by": by}
        if kind == "rename":
            name = self.new().positive.name
            texts: dict[str, Any] = {"positive": name} if node.kind == "pair" else {"name": name}
            rename(db, project, node.key, **texts, **how)
        elif kind == "move":
            parent = self.pick(m, "dimension")
            below = [each for each in find_nodes(db, project) if each.parent_id == parent.id]
            below = [each for each in below if each.kind == node.kind and each.id != node.id]
            before = below[p % len(below)].key if below and p else None
            move(db, project, node.key, parent=parent.key, before=before, **how)
        elif kind == "merge":
            others = [self.pick(m + i, node.kind) for i in range(1 + p % 2)]
            chosen = {each.key: each.revision for each in (node, *others)}
            new = self.new()
            fresh = new if node.kind == "pair" else NewDimension(new.positive.name, "Seen.")
            into = fresh if p > 1 else others[0].key
            merge(db, project, list(chosen), into=into, based_on=chosen, by=by)
        elif kind == "split":
            split(db, project, node.key, into=[self.new() for _ in range(2 + p % 2)], **how)
        elif kind == "redefine":
            redefine(db, project, node.key, new=self.new(), **how)
        else:
            (retire if kind == "retire" else restore)(db, project, node.key, **how)

    def label(self, n: int, m: int, p: int) -> None:
        """Somebody decides, adds or takes back a label under the version in force."""
        version = self.versions()[-1]
        pairs = version_criteria(version).active_pairs()
        image = self.images[n % len(self.images)]
        key, polarity = pairs[m % len(pairs)].key, ("positive", "negative")[p == 3]
        states: Sequence[States] = ("confirmed", "rejected", "unsure", "withdrawn", "confirmed")
        standing = self.db.scalar(
            select(Label.state)
            .join(Node)
            .where(Label.image_id == image.id, Node.key == key, Label.polarity == polarity)
        )
        save(
            self.db,
            self.project,
            image.id,
            key=key,
            polarity=polarity,
            state="confirmed" if standing is None else states[p],
            based_on=image.label_revision,
            operation_id=uuid4(),
            by=self.people.ben,
        )

    def versions(self) -> Sequence[CriteriaVersion]:
        return self.db.scalars(
            select(CriteriaVersion)
            .where(CriteriaVersion.project_id == self.project.id)
            .order_by(CriteriaVersion.number)
        ).all()

    def labels(self) -> dict[tuple[int, str, str], str]:
        rows = self.db.execute(
            select(Label.image_id, Node.key, Label.polarity, Label.state)
            .join(Node)
            .where(Label.project_id == self.project.id)
        )
        return {(image_id, key, polarity): state for image_id, key, polarity, state in rows}

    # What has to hold -------------------------------------------------------------------------

    def take(self, kind: str, n: int, m: int, p: int) -> None:
        """One step, and what has to hold after it."""
        before, labels, kept = self.json(), self.labels(), self.num_kept()
        try:
            with self.db.begin_nested():
                if kind == "publish":
                    publish(self.db, self.project, by=self.people.ada, names_moved="keep")
                elif kind == "label":
                    self.label(n, m, p)
                else:
                    self.edit(kind, n, m, p)
        except AppError:
            self.db.expire_all()
            assert self.json() == before
            assert self.labels() == labels
            return
        self.db.expire_all()
        self.done.append(kind)
        self.check_identity()
        check_kept_texts(self.db, self.project)
        if kind == "publish":
            self.check_labels(labels, kept)
        elif kind != "label":
            assert self.labels() == labels  # Labels change with publications alone.
            self.check_undoing(before)

    def check_undoing(self, before: str) -> None:
        """The same bytes as before, and after doing it again the same as after."""
        after = self.json()
        if after == before:
            return  # Moved to where it stood; nothing was recorded.
        with self.db.begin_nested() as there_and_back:
            undo(self.db, self.project, self.revision(), by=self.people.lea)
            assert self.json() == before
            undo(self.db, self.project, self.revision(), by=self.people.lea)
            assert self.json() == after
            there_and_back.rollback()
        self.db.expire_all()

    def revision(self) -> int:
        return get_criteria(self.db, self.project).revision

    def check_identity(self) -> None:
        for node_id, key in self.db.execute(
            select(Node.id, Node.key).where(Node.project_id == self.project.id)
        ).all():
            assert self.keys.setdefault(node_id, key) == key
        assert len(set(self.keys.values())) == len(self.keys)
        for version in self.versions():
            known = self.published.setdefault(version.number, (version.sha256, version.content))
            assert (version.sha256, version.content) == known
            assert sha256(read_json(version.content)) == version.sha256

    def num_kept(self) -> int:
        return self.db.scalar(select(func.count()).select_from(Carrying)) or 0

    def check_labels(self, before: dict[tuple[int, str, str], str], kept: int) -> None:
        was, tree = (version_criteria(each) for each in self.versions()[-2:])
        after = self.labels()
        assert all(tree.find(key) for _, key, _ in after)
        # Where a merge is taken back, what it carried goes home from the node that it was merged into.
        back = [key for key in was.successors if tree.find(key)]
        for (image_id, key, polarity), state in before.items():
            stands = [(image_id, each, polarity) for each in tree.resolve(key)]
            assert stands, "every key that was ever published leads somewhere"
            home = [each for each in back if key in was.resolve(each)]
            stands += [(image_id, each, polarity) for each in home]
            if state != "rejected":
                assert any(each in after for each in stands)
            elif not any(each in after for each in stands):
                assert self.num_kept() > kept
        for image in self.images:
            standing = self.db.scalars(select(Label).where(Label.image_id == image.id))
            assert replayed(happened_to(self.db, image)) == {
                (each.node_id, each.polarity): (each.state, each.revision) for each in standing
            }


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking would take minutes here
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, min_size=8, max_size=30))
def test_no_label_is_lost_whatever_becomes_of_the_criteria(
    people: Cast, steps: list[tuple[str, int, int, int]]
) -> None:
    with Session(database.engine(), autoflush=True) as db:
        project = Project(slug="a-life", name="A life")
        db.add(project)
        db.flush()
        for person, role in ((people.ada, "expert"), (people.ben, "annotator")):
            db.add(Membership(project_id=project.id, person_id=person.id, role=role))
        load_criteria(db, project, START, by=people.lea)
        images = [
            Image(
                project_id=project.id,
                sha256=f"{number:064x}",
                name=f"{number}.png",
                format="PNG",
                width=1,
                height=1,
                bytes=1,
                prompt="",
                details={},
            )
            for number in range(3)
        ]
        db.add_all(images)
        db.flush()
        publish(db, project, by=people.ada)
        life = Life(db, people, project, images)
        life.check_identity()
        for step in steps:
            life.take(*step)
        db.rollback()
