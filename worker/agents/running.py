"""The job of an agent run: images in, proposed labels out, a few images a transaction.

Some images are in the agent's hands at the same time; each is stored as soon as it is looked at. What is
stored has a row, so a run that was killed goes on with the images that have none.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property, partial
from io import BytesIO

from PIL import Image as Pictures
from sqlalchemy.orm import Session

from app.agents import budgets, launching, recording, remembering, restricting
from app.agents.ensembles import is_quiet
from app.agents.models import AgentRun
from app.agents.recording import LaterVersion, LookedAt
from app.agents.sides import number_of
from app.criteria.reading import current_version, nodes_by_key, version_criteria
from app.database import Json, unit_of_work
from app.images import image_files
from app.images.inclusion import left_out
from app.images.models import Image
from app.labels.access import hold_in_force
from app.labels.proposing import Proposed, propose, refuse_nonsense
from app.labels.stating import record_seen
from app.projects.models import Project
from method.agents import ENSEMBLE
from method.items import NAMED, Failed, Failures, attempt
from taxonomy.applicability import Kind
from taxonomy.tree import Criteria, Side
from worker.agents import ensemble
from worker.agents.agent import Account, Agent, Finding, NoSuchAgent, Reader, Spent, open_agent
from worker.ledger import JobFailed, JobPaused, Work

# Images that are fetched from the database at once.
BATCH = 24
# Answers that come within this time of one another are stored together.
STORE_SECONDS = 0.2
OVER_BUDGET = "The budget of this run is spent. Give it another one and resume the job: it goes on with the images that wait."
# How often a run that waits for an answer looks whether it is to stop.
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Under:
    """The criteria version that images are looked at under, its nodes, and the agent made ready for it."""

    version_id: int
    number: int
    criteria: Criteria
    nodes: dict[str, int]
    reader: Reader
    restricted: dict[frozenset[int], Reader] = field(default_factory=dict)

    def reader_for(self, asked: frozenset[int] | None) -> Reader:
        """Who asks about these pairs alone; None: about all."""
        if asked is None:
            return self.reader
        if asked not in self.restricted:
            keys = {key for key, node_id in self.nodes.items() if node_id in asked}
            self.restricted[asked] = self.reader.only(keys)
        return self.restricted[asked]


@dataclass(frozen=True)
class Looked:
    """What the agent said of one image, or why it said nothing, and what that took."""

    image: Image
    under: Under
    reader: Reader
    found: Sequence[Finding] | Failed
    account: Account
    seconds: float

    @property
    def findings(self) -> Sequence[Finding]:
        return () if isinstance(self.found, Failed) else self.found


Store = Callable[[Sequence[Looked]], Sequence[Looked]]


def run(work: Work) -> Json:
    """Label all images of the run that have not been labelled yet, each under the version of the criteria
    that is in force: another one may be published meanwhile.
    """
    with work.transaction() as db:
        agent_run = launching.get_agent_run(db, work.project_id or 0, work.spec["agent_run_id"])
        project = db.get_one(Project, agent_run.project_id)
        run_id = agent_run.id
        agent = None if agent_run.agent == ENSEMBLE else _open(agent_run.agent)
    if agent is None:
        return ensemble.run(work, project, run_id)
    pass_over = _Pass(work, project, run_id, agent)
    with _hands(agent) as pool:
        while pass_over.refill():
            while pass_over.waiting and len(pass_over.flight) < agent.at_once:
                pass_over.hand_over(pool)
            done = _done(work, agent, pass_over.flight)
            # What ends the whole run costs no image that was looked at before.
            pass_over.store([each.result() for each in done if each.exception() is None])
            for each in done:
                each.result()
    return pass_over.result()


def _open(name: str) -> Agent:
    try:
        return open_agent(name)
    except NoSuchAgent as error:
        raise JobFailed("user_config", error.message) from error


@contextmanager
def _hands(agent: Agent) -> Iterator[ThreadPoolExecutor]:
    """Threads to look with. However it ends, nobody waits for what is under way."""
    pool = ThreadPoolExecutor(agent.at_once, thread_name_prefix="agent")
    try:
        yield pool
    finally:
        agent.close()
        pool.shutdown(cancel_futures=True)


def _done(work: Work, agent: Agent, flight: set[Future[Looked]]) -> set[Future[Looked]]:
    """Take what has come to an end out of the flight, as soon as there is something. Raises Stopped."""
    while not (done := wait(flight, LOOK_SECONDS, FIRST_COMPLETED).done):
        work.check()
        if agent.waits:
            said = work.last_progress() or {"done": 0, "total": None}
            work.report(done=said["done"], total=said["total"], message=agent.waits)
    done |= wait(flight, STORE_SECONDS, ALL_COMPLETED).done
    flight -= done
    return done


@dataclass
class _Pass:
    """A run on its way over the images: those read from the database, and those in the agent's hands."""

    work: Work
    project: Project
    run_id: int
    agent: Agent
    under: Under | None = None
    waiting: deque[Image] = field(default_factory=deque)
    flight: set[Future[Looked]] = field(default_factory=set)
    hands: set[int] = field(default_factory=set)
    # Of a run that is restricted: which pairs it asks of each image that waits.
    asked: dict[int, frozenset[int]] = field(default_factory=dict)
    after: int = 0
    total: int | None = None

    def refill(self) -> bool:
        """Read more images where few are left, and say how far it is; False when there are none."""
        self.work.check()
        with self.work.transaction() as db:
            agent_run = launching.get_agent_run(db, self.project.id, self.run_id)
            is_spent = budgets.is_spent(agent_run)
            if is_spent:
                self.waiting.clear()
            elif len(self.waiting) < self.agent.at_once:
                self._read(db)
            if self.total is None or agent_run.images > self.total:
                self.total = agent_run.images + recording.count_waiting_images(db, agent_run)
            self.under = _under(db, self.project, self.agent, self.under)
            later = recording.later_versions(agent_run)
            since = f", now under criteria version {later[-1].number}" if later else ""
            spent = _spent(agent_run)
            message = f"{agent_run.labels} labels{spent}{since}"
            self.work.report(done=agent_run.images, total=self.total, message=message)
        if is_spent and not self.flight and self._left():
            raise JobPaused(OVER_BUDGET)
        return bool(self.waiting or self.flight)

    def _left(self) -> int:
        with self.work.transaction() as db:
            agent_run = launching.get_agent_run(db, self.project.id, self.run_id)
            return recording.count_waiting_images(db, agent_run)

    def _read(self, db: Session) -> None:
        agent_run = launching.get_agent_run(db, self.project.id, self.run_id)
        read = partial(recording.find_waiting_images, db, agent_run, limit=BATCH)
        held = self.hands | {image.id for image in self.waiting}
        found = read(after=self.after)
        if not found and not held and self.after:
            # Those that came back into use meanwhile stand before.
            found = read(after=0)
        self.waiting.extend(image for image in found if image.id not in held)
        self.asked |= restricting.find_asked(db, agent_run, found) or {}
        if found:
            self.after = found[-1].id

    def hand_over(self, pool: ThreadPoolExecutor) -> None:
        """Have the next image looked at."""
        assert self.under is not None
        image = self.waiting.popleft()
        self.hands.add(image.id)
        reader = self.under.reader_for(self.asked.get(image.id))
        self.flight.add(pool.submit(_look, image, self.under, reader, self.run_id))

    def store(self, answered: Sequence[Looked]) -> None:
        """Store what was answered; where that fails for one image, each image by itself."""
        if not answered:
            return
        answered = sorted(answered, key=lambda each: each.image.id)
        self.hands -= {each.image.id for each in answered}

        def store(some: Sequence[Looked]) -> Sequence[Looked]:
            with self.work.transaction() as db:
                return _store(db, self.project, self.run_id, self.agent, some)

        again = attempt(store, answered, lambda _: "some images")
        if isinstance(again, Failed):
            again = [stale for each in answered for stale in self._store_alone(store, each)]
        for each in {each.image.id for each in answered} - {each.image.id for each in again}:
            self.asked.pop(each, None)
        # Looked at under criteria that are not in force any more: they are looked at again.
        self.waiting.extendleft(each.image for each in reversed(again))

    def _store_alone(self, store: Store, looked: Looked) -> Sequence[Looked]:
        alone = attempt(store, [looked], lambda _: looked.image.name)
        return store([replace(looked, found=alone)]) if isinstance(alone, Failed) else alone

    def result(self) -> Json:
        """For the job: what was done, how many images could not be labelled, and the first of them."""
        failures = Failures()
        with self.work.transaction() as db:
            agent_run = launching.get_agent_run(db, self.project.id, self.run_id)
            failures.number = agent_run.problems
            failures.named = [
                Failed(image.name, problem.reason or "")
                for problem, image in recording.find_problems(db, agent_run, limit=NAMED)
            ]
            done, labels = agent_run.images, agent_run.labels
            later = [each.number for each in recording.later_versions(agent_run)]
            recording.tell_finished(db, agent_run)
        if done and failures.number == done:
            self.work.report(done=done, total=done, message="no image could be labelled")
        told = {"later_versions": later} if later else {}
        return {"images": done, "labels": labels} | told | failures.as_result()


