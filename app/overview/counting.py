"""The state of a project at a glance: counts, the loop's steps, the newest jobs."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.agents.models import AgentRun
from app.audits.models import Audit, Judgement
from app.criteria import reading
from app.criteria.models import CriteriaVersion
from app.datasets.models import Dataset
from app.images.counting import count_kinds
from app.images.inclusion import in_use
from app.images.models import Image
from app.jobs.models import Job
from app.labels.reading import count_by_state
from app.projects.models import Project
from app.runs.models import Run
from method.objectives import OBJECTIVES


@dataclass(frozen=True)
class Counts:
    images: int
    images_done: int
    labels_proposed: int
    labels_confirmed: int
    labels_rejected: int
    labels_unsure: int
    agent_runs: int
    agent_labels: int
    audits: int
    judgements: int
    datasets: int
    sft_runs: int
    cpo_runs: int

    @property
    def decided(self) -> int:
        """Labels a person has decided about."""
        return self.labels_confirmed + self.labels_rejected


@dataclass(frozen=True)
class Step:
    """One step of the loop, for the guide. `state` says in numbers how far it is; empty: not begun."""

    name: str
    what: str
    route: str
    state: str
    is_done: bool


def count(db: Session, project: Project) -> Counts:
    """Counts of a project. Those of images and labels are kept, so that a large project answers as fast."""
    here = project.id
    images = count_kinds(db, project)
    states = count_by_state(db, project)
    finished = (
        select(Run.kind, func.count())
        .join(Job, Job.id == Run.job_id)
        .where(Run.project_id == here, Job.state == "succeeded")
        .group_by(Run.kind)
    )
    runs = dict(db.execute(finished).all())
    agent_runs, agent_labels = db.execute(
        select(func.count(), func.coalesce(func.sum(AgentRun.labels), 0)).where(
            AgentRun.project_id == here
        )
    ).one()
    audits, judgements, datasets = db.execute(
        select(
            select(func.count())
            .select_from(Audit)
            .where(Audit.project_id == here, ~Audit.is_simulated)
            .scalar_subquery(),
            select(func.count())
            .select_from(Judgement)
            .join(Audit, Audit.id == Judgement.audit_id)
            .where(Audit.project_id == here, ~Audit.is_simulated)
            .scalar_subquery(),
            select(func.count())
            .select_from(Dataset)
            .where(Dataset.project_id == here, Dataset.manifest_sha256.is_not(None))
            .scalar_subquery(),
        )
    ).one()
    return Counts(
        images=images.used,
        images_done=images.done,
        labels_proposed=states["proposed"],
        labels_confirmed=states["confirmed"],
        labels_rejected=states["rejected"],
        labels_unsure=states["unsure"],
        agent_runs=agent_runs,
        agent_labels=agent_labels,
        audits=audits,
        judgements=judgements,
        datasets=datasets,
        sft_runs=sum(n for kind, n in runs.items() if OBJECTIVES[kind].makes_expert),
        cpo_runs=sum(n for kind, n in runs.items() if OBJECTIVES[kind].needs_expert),
    )


def loop(counts: Counts, version: CriteriaVersion | None) -> list[Step]:
    """The loop as a guide: what to do, where, how far it is in numbers, and whether that is all of it."""
    return [
        Step(
            "Criteria",
            "Read the tree, sharpen a name, publish a version.",
            "show_criteria",
            f"version {version.number}" if version else "",
            version is not None,
        ),
        Step(
            "Images",
            "Import paintings: a folder, a ZIP or a CSV.",
            "show_images",
            _many(counts.images, "image"),
            counts.images > 0,
        ),
        Step(
            "Agent",
            "Have the agent propose positive and negative attributes.",
            "show_agent_runs",
            _many(counts.agent_runs, "run"),
            counts.agent_labels > 0,
        ),
        Step(
            "Correction",
            "Confirm, reject and add labels, image by image, by keyboard.",
            "show_next_image",
            f"{_grouped(counts.images_done)} of {_many(counts.images, 'image')} done"
            if counts.images_done or counts.decided
            else "",
            0 < counts.images == counts.images_done,
        ),
        Step(
            "Audit",
            "Let several people judge a random sample, blind to one another.",
            "show_audits",
            f"{_many(counts.judgements, 'judgement')} in {_many(counts.audits, 'audit')}"
            if counts.audits
            else "",
            counts.judgements > 0,
        ),
        Step(
            "Dataset",
            "Freeze the confirmed labels.",
            "show_datasets",
            _many(counts.datasets, "dataset"),
            counts.datasets > 0,
        ),
        Step(
            "SFT",
            "Train the expert model on the labelled prompts.",
            "show_runs",
            _many(counts.sft_runs, "finished run"),
            counts.sft_runs > 0,
        ),
        Step(
            "CPO",
            "Align the target model with the expert's preferences.",
            "show_runs",
            _many(counts.cpo_runs, "finished run"),
            counts.cpo_runs > 0,
        ),
    ]


def _many(number: int, what: str) -> str:
    """`3 006 labels`; empty for none."""
    return f"{_grouped(number)} {what}{'' if number == 1 else 's'}" if number else ""


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def newest_images(db: Session, project: Project, limit: int = 12) -> list[Image]:
    return list(
        db.scalars(
            select(Image)
            .where(Image.project_id == project.id, in_use())
            .order_by(Image.id.desc())
            .limit(limit)
        )
    )


def version_in_use(db: Session, project: Project) -> CriteriaVersion | None:
    """The version that new labels are made under."""
    return reading.current_version(db, project)
