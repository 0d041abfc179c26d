"""What an audit found: its table of results, what each branch of the criteria adds, and the list of a project's audits.

Participants whose link was revoked are left out of every figure; how many is said beside it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.agents.models import AgentRun
from app.audits.access import get_audit_criteria, instrument
from app.audits.gathering import Gathered, Mask, gather_answers
from app.audits.models import Audit, AuditItem, Judgement
from app.audits.scoring import Score, score
from app.criteria.models import CriteriaVersion
from app.errors import NotFound
from app.participants.models import Participant
from app.participants.progress import People, count_people, counted
from app.projects.models import Project
from taxonomy.tree import POLARITIES, Criteria, Pair, Polarity


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One row of the results: `level` is what it is about (`overall`, `polarity`, `dimension`, `sub_dimension`,
    `attribute`), `key` the node or the polarity, `sampled` its labels in the sample. `above` names the dimensions
    that it stands in, from the root down.
    """

    level: str
    key: str
    name: str
    sampled: int
    score: Score
    polarity: Polarity | None = None
    above: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """Accuracy by root dimension in tree order, by polarity, and overall, as it stands now."""

    dimensions: tuple[ResultRow, ...]
    polarities: tuple[ResultRow, ...]
    overall: ResultRow


@dataclass(frozen=True, slots=True)
class Branch:
    """What an audit found at one node: the node itself, the dimensions right below it, the attributes below it that the
    sample has a label of, and the dimensions above as (key, name).
    """

    row: ResultRow
    dimensions: tuple[ResultRow, ...]
    attributes: tuple[ResultRow, ...]
    above: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """What the figures of an audit rest on; `items` are the labels."""

    items: int
    decoys: int
    checks: int
    images: int
    version_number: int
    version_sha256: str
    agent: str | None
    agent_version: str | None
    people: People

    @property
    def questions(self) -> int:
        """Labels and decoys."""
        return self.items + self.decoys


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """An audit in the list; `accuracy` is the pooled one, None before the first verdict."""

    audit: Audit
    version_number: int
    items: int
    people: People
    accuracy: float | None


def results(db: Session, audit: Audit) -> Results:
    """The audit's results as they stand now."""
    return results_of(get_audit_criteria(db, audit).tree, gather_answers(db, audit))


def results_of(tree: Criteria, found: Gathered) -> Results:
    """The results of answers under a criteria version."""
    # A dimension that the sample has no label of is a row that says so, not a gap to be noticed.
    in_use = {tree.root_of(pair.key).key for pair in tree.active_pairs()}
    in_use |= {tree.root_of(key).key for key in np.unique(found.keys)}
    return Results(
        dimensions=tuple(
            _dimension_row(tree, found, root.key) for root in tree.dimensions if root.key in in_use
        ),
        polarities=tuple(
            _row("polarity", polarity, polarity, found, found.polarities == polarity, polarity)
            for polarity in POLARITIES
        ),
        overall=_row("overall", "overall", "Overall", found, np.ones(len(found.ids), dtype=bool)),
    )


def all_rows(db: Session, audit: Audit) -> list[ResultRow]:
    """Every row there is: overall, by polarity, then each dimension that is in use with its attributes, in tree order."""
    tree = get_audit_criteria(db, audit).tree
    found = gather_answers(db, audit)
    top = results_of(tree, found)
    rows = [top.overall, *top.polarities]
    known = {row.key for row in top.dimensions}
    for entry in tree.walk():
        if entry.root.key not in known:
            continue
        if isinstance(entry.node, Pair):
            rows += _attribute_rows(tree, found, (entry.node,))
        elif entry.level == 1 or _below(tree, found, entry.node.key).any():
            rows.append(_dimension_row(tree, found, entry.node.key))
    return rows


def get_branch(db: Session, audit: Audit, key: str) -> Branch:
    """What the audit found at a node of its criteria version. Raises NotFound for a key that it lacks."""
    tree = get_audit_criteria(db, audit).tree
    entry = tree.find(key)
    if entry is None:
        raise NotFound(f"The criteria of this audit have no node “{key}”.")
    found = gather_answers(db, audit)
    above = tuple((each, tree.dimension(each).name) for each in entry.path[:-1])
    if isinstance(entry.node, Pair):
        mask = found.keys == key
        name = f"{entry.node.positive.name} / {entry.node.negative.name}"
        row = _row("attribute", key, name, found, mask)
        return Branch(row, (), tuple(_attribute_rows(tree, found, (entry.node,))), above)
    there = set(np.unique(found.keys[_below(tree, found, key)]))
    pairs = [each for each in tree.pairs() if each.key in there]
    return Branch(
        _dimension_row(tree, found, key),
        tuple(
            _dimension_row(tree, found, each.key)
            for each in entry.node.dimensions
            if _below(tree, found, each.key).any()
        ),
        tuple(_attribute_rows(tree, found, pairs)),
        above,
    )


def _dimension_row(tree: Criteria, found: Gathered, key: str) -> ResultRow:
    entry = tree.entry(key)
    level = "dimension" if entry.level == 1 else "sub_dimension"
    above = tuple(tree.dimension(each).name for each in entry.path[:-1])
    name = tree.dimension(key).name
    return _row(level, key, name, found, _below(tree, found, key), above=above)


def _attribute_rows(tree: Criteria, found: Gathered, pairs: Iterable[Pair]) -> list[ResultRow]:
    """The sides of pairs that the sample has a label or a decoy of."""
    rows = []
    for pair in pairs:
        here = found.keys == pair.key
        above = tuple(tree.dimension(each).name for each in tree.path_of(pair.key)[:-1])
        for polarity in POLARITIES:
            mask = here & (found.polarities == polarity)
            if mask.any():
                name = pair.attribute(polarity).name
                rows.append(_row("attribute", pair.key, name, found, mask, polarity, above))
    return rows


def _below(tree: Criteria, found: Gathered, key: str) -> Mask:
    """The questions about attributes below a dimension."""
    keys = [each for each in np.unique(found.keys) if key in tree.path_of(each)]
    return np.isin(found.keys, keys)


def _row(
    level: str,
    key: str,
    name: str,
    found: Gathered,
    mask: Mask,
    polarity: Polarity | None = None,
    above: tuple[str, ...] = (),
) -> ResultRow:
    answers, sampled = found.about(mask)
    return ResultRow(level, key, name, sampled, score(answers), polarity, above)


def get_facts(db: Session, audit: Audit) -> AuditFacts:
    of, version = instrument(audit), get_audit_criteria(db, audit)
    items, decoys, checks = db.execute(
        select(
            func.count().filter(AuditItem.kind == "label"),
            func.count().filter(AuditItem.kind == "decoy"),
            func.count().filter(AuditItem.kind == "check"),
        ).where(AuditItem.audit_id == audit.id)
    ).one()
    agent = db.execute(
        select(AgentRun.agent, AgentRun.agent_version).where(AgentRun.id == audit.agent_run_id)
    ).one_or_none()
    return AuditFacts(
        items=items,
        decoys=decoys,
        checks=checks,
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
        select(AuditItem.audit_id, appears, func.count())
        .select_from(Participant)
        .join(Judgement, Judgement.participant_id == Participant.id)
        .join(AuditItem, AuditItem.id == Judgement.item_id)
        .where(
            Participant.audit_id.in_(audit_ids),
            counted(),
            AuditItem.kind == "label",
            Judgement.answer != "cannot_tell",
        )
        .group_by(AuditItem.audit_id)
    )
    return {audit_id: hits / total for audit_id, hits, total in rows}
