"""The job of a run that is made of other runs: what they agree on is proposed, the rest by how far each is trusted.

No picture is looked at. Before it begins it learns from all blind answers there are, so a run that goes on after a pause
knows what was answered meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.agents import launching, recording
from app.agents.ensembles import Ensemble, ensemble_of, find_members
from app.agents.models import AgentRun
from app.agents.recording import LaterVersion, LookedAt
from app.agents.sides import side_of
from app.criteria.reading import current_version, nodes_by_key, version_criteria
from app.database import Json
from app.images.inclusion import left_out
from app.images.models import Image
from app.labels.access import hold_in_force
from app.labels.proposing import Proposed, propose
from app.projects.models import Project
from app.trust.keeping import Decided, keep_trust, record_decided
from taxonomy.contradictions import Rules
from taxonomy.tree import Criteria
from worker.ledger import JobFailed, Work
from worker.trust import teaching
from worker.trust.learning import SAID, Statement
from worker.trust.members import Members, Said
from worker.trust.teaching import Learned

VERSION = "1"
BATCH = 100
NOBODY_LOOKED = "None of the runs that the ensemble is made of says anything of it."
# Of what they differ in without a wished share that is right: what is more likely right than not.
MORE_LIKELY_THAN_NOT = 0.5


@dataclass(frozen=True)
class Under:
    """The criteria version in force, and the runs under it."""

    version_id: int
    number: int
    criteria: Criteria
    members: Members


@dataclass(frozen=True, slots=True)
class Chosen:
    """A statement about an image, how likely it holds, and whether it is proposed."""

    side: int
    statement: Statement
    probability: float | None
    is_proposed: bool


def run(work: Work, project: Project, run_id: int) -> Json:
    """Propose what the runs of an ensemble say together, on all images that it has not come to yet."""
    ensemble, names, learned = _learn(work, project, run_id)
    bars = learned.thresholds(ensemble.at_least) if ensemble.at_least is not None else None
    under, after, total = None, 0, -1
    while True:
        work.check()
        with work.transaction() as db:
            agent_run = launching.get_agent_run(db, project.id, run_id)
            under = _under(db, project, ensemble, under)
            images = recording.find_waiting_images(db, agent_run, after=after, limit=BATCH)
            if not images and after:
                # Those that came back into use meanwhile, or were not stored, stand before.
                images = recording.find_waiting_images(db, agent_run, limit=BATCH)
            said = teaching.read_said(db, ensemble.runs, [each.id for each in images])
            if agent_run.images > total:
                # Counted once, and again where images came in meanwhile: it looks at all of them.
                total = agent_run.images + recording.count_waiting_images(db, agent_run)
            message = f"{agent_run.labels} labels"
            work.report(done=agent_run.images, total=total, message=message)
        if not images:
            return _result(work, project, run_id, learned)
        chosen = {
            each.id: choose(said.get(each.id, {}), under, learned, ensemble, bars)
            for each in images
        }
        with work.transaction() as db:
            _store(db, project, run_id, under, images, said, chosen, names)
        after = images[-1].id


def _learn(
    work: Work, project: Project, run_id: int
) -> tuple[Ensemble, Mapping[int, str], Learned]:
    """Learn how far the runs are to be trusted, and keep that with the run."""
    with work.transaction() as db:
        ensemble = ensemble_of(launching.get_agent_run(db, project.id, run_id))
        assert ensemble is not None, "launched as one"
        runs = find_members(db, project, ensemble.runs)
        if len(runs) < len(ensemble.runs):
            raise JobFailed("user_config", "A run that this ensemble is made of is not finished.")
        names = _names(runs)
        lesson = teaching.gather(db, project, runs)
    work.report(done=0, total=None, message=f"learning from {len(lesson.answers)} answers")
    learned = teaching.study(lesson)
    if learned.model is None and ensemble.at_least is not None:
        raise JobFailed(
            "user_config",
            f"How often agents are right is not known well enough to wish for a share: {learned.report.labels} of their"
            f" labels were judged without their suggestion in view, and at least {teaching.LEAST_LABELS} are needed."
            " Close an audit or finish a second reading first, or launch an ensemble without that wish.",
        )
    with work.transaction() as db:
        keep_trust(db, project, learned.report, agent_run_id=run_id)
    return ensemble, names, learned


def _names(runs: Sequence[AgentRun]) -> dict[int, str]:
    """What each run is called in a sentence: its agent, with the run where several are of the same one."""
    agents = [each.agent for each in runs]
    return {
        each.id: each.agent if agents.count(each.agent) == 1 else f"{each.agent} (run {each.id})"
        for each in runs
    }


def _under(db: Session, project: Project, ensemble: Ensemble, before: Under | None) -> Under:
    """The version in force; `before` where it still is."""
    version = current_version(db, project)
    assert version is not None, "a run is launched under a version, and versions stay"
    if before is not None and before.version_id == version.id:
        return before
    criteria = version_criteria(version)
    nodes = {key: node.id for key, node in nodes_by_key(db, project).items()}
    members = teaching.members_of(find_members(db, project, ensemble.runs), criteria, nodes)
    return Under(version.id, version.number, criteria, members)


# What is proposed ------------------------------------------------------------------------------


def choose(
    said: Said,
    under: Under,
    learned: Learned,
    ensemble: Ensemble,
    bars: Mapping[int, float | None] | None,
) -> list[Chosen]:
    """What is made of everything that the runs say of one image. Of what cannot hold together the less likely is not
    proposed.
    """
    found = list(under.members.statements(said))
    statements = [statement for _, statement in found]
    likely = learned.model.believe(statements) if learned.model else None
    chosen = []
    for place, (side, statement) in enumerate(found):
        probability = None if likely is None else float(likely[place])
        bar = _bar(side, statement, ensemble, bars)
        passes = bar is not None and (bar <= 0 or (probability is not None and probability >= bar))
        chosen.append(Chosen(side, statement, probability, passes))
    return _without_contradictions(chosen, under)


def _bar(
    side: int,
    statement: Statement,
    ensemble: Ensemble,
    bars: Mapping[int, float | None] | None,
) -> float | None:
    """From which probability on a statement is proposed; 0: however likely, None: never."""
    if bars is not None:
        return bars.get(side, ensemble.at_least)
    return 0.0 if statement.is_agreed else MORE_LIKELY_THAN_NOT


def _without_contradictions(chosen: list[Chosen], under: Under) -> list[Chosen]:
    places = under.members.places
    rules = under.criteria.derived(Rules)
    held = {
        (places[each.side].key, str(places[each.side].polarity)): each
        for each in chosen
        if each.is_proposed
    }
    while against := rules.among(held.keys()):
        weakest = min(against[0].attributes, key=lambda each: held[each].probability or 0.0)
        del held[weakest]
    kept = {each.side for each in held.values()}
    return [
        Chosen(each.side, each.statement, each.probability, each.side in kept) for each in chosen
    ]


# Stored ----------------------------------------------------------------------------------------


def _store(
    db: Session,
    project: Project,
    run_id: int,
    under: Under,
    images: Sequence[Image],
    said: Mapping[int, Said],
    chosen: Mapping[int, Sequence[Chosen]],
    names: Mapping[int, str],
) -> None:
    """Store labels and what became of each image. Under criteria that are not in force any more nothing is: those images
    wait, and are come back to.
    """
    agent_run = launching.get_agent_run(db, project.id, run_id)
    if not hold_in_force(db, project, under.version_id):
        return
    ids = [each.id for each in images]
    proposed = [
        _proposed(image_id, each, under.members, names)
        for image_id in ids
        for each in chosen[image_id]
        if each.is_proposed
    ]
    labels = propose(
        db, project, agent_run_id=run_id, version_id=under.version_id, findings=proposed
    )
    gone = set(db.execute(left_out(project.id).where(Image.id.in_(ids))).scalars())
    there = [each for each in images if each.id not in gone]
    record_decided(
        db,
        agent_run,
        [_decided(image.id, each) for image in there for each in chosen[image.id]],
    )
    recording.record_images(
        db,
        agent_run,
        [_looked_at(image, chosen[image.id], is_known=image.id in said) for image in there],
        under=LaterVersion(under.version_id, under.number, min(ids)),
        agent_version=VERSION,
        prompt_hash=None,
        seed=None,
        labels=labels,
        decides=frozenset().union(*under.members.decides) & under.members.places.keys(),
    )


def _proposed(
    image_id: int, chosen: Chosen, members: Members, names: Mapping[int, str]
) -> Proposed:
    node_id, polarity = side_of(chosen.side)
    return Proposed(
        image_id=image_id,
        node_id=node_id,
        polarity=polarity,
        confidence=None if chosen.probability is None else round(chosen.probability, 3),
        evidence=in_words(chosen.statement, members, names),
    )


def in_words(statement: Statement, members: Members, names: Mapping[int, str]) -> str:
    """Who says so and how sure they are, and who looked and does not."""
    said: list[str] = []
    silent: list[str] = []
    for run, sign, confidence in zip(
        members.runs, statement.pattern, statement.confidence, strict=True
    ):
        sure = "" if confidence is None else f" ({100 * confidence:.0f} % sure)"
        if sign == SAID:
            said.append(names[run] + sure)
        elif sign == "-":
            silent.append(names[run])
    does_not = f"; {' and '.join(silent)} not" if silent else ""
    return f"by {' and '.join(said)}{does_not}."


def _decided(image_id: int, chosen: Chosen) -> Decided:
    node_id, polarity = side_of(chosen.side)
    pattern = chosen.statement.pattern
    return Decided(image_id, node_id, polarity, pattern, chosen.probability, chosen.is_proposed)


def _looked_at(image: Image, chosen: Sequence[Chosen], *, is_known: bool) -> LookedAt:
    proposed = sorted((each.side, each.probability) for each in chosen if each.is_proposed)
    return LookedAt(
        image_id=image.id,
        image_sha256=image.sha256,
        state="labelled" if is_known else "skipped",
        reason=None if is_known else NOBODY_LOOKED,
        proposed=len(proposed),
        found=[side for side, _ in proposed] if is_known else None,
        sure=[sure for _, sure in proposed] if is_known else None,
    )


def _result(work: Work, project: Project, run_id: int, learned: Learned) -> Json:
    with work.transaction() as db:
        agent_run = launching.get_agent_run(db, project.id, run_id)
        recording.tell_finished(db, agent_run)
        told = {"images": agent_run.images, "labels": agent_run.labels}
    return told | {
        "judged_labels": learned.report.labels,
        "is_trust_known": learned.model is not None,
    }
