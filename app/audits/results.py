"""What an audit found: the table of results, every verdict, and the list of a project's audits.

Participants whose link was revoked are left out of every figure; how many is said beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.agents.models import AgentRun
from app.audits.access import as_polarity, get_audit_criteria, instrument
from app.audits.models import Audit, AuditItem, Judgement
from app.audits.scoring import Score, Tally, score
from app.criteria.models import CriteriaVersion, Node
from app.images.models import Image
from app.participants.models import Participant
from app.participants.progress import People, count_people, counted, participant_state
from app.projects.models import Project
from taxonomy.tree import POLARITIES, Pair


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One row of the table. `key` is a root dimension's key or a polarity, `sampled` its labels."""

    key: str
    name: str
    sampled: int
    score: Score


@dataclass(frozen=True, slots=True)
class Results:
    """Accuracy by root dimension in tree order, by polarity, and overall, as it stands now."""

    dimensions: tuple[ResultRow, ...]
    polarities: tuple[ResultRow, ...]
    overall: ResultRow


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """What the figures of an audit rest on; `items` are the labels."""

    items: int
    decoys: int
    images: int
    version_number: int
    version_sha256: str
    agent: str | None
    agent_version: str | None
    people: People

    @property
    def questions(self) -> int:
        """What each participant is asked."""
        return self.items + self.decoys


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """An audit in the list; `accuracy` is the pooled one, None before the first verdict."""

    audit: Audit
    version_number: int
    items: int
    people: People
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One participant's answer about one item, as it is exported."""

    participant: int
    participant_state: str
    image_position: int
    image_name: str
    image_sha256: str
    dimension: str
    key: str
    polarity: str
    attribute: str
    answer: str
    revision: int
    at: datetime
    kind: str


def results(db: Session, audit: Audit) -> Results:
    """The audit's results as they stand now."""
    tree = get_audit_criteria(db, audit).tree
    tallies = find_tallies(db, audit)

    def row(key: str, name: str, of: Sequence[Tally]) -> ResultRow:
        sampled = sum(each.kind == "label" for each in of)
        return ResultRow(key, name, sampled, score(of, seed=audit.seed))

    # A dimension that the sample has no label of is a row that says so, not a gap to be noticed.
    in_use = {tree.root_of(pair.key).key for pair in tree.active_pairs()}
    in_use |= {each.root_key for each in tallies}
    return Results(
        dimensions=tuple(
            row(root.key, root.name, [each for each in tallies if each.root_key == root.key])
            for root in tree.dimensions
            if root.key in in_use
        ),
        polarities=tuple(
            row(polarity, polarity, [each for each in tallies if each.polarity == polarity])
            for polarity in POLARITIES
        ),
        overall=row("overall", "Overall", tallies),
    )


def find_tallies(db: Session, audit: Audit) -> list[Tally]:
    """Every item of the audit with its answers counted, zeros included."""
    counts = (
        select(
            Judgement.item_id,
            *(
                func.count().filter(Judgement.answer == answer).label(answer)
                for answer in ("appears", "does_not_appear", "cannot_tell")
            ),
        )
        .join(Participant, Participant.id == Judgement.participant_id)
        .where(Participant.audit_id == audit.id, counted())
        .group_by(Judgement.item_id)
        .subquery()
    )
    rows = db.execute(
        select(
            AuditItem.image_id,
            AuditItem.root_key,
            AuditItem.polarity,
            func.coalesce(counts.c.appears, 0),
            func.coalesce(counts.c.does_not_appear, 0),
            func.coalesce(counts.c.cannot_tell, 0),
            AuditItem.kind,
        )
        .outerjoin(counts, counts.c.item_id == AuditItem.id)
        .where(AuditItem.audit_id == audit.id)
    )
    return [Tally(*row) for row in rows]


