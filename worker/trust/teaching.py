"""Learns how far runs are to be trusted: answers and statements from the database, what was learned back into it.

Nothing of it happens in a request, and the database is not held while it learns.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from app.agents.ensembles import find_members
from app.agents.models import AgentRun
from app.criteria.reading import current_version, nodes_by_key, version_criteria
from app.database import Json
from app.projects.models import Project
from app.trust.gathering import (
    BlindAnswer,
    find_blind_answers,
    find_some_images,
    find_statements,
)
from app.trust.keeping import keep_trust
from app.trust.schemas import ReportOut
from taxonomy.tree import Criteria
from worker.ledger import JobFailed, Work
from worker.trust.answers import hear
from worker.trust.learning import Model, Statement, learn, threshold
from worker.trust.members import Members, Said, places_in
from worker.trust.telling import Told, tell

# Fewer labels teach nothing that could be relied on.
LEAST_LABELS = 30
# What agents say of so many images tells how common each statement is.
SAMPLE = 500


@dataclass(frozen=True, slots=True)
class Lesson:
    """All that is learned from."""

    answers: Sequence[BlindAnswer]
    said: Mapping[int, Said]
    sample: Sequence[int]
    members: Members
    runs: Sequence[Told]
    criteria: Criteria


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned, as people are told it, and how likely statements hold; no model where too little was judged.
    `sample` are statements of images evenly drawn from all.
    """

    report: ReportOut
    model: Model | None
    sample: Sequence[Statement] = field(repr=False)

    def thresholds(self, wished: float) -> dict[int, float | None]:
        """By side, from which probability on to propose, so that the wished share of what is proposed is expected to
        hold; None: nothing of it.
        """
        assert self.model is not None, "asked only where something was learned"
        likely = self.model.believe(self.sample)
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, each in enumerate(self.sample):
            places[int(str(each.side))].append(place)
        return {side: threshold(likely[own], wished) for side, own in places.items()}


def run(work: Work) -> Json:
    """The job that learns from the newest run of each agent."""
    with work.transaction() as db:
        project = db.get_one(Project, work.project_id)
        runs = find_members(db, project)
        if not runs:
            raise JobFailed("user_config", "No agent run has kept what it said yet.")
        lesson = gather(db, project, runs)
    work.report(done=0, total=1, message=f"learning from {len(lesson.answers)} answers")
    learned = study(lesson)
    with work.transaction() as db:
        keep_trust(db, project, learned.report, agent_run_id=None)
    return {"labels": learned.report.labels, "is_enough": learned.report.is_enough}


def gather(db: Session, project: Project, runs: Sequence[AgentRun]) -> Lesson:
    """Read all that is learned from about these runs."""
    version = current_version(db, project)
    assert version is not None, "runs are launched under a version, and versions stay"
    criteria = version_criteria(version)
    nodes = {key: node.id for key, node in nodes_by_key(db, project).items()}
    members = members_of(runs, criteria, nodes)
    answers = find_blind_answers(db, project)
    sample = find_some_images(db, members.runs, SAMPLE)
    said = read_said(db, members.runs, {each.image_id for each in answers} | set(sample))
    told = [Told(each.id, each.agent, each.agent_version) for each in runs]
    return Lesson(answers, said, sample, members, told, criteria)


def members_of(runs: Sequence[AgentRun], criteria: Criteria, nodes: Mapping[str, int]) -> Members:
    """These runs under the criteria in force."""
    decides = [frozenset(each.decides or ()) for each in runs]
    return Members([each.id for each in runs], decides, places_in(criteria, nodes))


def read_said(
    db: Session, runs: Sequence[int], image_ids: Collection[int]
) -> dict[int, dict[int, dict[int, float | None]]]:
    """What runs say of images, by image and run."""
    found: dict[int, dict[int, dict[int, float | None]]] = {}
    for image_id, run_id, sure in find_statements(db, runs, image_ids):
        found.setdefault(image_id, {})[run_id] = sure
    return found


def study(lesson: Lesson) -> Learned:
    """Learn; the slow part, without the database."""
    heard = hear(lesson.answers, lesson.said, lesson.members)
    is_enough = len(heard.evidence.statements) >= LEAST_LABELS
    model = learn(heard.evidence) if is_enough else None
    sample = [
        statement
        for image_id in lesson.sample
        for _, statement in lesson.members.statements(lesson.said.get(image_id, {}))
    ]
    report = tell(
        heard,
        model,
        sample,
        lesson.members,
        lesson.runs,
        lesson.criteria,
        least_labels=LEAST_LABELS,
    )
    return Learned(report, model, sample)
