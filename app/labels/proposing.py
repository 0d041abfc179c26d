"""An agent's proposals, thousands at a time.

What a person decided or proposed is never touched. A label that is still proposed by an earlier run, or
by a publication of the criteria, is refreshed with the newer run's evidence. A proposal that a newer run no longer makes is left as it stands: an
agent that sees only part of the criteria, or stops half-way, says nothing about the rest, and a
suggestion that vanishes while someone works on the image would be worse than an old one.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.agents.models import AgentRun
from app.criteria.models import CriteriaVersion, Node
from app.errors import Conflict, Invalid, NotFound
from app.images.applicability import find_not_applicable
from app.images.inclusion import left_out
from app.images.models import Image
from app.labels.access import hold_in_force
from app.labels.finishing import bring_back
from app.labels.models import Label
from app.projects.models import Project
from app.queue.ordering import measure
from taxonomy.tree import POLARITIES, Polarity


@dataclass(frozen=True, slots=True)
class Proposed:
    """One finding of an agent: the attribute applies to the image, and why.

    `value` and `threshold` are in the unit of `measure`; `confidence` is in [0, 1]; `evidence` says in
    one sentence what is seen where.
    """

    image_id: int
    node_id: int
    polarity: Polarity
    measure: str | None = None
    value: float | None = None
    threshold: float | None = None
    confidence: float | None = None
    evidence: str | None = None


# One statement for any number of findings. All its parts see the table as it was before, so `old`
# is the label that a refresh replaces. The images are locked, so their revisions hold still.
_PROPOSE = text(
    """
    WITH finding AS (
        SELECT * FROM jsonb_to_recordset(CAST(:findings AS jsonb)) AS f(
            image_id bigint, node_id bigint, polarity text,
            measure text, value float8, threshold float8, confidence float8, evidence text
        )
    ), standing AS (
        INSERT INTO label AS l (
            project_id, image_id, node_id, polarity, state, source, agent_run_id, version_id,
            measure, value, threshold, confidence, evidence, revision
        )
        SELECT image.project_id, image.id, f.node_id, f.polarity, 'proposed', 'agent', :agent_run_id,
               :version_id, f.measure, f.value, f.threshold, f.confidence, f.evidence,
               image.label_revision + 1
        FROM finding AS f JOIN image ON image.id = f.image_id
        ON CONFLICT (image_id, node_id, polarity) DO UPDATE
        SET source = excluded.source, agent_run_id = excluded.agent_run_id,
            version_id = excluded.version_id,
            measure = excluded.measure, value = excluded.value, threshold = excluded.threshold,
            confidence = excluded.confidence, evidence = excluded.evidence,
            revision = excluded.revision
        WHERE l.state = 'proposed'
            AND (l.agent_run_id < excluded.agent_run_id OR l.source = 'criteria')
        RETURNING l.image_id, l.node_id, l.polarity, l.revision
    ), raised AS (
        UPDATE image SET label_revision = label_revision + 1
        WHERE id IN (SELECT image_id FROM standing)
    ), recorded AS (
        INSERT INTO label_event (
            image_id, node_id, polarity, kind, before, after, image_revision, agent_run_id, version_id
        )
        SELECT s.image_id, s.node_id, s.polarity,
               CASE WHEN old.id IS NULL THEN 'propose' ELSE 'refresh' END,
               old.state, 'proposed', s.revision, :agent_run_id, :version_id
        FROM standing AS s
        LEFT JOIN label AS old USING (image_id, node_id, polarity)
        ORDER BY s.image_id, s.node_id, s.polarity
    )
    SELECT count(*) FROM standing
    """
)


def propose(
    db: Session,
    project: Project,
    *,
    agent_run_id: int,
    version_id: int,
    findings: Sequence[Proposed],
) -> int:
    """Store what an agent run found, and return how many labels are new or refreshed.

    What does not apply to an image, by what is known of its content, is left out. Each changed image's
    label revision rises by one. An image that was done is open again where a
    proposal is new. Storing the same findings of the same run
    again changes nothing, so a killed run may start over; a run older than the one that made a
    proposal does not replace it. Raises NotFound for a run, version, image or pair of another
    project, Conflict for a version that is not in force (any more), and Invalid for findings that make
    no sense; then nothing is stored.
    """
    if not findings:
        return 0
    refuse_nonsense(findings)
    _refuse_foreign(db, project, agent_run_id, version_id, findings)
    if not hold_in_force(db, project, version_id):
        raise Conflict(
            "Another version of the criteria is in force by now.",
            field="version_id",
            hint="Look at the images again under that version.",
        )
    image_ids = sorted({each.image_id for each in findings})
    # Locked in the order of their ids, so that two runs wait for one another and never block.
    images = select(Image.id).where(Image.id.in_(image_ids)).order_by(Image.id)
    db.execute(images.with_for_update(key_share=True))
    db.flush()
    # What was set aside or erased while the agent looked at it gets nothing, and ends nothing.
    left = set(db.scalars(left_out(project.id).where(Image.id.in_(image_ids))))
    findings = [each for each in findings if each.image_id not in left]
    findings = _applicable(db, findings)
    if not findings:
        return 0
    changed = db.scalar(
        _PROPOSE,
        {
            "findings": json.dumps([asdict(each) for each in findings]),
            "agent_run_id": agent_run_id,
            "version_id": version_id,
        },
    )
    if changed:
        bring_back(db, image_ids, agent_run_id=agent_run_id, version_id=version_id)
        measure(db, project, image_ids)
    # These statements changed rows that this session may hold.
    for held in list(db.identity_map.values()):
        if isinstance(held, (Image, Label)):
            db.expire(held)
    return int(changed or 0)


def _applicable(db: Session, findings: Sequence[Proposed]) -> list[Proposed]:
    """Those that apply to their images: what needs content that an image lacks is not proposed."""
    not_here = find_not_applicable(db, [each.image_id for each in findings])
    return [each for each in findings if each.node_id not in not_here.get(each.image_id, ())]


def refuse_nonsense(findings: Sequence[Proposed]) -> None:
    """Raises Invalid where one of these findings makes no sense by itself."""
    seen: set[tuple[int, int, str]] = set()
    for each in findings:
        where = f"image {each.image_id}, node {each.node_id}, {each.polarity}"
        if each.polarity not in POLARITIES:
            raise Invalid(f"{where}: a polarity is {' or '.join(POLARITIES)}.", field="polarity")
        if (named := (each.image_id, each.node_id, each.polarity)) in seen:
            raise Invalid(f"{where}: proposed twice in one batch.", field="findings")
        seen.add(named)
        numbers = (each.value, each.threshold, each.confidence)
        if any(number is not None and not math.isfinite(number) for number in numbers):
            raise Invalid(
                f"{where}: value, threshold and confidence have to be finite numbers.",
                field="value",
            )
        if each.confidence is not None and not 0 <= each.confidence <= 1:
            raise Invalid(
                f"{where}: the confidence {each.confidence} is not between 0 and 1.",
                field="confidence",
            )


def _refuse_foreign(
    db: Session,
    project: Project,
    agent_run_id: int,
    version_id: int,
    findings: Sequence[Proposed],
) -> None:
    own = select(AgentRun.id).where(AgentRun.id == agent_run_id, AgentRun.project_id == project.id)
    if db.scalar(own) is None:
        raise NotFound(f"There is no agent run {agent_run_id} in this project.")
    published = select(CriteriaVersion.id).where(
        CriteriaVersion.id == version_id, CriteriaVersion.project_id == project.id
    )
    if db.scalar(published) is None:
        raise NotFound(f"There is no criteria version {version_id} in this project.")
    nodes = {each.node_id for each in findings}
    known = db.scalars(
        select(Node.id).where(
            Node.project_id == project.id, Node.kind == "pair", Node.id.in_(nodes)
        )
    )
    if missing := nodes - set(known):
        raise NotFound(f"There is no attribute pair with the node id {min(missing)} here.")
    images = {each.image_id for each in findings}
    there = db.scalars(select(Image.id).where(Image.project_id == project.id, Image.id.in_(images)))
    if missing := images - set(there):
        raise NotFound(f"There is no image {min(missing)} in this project.")