def get_facts(db: Session, audit: Audit) -> AuditFacts:
    of, version = instrument(audit), get_audit_criteria(db, audit)
    items, decoys = db.execute(
        select(
            func.count().filter(AuditItem.kind == "label"),
            func.count().filter(AuditItem.kind == "decoy"),
        ).where(AuditItem.audit_id == audit.id)
    ).one()
    agent = db.execute(
        select(AgentRun.agent, AgentRun.agent_version).where(AgentRun.id == audit.agent_run_id)
    ).one_or_none()
    return AuditFacts(
        items=items,
        decoys=decoys,
        images=audit.sample_size,
        version_number=version.number,
        version_sha256=version.sha256,
        agent=agent[0] if agent else None,
        agent_version=agent[1] if agent else None,
        people=count_people(db, [of]).get(of, People()),
    )


def find_audits(
    db: Session, project: Project, *, before: int | None = None, limit: int = 20
) -> list[AuditSummary]:
    """A project's audits, newest first, from below the id `before`."""
    query = (
        select(Audit, CriteriaVersion.number)
        .join(CriteriaVersion, CriteriaVersion.id == Audit.version_id)
        .where(Audit.project_id == project.id)
        .order_by(Audit.id.desc())
        .limit(limit)
    )
    found = db.execute(query if before is None else query.where(Audit.id < before)).all()
    ids = [audit.id for audit, _ in found]
    counted = db.execute(
        select(AuditItem.audit_id, func.count())
        .where(AuditItem.audit_id.in_(ids), AuditItem.kind == "label")
        .group_by(AuditItem.audit_id)
    ).all()
    items = {row[0]: row[1] for row in counted}
    people = count_people(db, [instrument(audit) for audit, _ in found])
    accuracy = _accuracies(db, ids)
    return [
        AuditSummary(
            audit=audit,
            version_number=number,
            items=items.get(audit.id, 0),
            people=people.get(instrument(audit), People()),
            accuracy=accuracy.get(audit.id),
        )
        for audit, number in found
    ]


def _accuracies(db: Session, audit_ids: Sequence[int]) -> dict[int, float]:
    appears = func.count().filter(Judgement.answer == "appears")
    rows = db.execute(
        select(Participant.audit_id, appears, func.count())
        .join(Judgement, Judgement.participant_id == Participant.id)
        .join(AuditItem, AuditItem.id == Judgement.item_id)
        .where(
            Participant.audit_id.in_(audit_ids),
            counted(),
            AuditItem.kind == "label",
            Judgement.answer != "cannot_tell",
        )
        .group_by(Participant.audit_id)
    )
    return {audit_id: hits / total for audit_id, hits, total in rows}


def iterate_verdicts(db: Session, audit: Audit) -> Iterator[Verdict]:
    """Every verdict of the audit by participant and item, those of revoked participants included."""
    tree = get_audit_criteria(db, audit).tree
    people = {
        each.id: (each.number, participant_state(each))
        for each in db.scalars(select(Participant).where(Participant.audit_id == audit.id))
    }
    # Columns, not objects: an audit of a hundred images has tens of thousands of verdicts.
    rows = db.execute(
        select(
            Judgement.participant_id,
            AuditItem.image_position,
            AuditItem.polarity,
            Image.name,
            Image.sha256,
            Node.key,
            Judgement.answer,
            Judgement.revision,
            Judgement.at,
            AuditItem.kind,
        )
        .join(AuditItem, AuditItem.id == Judgement.item_id)
        .join(Node, Node.id == AuditItem.node_id)
        .join(Image, Image.id == AuditItem.image_id)
        .where(Judgement.participant_id.in_(people))
        .order_by(Judgement.participant_id, AuditItem.id)
    )
    for participant_id, position, polarity, name, sha256, key, answer, revision, at, kind in rows:
        number, state = people[participant_id]
        entry = tree.entry(key)
        assert isinstance(entry.node, Pair)
        yield Verdict(
            number,
            state,
            position,
            name,
            sha256,
            entry.root.name,
            key,
            polarity,
            entry.node.attribute(as_polarity(polarity)).name,
            answer,
            revision,
            at,
            kind,
        )
