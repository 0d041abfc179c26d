"""Names that went to another attribute while labels stand: finding them, asking, and what follows.

A label names an attribute (pair and side), never a text, so that a rename keeps it. Where a name goes
to *another* attribute, keeping its labels turns their meaning round, and only a person can say whether
that is meant. So every edit that does it asks, and a publication asks for what no edit decided.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from sqlalchemy import Row, delete, func, select, text
from sqlalchemy.orm import Session, defer, undefer

from app.accounts.models import Person
from app.criteria.models import CriteriaVersion, Node
from app.criteria.reading import version_criteria
from app.criteria.snapshots import read_snapshot
from app.criteria.successions import find_successors
from app.errors import Conflict
from app.images.models import Image
from app.labels.models import Label
from app.projects.models import Project
from app.versions.counting import count_all_labels
from app.versions.models import MovedName
from app.versions.texts import texts_now
from taxonomy.changes import MovedText, Texts, moved_texts, texts_of
from taxonomy.tree import Side

Choice: TypeAlias = Literal["keep", "follow"]
CHOICES: dict[Choice, str] = {
    "keep": "The labels stay where they are and say the new name from the next version on.",
    "follow": "The labels go with the name: what was labelled keeps its meaning.",
}
MAX_KNOWN = 256
_known: dict[str, Texts] = {}


@dataclass(frozen=True, slots=True)
class Moved:
    """A text that went to another attribute, with the labels that were made where it stood.

    `now` is what the attribute that lost it is called now. `version_ids` are the versions in which it
    stood there; `whole` means that the last published one is among them, so all labels are concerned.
    """

    part: str
    text: str
    source: Side
    target: Side
    now: str
    num_labels: int
    version_ids: tuple[int, ...]
    whole: bool
    choice: Choice | None = None

    @property
    def sentence(self) -> str:
        """What happened and what it would do, for people."""
        labels = "1 label" if self.num_labels == 1 else f"{self.num_labels} labels"
        then = f"would say “{self.now}” if they stay there" if self.now else "would lose their name"
        return (
            f"“{self.text}” was the {self.part} of {self.source.key} ({self.source.polarity}) and is "
            f"now that of {self.target.key} ({self.target.polarity}). {labels} made for it {then}."
        )


def find_moved(
    db: Session, project: Project, *, concerning: Collection[str] | None = None
) -> list[Moved]:
    """Every text that stands at another attribute than when labels were made for it, undecided or not.

    The working criteria are compared with every published version: a name may have gone there by way
    of another, in several publications. With `concerning` only what came from or went to the pairs with
    these keys is looked for.
    """
    snapshot = read_snapshot(db, project)
    now = texts_now(project.id, snapshot)
    found = _moved_since(db, project, now, concerning)
    if not found:
        return []
    ids = {key: node.id for key, node in snapshot.by_key.items()}
    # What becomes of the labels of an attribute that others took the place of, is said by that change.
    replaced = find_successors(db, project)
    found = {way: each for way, each in found.items() if each.source.key not in replaced}
    found = _without_kept(db, project, found, ids)
    return _with_choices(db, project, _with_labels(db, project, found, ids, now), ids)


def settle_edit(
    db: Session,
    project: Project,
    keys: Collection[str],
    choice: Choice | None,
    *,
    by: Person | None,
) -> None:
    """Call after an edit of the nodes with these keys, before anything is committed: where a text went to or from it
    that labels were made for, note the choice, or raise Conflict with the question.
    """
    waiting = _keys_waiting(db, project)
    found = find_moved(db, project, concerning={*keys, *waiting})
    _forget_vanished(db, project, found)
    concerned = [each for each in found if {each.source.key, each.target.key} & set(keys)]
    asked = [each for each in concerned if choice is not None or each.choice is None]
    if asked and choice is None:
        raise question(asked)
    _note(db, project, asked, choice, by)


def settle_publication(
    db: Session, project: Project, choice: Choice | None, *, by: Person
) -> list[Moved]:
    """Every moved text with its choice: the one given, or the one its edit noted.

    Raises Conflict with the question where one has none.
    """
    found = find_moved(db, project)
    _forget_vanished(db, project, found)
    if choice is not None:
        _note(db, project, found, choice, by)
        found = [replace(each, choice=choice) for each in found]
    if asked := [each for each in found if each.choice is None]:
        raise question(asked)
    return found


def question(asked: Sequence[Moved]) -> Conflict:
    """The refusal that asks: `names_moved` in the next try answers it."""
    more = f" (and {len(asked) - 1} more)" if len(asked) > 1 else ""
    return Conflict(
        f"{asked[0].sentence}{more} Nothing was changed yet.",
        field="names_moved",
        hint="Were only the names to be exchanged, say “follow”, and the labels go with them; was each "
        "side to get another meaning, say “keep”.",
        choices=CHOICES,
        moved=[as_json(each) for each in asked],
    )


def as_json(moved: Moved) -> dict[str, Any]:
    """A moved text for programs."""
    return {
        "part": moved.part,
        "text": moved.text,
        "from": moved.source._asdict(),
        "to": moved.target._asdict(),
        "now": moved.now,
        "labels": moved.num_labels,
        "choice": moved.choice,
        "sentence": moved.sentence,
    }


# Finding -------------------------------------------------------------------------------------


def _texts(db: Session, versions: Sequence[CriteriaVersion]) -> list[Texts]:
    """The texts of published versions, parsed once per process; contents are read in one query."""
    known = {each.sha256: _known[each.sha256] for each in versions if each.sha256 in _known}
    missing = [each.id for each in versions if each.sha256 not in known]
    if missing:
        whole = select(CriteriaVersion).where(CriteriaVersion.id.in_(missing))
        for each in db.scalars(whole.options(undefer(CriteriaVersion.content))):
            known[each.sha256] = texts_of(version_criteria(each))
    while len(_known) + len(missing) > MAX_KNOWN and _known:
        _known.pop(next(iter(_known)), None)
    _known.update(known)
    return [known[each.sha256] for each in versions]


def _moved_since(
    db: Session, project: Project, now: Texts, concerning: Collection[str] | None
) -> dict[tuple[Side, Side], Moved]:
    versions = db.scalars(
        select(CriteriaVersion)
        .where(CriteriaVersion.project_id == project.id)
        .order_by(CriteriaVersion.number.desc())
        .options(defer(CriteriaVersion.content))
    ).all()
    found: dict[tuple[Side, Side], Moved] = {}
    for place, (version, texts) in enumerate(zip(versions, _texts(db, versions), strict=True)):
        for each in moved_texts(texts, now, concerning=concerning):
            way = (each.source, each.target)
            if way in found:
                known = found[way]
                found[way] = replace(known, version_ids=(*known.version_ids, version.id))
            else:
                found[way] = _moved(each, version, is_last=place == 0)
    return found


def _moved(each: MovedText, version: CriteriaVersion, *, is_last: bool) -> Moved:
    return Moved(each.part, each.text, each.source, each.target, "", 0, (version.id,), is_last)


def _without_kept(
    db: Session,
    project: Project,
    found: dict[tuple[Side, Side], Moved],
    ids: dict[str, int],
) -> dict[tuple[Side, Side], Moved]:
    """Leave out what a publication decided to keep: those labels mean the new name since then."""
    rows = db.scalars(
        select(MovedName).where(
            MovedName.project_id == project.id,
            MovedName.version_id.is_not(None),
            MovedName.choice == "keep",
        )
    )
    kept: dict[tuple[Any, ...], int] = {}
    for row in rows:
        way = (row.source_id, row.source_polarity, row.target_id, row.target_polarity)
        kept[way] = max(kept.get(way, 0), row.version_id or 0)
    left = {}
    for sides, each in found.items():
        until = kept.get(_way(each, ids), 0)
        if later := tuple(number for number in each.version_ids if number >= until):
            left[sides] = replace(each, version_ids=later)
    return left


def _way(each: Moved, ids: dict[str, int]) -> tuple[Any, ...]:
    source, target = each.source, each.target
    return (ids.get(source.key), source.polarity, ids.get(target.key), target.polarity)


def _with_labels(
    db: Session,
    project: Project,
    found: dict[tuple[Side, Side], Moved],
    ids: dict[str, int],
    now: Texts,
) -> list[Moved]:
    whole = {
        ids[each.source.key] for each in found.values() if each.source.key in ids and each.whole
    }
    parts = {
        ids[each.source.key] for each in found.values() if each.source.key in ids and not each.whole
    }
    all_labels = count_all_labels(db, project.id, whole) if whole else {}
    by_version = _count_by_version(db, parts) if parts else []
    concerned = []
    for each in found.values():
        side = (ids.get(each.source.key, 0), each.source.polarity)
        num = (
            all_labels.get(side, 0)
            if each.whole
            else sum(
                count
                for *of, version_id, count in by_version
                if tuple(of) == side and version_id in each.version_ids
            )
        )
        stays = now.written.get(each.source)
        name = stays.name if stays else ""
        if num:
            concerned.append(replace(each, num_labels=num, now=name))
    return concerned


def _count_by_version(db: Session, node_ids: Collection[int]) -> Sequence[Row[int, str, int, int]]:
    """Labels by node, polarity and the version they were made under; reads each of them."""
    return db.execute(
        select(Label.node_id, Label.polarity, Label.version_id, func.count())
        .where(Label.node_id.in_(node_ids))
        .group_by(Label.node_id, Label.polarity, Label.version_id)
    ).all()


def _with_choices(
    db: Session, project: Project, found: Iterable[Moved], ids: dict[str, int]
) -> list[Moved]:
    waiting: dict[tuple[Any, ...], Any] = {
        (row.source_id, row.source_polarity, row.target_id, row.target_polarity): row.choice
        for row in _waiting(db, project)
    }
    return [replace(each, choice=waiting.get(_way(each, ids))) for each in found]


# Choices -------------------------------------------------------------------------------------


def _waiting(db: Session, project: Project) -> Sequence[MovedName]:
    return db.scalars(
        select(MovedName).where(MovedName.project_id == project.id, MovedName.version_id.is_(None))
    ).all()


def _keys_waiting(db: Session, project: Project) -> Sequence[str]:
    """The pairs that a choice which no publication carried out yet speaks of."""
    rows = _waiting(db, project)
    ids = {node_id for row in rows for node_id in (row.source_id, row.target_id)}
    return db.scalars(select(Node.key).where(Node.id.in_(ids))).all() if ids else []


def _forget_vanished(db: Session, project: Project, found: Sequence[Moved]) -> None:
    ids = _ids(db, project, found)
    ways = {_way(each, ids) for each in found}
    for row in _waiting(db, project):
        way = (row.source_id, row.source_polarity, row.target_id, row.target_polarity)
        if way not in ways:
            db.delete(row)
    db.flush()


def _ids(db: Session, project: Project, found: Iterable[Moved]) -> dict[str, int]:
    keys = {side.key for each in found for side in (each.source, each.target)}
    rows = db.execute(
        select(Node.key, Node.id).where(Node.project_id == project.id, Node.key.in_(keys))
    )
    return {row.key: row.id for row in rows}


def _note(
    db: Session, project: Project, found: Sequence[Moved], choice: Choice | None, by: Person | None
) -> None:
    if not found or choice is None:
        return
    ids = _ids(db, project, found)
    for each in found:
        way = _way(each, ids)
        db.execute(
            delete(MovedName).where(
                MovedName.version_id.is_(None),
                MovedName.source_id == way[0],
                MovedName.source_polarity == way[1],
                MovedName.target_id == way[2],
                MovedName.target_polarity == way[3],
            )
        )
        db.add(
            MovedName(
                project_id=project.id,
                part=each.part,
                text=each.text,
                source_id=way[0],
                source_polarity=way[1],
                target_id=way[2],
                target_polarity=way[3],
                choice=choice,
                decided_by=by.id if by else None,
            )
        )
    db.flush()


# Carrying out --------------------------------------------------------------------------------


def carry_out(
    db: Session, project: Project, found: Sequence[Moved], version: CriteriaVersion, *, by: Person
) -> int:
    """After `version` was frozen: labels follow where that was chosen; returns how many did.

    Raises Conflict where following would turn other labels round.
    """
    following = [each for each in found if each.choice == "follow"]
    _refuse_turned_targets(db, project, following)
    moved = _follow(db, project, following, version, by) if following else 0
    for row in _waiting(db, project):
        row.version_id = version.id
    db.flush()
    return moved


def _refuse_turned_targets(db: Session, project: Project, following: Sequence[Moved]) -> None:
    """An attribute that gets labels and a name must not have labels left that meant another name."""
    left = {each.source for each in following if each.whole}
    stuck = [each for each in following if each.whole and each.target not in left]
    ids = _ids(db, project, stuck)
    for each in stuck:
        here = select(func.count()).where(
            Label.node_id == ids[each.target.key], Label.polarity == each.target.polarity
        )
        if num := db.scalar(here):
            raise Conflict(
                f"{num} labels of the {each.target.polarity} side of {each.target.key} were made under "
                f"a name that no attribute has any more; they would say “{each.text}”.",
                field="names_moved",
                hint="Give that name to an attribute first, or say “keep”.",
            )


_SETUP = (
    "DROP TABLE IF EXISTS pg_temp.leaving",
    "DROP TABLE IF EXISTS pg_temp.stood",
    """
    CREATE TEMP TABLE leaving ON COMMIT DROP AS
    SELECT l.*, m.to_id, m.to_polarity
    FROM label AS l JOIN jsonb_to_recordset(CAST(:moves AS jsonb)) AS m(
        from_id bigint, from_polarity text, to_id bigint, to_polarity text, versions bigint[]
    ) ON l.node_id = m.from_id AND l.polarity = m.from_polarity
        AND (m.versions IS NULL OR l.version_id = ANY(m.versions))
    """,
    # Every place that changes, with the state that stood there.
    """
    CREATE TEMP TABLE stood ON COMMIT DROP AS
    SELECT place.*, l.state FROM (
        SELECT image_id, node_id, polarity FROM leaving
        UNION SELECT image_id, to_id, to_polarity FROM leaving
    ) AS place LEFT JOIN label AS l USING (image_id, node_id, polarity)
    """,
    "DELETE FROM label WHERE id IN (SELECT id FROM leaving)",
    # Where a label stands already, one that a person decided under this name counts more.
    """
    INSERT INTO label AS l (
        project_id, image_id, node_id, polarity, state, source, agent_run_id, version_id, measure,
        value, threshold, confidence, evidence, revision, decided_by, decided_at, bulk_action_id
    )
    SELECT w.project_id, w.image_id, w.to_id, w.to_polarity, w.state, w.source, w.agent_run_id,
           :version_id, w.measure, w.value, w.threshold, w.confidence, w.evidence, image.label_revision + 1,
           w.decided_by, w.decided_at, w.bulk_action_id
    FROM leaving AS w JOIN image ON image.id = w.image_id
    ON CONFLICT (image_id, node_id, polarity) DO UPDATE
    SET state = excluded.state, source = excluded.source, agent_run_id = excluded.agent_run_id,
        version_id = excluded.version_id, measure = excluded.measure, value = excluded.value,
        threshold = excluded.threshold, confidence = excluded.confidence,
        evidence = excluded.evidence, revision = excluded.revision, decided_by = excluded.decided_by,
        decided_at = excluded.decided_at, bulk_action_id = excluded.bulk_action_id
    WHERE l.state = 'proposed'
    """,
    """
    INSERT INTO label_event (
        image_id, node_id, polarity, kind, before, after, image_revision, person_id, version_id
    )
    SELECT s.image_id, s.node_id, s.polarity, 'follow', s.state, l.state, image.label_revision + 1,
           :person_id, :version_id
    FROM stood AS s JOIN image ON image.id = s.image_id
    LEFT JOIN label AS l USING (image_id, node_id, polarity)
    ORDER BY s.image_id, s.node_id, s.polarity
    """,
    "UPDATE image SET label_revision = label_revision + 1 WHERE id IN (SELECT image_id FROM leaving)",
)


def _follow(
    db: Session,
    project: Project,
    following: Collection[Moved],
    version: CriteriaVersion,
    by: Person,
) -> int:
    ids = _ids(db, project, following)
    nodes = {ids[each.source.key] for each in following}
    concerned = select(Label.image_id).where(Label.node_id.in_(nodes))
    # Locked in the order of their ids, as every writer of labels does.
    images = select(Image.id).where(Image.id.in_(concerned)).order_by(Image.id)
    db.execute(images.with_for_update(key_share=True))
    moves = [
        {
            "from_id": ids[each.source.key],
            "from_polarity": each.source.polarity,
            "to_id": ids[each.target.key],
            "to_polarity": each.target.polarity,
            "versions": None if each.whole else list(each.version_ids),
        }
        for each in following
    ]
    values = {"moves": json.dumps(moves), "version_id": version.id, "person_id": by.id}
    db.flush()
    for statement in _SETUP:
        named = {name: value for name, value in values.items() if f":{name}" in statement}
        db.execute(text(statement), named)
    moved = db.scalar(text("SELECT count(*) FROM leaving"))
    for held in list(db.identity_map.values()):
        if isinstance(held, (Image, Label)):
            db.expire(held)
    return int(moved or 0)