def _under(db: Session, project: Project, agent: Agent, before: Under | None) -> Under:
    """The version in force; `before` where it still is."""
    version = current_version(db, project)
    assert version is not None, "a run is launched under a version, and versions stay"
    if before is not None and before.version_id == version.id:
        return before
    criteria = version_criteria(version)
    nodes = {key: node.id for key, node in nodes_by_key(db, project).items()}
    return Under(version.id, version.number, criteria, nodes, agent.under(criteria))


def _look(image: Image, under: Under, reader: Reader, run_id: int) -> Looked:
    """What the agent finds in one image."""
    account, began = Account(), time.monotonic()

    def find(image: Image) -> Sequence[Finding]:
        data = image_files.read_shown("display", image.sha256)
        with Pictures.open(BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as picture:
            return reader.label(picture, account, _Memory(image.id, run_id))

    found = attempt(find, image, _name)
    return Looked(image, under, reader, found, account, time.monotonic() - began)


class _Memory:
    """The answers about one image, each kept as soon as it is there: a killed run need not pay again.

    Implements Memory.
    """

    def __init__(self, image_id: int, run_id: int) -> None:
        self.image_id = image_id
        self.run_id = run_id

    @cached_property
    def _answers(self) -> dict[str, str]:
        with unit_of_work() as db:
            return remembering.find_answers(db, self.image_id)

    def find(self, key: str) -> str | None:
        return self._answers.get(key)

    def spent(self) -> Spent:
        with unit_of_work() as db:
            paid = remembering.find_paid(db, self.image_id, self.run_id)
        return Spent(paid.requests, paid.tokens_in, paid.tokens_out, float(paid.cost))

    def keep(self, key: str, answer: str, spent: Spent) -> None:
        cost = Decimal(f"{spent.cost:.9f}")
        paid = remembering.Paid(spent.requests, spent.tokens_in, spent.tokens_out, cost)
        with unit_of_work() as db:
            remembering.keep_answer(db, self.image_id, key, answer, run_id=self.run_id, paid=paid)

    def forget(self, key: str) -> None:
        with unit_of_work() as db:
            remembering.forget_answer(db, self.image_id, key)


def _spent(run: AgentRun) -> str:
    if run.cost:
        return f", {run.cost:.2f} spent"
    return f", {run.tokens_in + run.tokens_out} tokens" if run.tokens_in else ""


def _name(image: Image) -> str:
    return image.name


def _store(
    db: Session, project: Project, run_id: int, agent: Agent, answered: Sequence[Looked]
) -> list[Looked]:
    """Store labels and what became of each image; returns what has to be looked at again."""
    agent_run = launching.get_agent_run(db, project.id, run_id)
    versions = {each.under.version_id for each in answered}
    in_force = {each for each in versions if hold_in_force(db, project, each)}
    standing = [each for each in answered if each.under.version_id in in_force]
    if standing:
        under = standing[0].under
        proposed = [_proposed(each, finding) for each in standing for finding in each.findings]
        if is_quiet(agent_run):
            refuse_nonsense(proposed)
            proposed = []
        added = propose(
            db, project, agent_run_id=run_id, version_id=under.version_id, findings=proposed
        )
        ids = [each.image.id for each in standing]
        gone = set(db.scalars(left_out(project.id).where(Image.id.in_(ids))))
        heard = [] if is_quiet(agent_run) else standing
        seen = [one for each in heard if each.image.id not in gone for one in _traits(each)]
        # After the images are locked in the order of their ids, as every writer of labels does.
        record_seen(db, run_id, under.criteria, under.version_id, seen)
        recording.record_images(
            db,
            agent_run,
            [_looked_at(each, is_gone=each.image.id in gone) for each in standing],
            under=LaterVersion(under.version_id, under.number, min(ids)),
            agent_version=agent.identity.version,
            prompt_hash=agent.identity.prompt_hash,
            seed=agent.identity.seed,
            labels=added,
            decides={n for each in standing for n in _sides(each.under, each.reader.decides)},
        )
    return [each for each in answered if each.under.version_id not in in_force]


def _traits(looked: Looked) -> Iterator[tuple[int, Kind, str]]:
    """Style and content that were seen. What was not seen may be there all the same, so nothing is said of it."""
    if looked.account.style:
        yield looked.image.id, "style", looked.account.style
    for each in looked.account.content:
        yield looked.image.id, "content", each


def _sides(under: Under, sides: Iterable[Side | Finding]) -> list[int]:
    return [number_of(under.nodes[each.key], each.polarity) for each in sides]


def _proposed(looked: Looked, finding: Finding) -> Proposed:
    return Proposed(
        image_id=looked.image.id,
        node_id=looked.under.nodes[finding.key],
        polarity=finding.polarity,
        measure=finding.measure,
        value=finding.value,
        threshold=finding.threshold,
        confidence=finding.confidence,
        evidence=finding.evidence,
    )


def _looked_at(looked: Looked, *, is_gone: bool) -> LookedAt:
    account, failed = looked.account, isinstance(looked.found, Failed)
    reason = looked.found.reason if isinstance(looked.found, Failed) else None
    if is_gone and not failed:
        reason = "It was set aside or erased while the agent looked at it."
    sides = _sides(looked.under, looked.findings)
    said = sorted(zip(sides, (each.confidence for each in looked.findings), strict=True))
    return LookedAt(
        image_id=looked.image.id,
        image_sha256=looked.image.sha256,
        state="failed" if failed else "skipped" if is_gone else "labelled",
        reason=reason,
        attempts=account.attempts,
        proposed=0 if reason else len(looked.findings),
        dropped=account.dropped,
        repaired=account.repaired,
        requests=account.requests,
        tokens_in=account.tokens_in,
        tokens_out=account.tokens_out,
        cost=Decimal(f"{account.cost:.6f}"),
        notes=account.notes or None if not is_gone else None,
        found=None if reason else [side for side, _ in said],
        sure=None if reason else [sure for _, sure in said],
        seconds=looked.seconds,
    )
