"""Draws the sample of an audit and freezes it.

What is audited is what the agent annotated, whatever people decided about it later: accuracy is
actual occurrences / occurrences in annotations (paper S8, Eq. S23), and leaving out what a person has
already rejected would flatter the agent.

How images are drawn is said in `drawing`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ARRAY, cast, func, insert, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.audits.access import instrument
from app.audits.decoys import MOST_PERCENT, by_image, draw_decoys
from app.audits.drawing import (
    Drawn,
    Frame,
    Population,
    count_population,
    draw,
    draw_stratified,
    get_frame,
    get_strata,
)
from app.audits.models import ANSWERS, STRATA, Audit, AuditItem
from app.audits.practising import choose_practice
from app.criteria.models import CriteriaVersion
from app.errors import Invalid
from app.images.applicability import find_not_applicable
from app.labels.models import Label
from app.participants.notices import tidy_notice, write_notice
from app.projects.models import Project
from method.saved_texts import one_line

MOST_IMAGES = 1_000
MOST_LABELS = 1_000
MOST_JUDGES = 100
MOST_SEED = 2**53 - 1  # every whole number up to here survives JSON in any program
NAME_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Design:
    """How an audit is done: `sample_size` images with `min_labels` labels or more of an agent run (None: any), drawn by
    `seed`, stratified by `strata` (see `drawing`). `decoy_percent` of all questions are decoys; `check_percent` of the
    images have an attention check, `probe_percent` ask what is missing. With `judges` each image is judged by so many
    participants, each of whom is asked about `images_each`; without, everyone is asked about all.
    """

    seed: int
    sample_size: int
    min_labels: int = 1
    agent_run: int | None = None
    decoy_percent: int = 0
    check_percent: int = 0
    probe_percent: int = 0
    strata: str = "none"
    judges: int | None = None
    images_each: int | None = None


@dataclass(frozen=True, slots=True)
class AuditedRun:
    """An agent run that an audit can draw from."""

    id: int
    agent: str
    agent_version: str
    labels: int
    version_number: int
    created_at: datetime


def find_audited_runs(db: Session, project: Project, *, limit: int = 50) -> list[AuditedRun]:
    """The project's agent runs that made labels, newest first."""
    rows = db.execute(
        select(
            AgentRun.id,
            AgentRun.agent,
            AgentRun.agent_version,
            AgentRun.labels,
            CriteriaVersion.number,
            AgentRun.created_at,
        )
        .join(CriteriaVersion, CriteriaVersion.id == AgentRun.version_id)
        .where(AgentRun.project_id == project.id, AgentRun.labels > 0)
        .order_by(AgentRun.id.desc())
        .limit(limit)
    )
    return [AuditedRun(*row) for row in rows]


def population(
    db: Session, project: Project, *, min_labels: int, agent_run: int | None
) -> Population:
    """How many images have at least `min_labels` labels of the agent run (None: of any run).

    Raises NotFound for a run of another project, Conflict where nothing is published yet.
    """
    frame = get_frame(db, project, agent_run)
    _refuse_min_labels(min_labels)
    return count_population(db, project, frame, min_labels=min_labels)


def create_audit(
    db: Session,
    project: Project,
    *,
    name: str,
    design: Design,
    notice: str,
    by: Person | None,
) -> Audit:
    """Draw a random sample of images and freeze what the agent said about them as items.

    Of an image every label of the agent run becomes an item (None: of any agent run), whether
    people have confirmed or rejected it since or not. Item ids rise by image and within an image in
    tree order. The criteria version is the run's, or the current one where all runs are audited;
    labels of pairs that are retired in it, or do not apply to their images under it, are left out.

    Raises Invalid with the field for values that make no sense and where there are too few images,
    NotFound for a run of another project, Conflict where nothing is published yet.
    """
    name, notice = one_line(name), tidy_notice(notice)
    _refuse_nonsense(name, design)
    frame = get_frame(db, project, design.agent_run)
    images = _draw(db, project, frame, design)
    if len(images) < design.sample_size:
        raise Invalid(
            f"Only {len(images)} images have {design.min_labels} or more labels of this agent.",
            field="sample_size",
            hint="Ask for fewer images, or for fewer labels per image.",
        )
    there = count_population(db, project, frame, min_labels=design.min_labels)
    audit = Audit(
        project_id=project.id,
        name=name,
        seed=design.seed,
        sample_size=design.sample_size,
        min_labels=design.min_labels,
        decoy_percent=design.decoy_percent,
        check_percent=design.check_percent,
        probe_percent=design.probe_percent,
        strata=design.strata,
        judges=design.judges,
        images_each=design.images_each,
        population=there.images,
        population_is_about=there.is_about,
        agent_run_id=design.agent_run,
        version_id=frame.version_id,
        created_by=by.id if by else None,
    )
    db.add(audit)
    db.flush()
    write_notice(db, instrument(audit), notice, by=by)
    _freeze_items(db, audit, frame, images)
    sample = [image_id for image_id, _ in images]
    choose_practice(db, audit, nodes=frame.keys, needs=frame.needs, sample=sample)
    return audit


def _draw(db: Session, project: Project, frame: Frame, design: Design) -> list[Drawn]:
    wanted = {
        "seed": design.seed,
        "sample_size": design.sample_size,
        "min_labels": design.min_labels,
    }
    if design.strata == "none":
        return draw(db, project, frame, **wanted)
    runs = [each.id for each in find_audited_runs(db, project)]
    return draw_stratified(db, project, frame, get_strata(frame, design.strata, runs), **wanted)


def _refuse_nonsense(name: str, design: Design) -> None:
    if not 1 <= len(name) <= NAME_LENGTH:
        raise Invalid(f"Please give a name of up to {NAME_LENGTH} characters.", field="name")
    if not 0 <= design.seed <= MOST_SEED:
        raise Invalid(f"A seed is a whole number from 0 to {MOST_SEED}.", field="seed")
    if not 1 <= design.sample_size <= MOST_IMAGES:
        raise Invalid(f"A sample has 1 to {MOST_IMAGES} images.", field="sample_size")
    for field, words, most in (
        ("decoy_percent", "Decoys are 0 to {} percent of the questions.", MOST_PERCENT),
        ("check_percent", "0 to {} percent of the images have an attention check.", MOST_PERCENT),
        ("probe_percent", "0 to {} percent of the images ask what is missing.", 100),
    ):
        if not 0 <= getattr(design, field) <= most:
            raise Invalid(words.format(most), field=field)
    if design.strata not in STRATA:
        raise Invalid(f"A sample is stratified by {', '.join(STRATA)}.", field="strata")
    _refuse_min_labels(design.min_labels)
    _refuse_sharing(design)


def _refuse_sharing(design: Design) -> None:
    if design.judges is None and design.images_each is None:
        return
    if design.judges is None or not 1 <= design.judges <= MOST_JUDGES:
        raise Invalid(
            f"Say how many participants judge each image, 1 to {MOST_JUDGES}.", field="judges"
        )
    if design.images_each is None or not 1 <= design.images_each <= design.sample_size:
        raise Invalid(
            f"Say how many of the {design.sample_size} images each participant judges.",
            field="images_each",
        )


def _refuse_min_labels(min_labels: int) -> None:
    if not 1 <= min_labels <= MOST_LABELS:
        raise Invalid(f"Ask for 1 to {MOST_LABELS} labels per image.", field="min_labels")


def _freeze_items(db: Session, audit: Audit, frame: Frame, images: Sequence[Drawn]) -> None:
    position = {image_id: number for number, (image_id, _) in enumerate(images, start=1)}
    place = {pair.key: number for number, pair in enumerate(frame.criteria.pairs())}
    asked = [(*each, kind) for kind, rows in _questions(db, audit, frame, images) for each in rows]
    asked.sort(
        key=lambda each: (
            position[each[0]],
            place[frame.keys[each[1]]],
            # A positive attribute stands before the negative one of its pair.
            each[2] != "positive",
        )
    )
    items = [
        {
            "audit_id": audit.id,
            "image_id": image_id,
            "image_position": position[image_id],
            "node_id": node_id,
            "polarity": polarity,
            "root_key": frame.criteria.root_of(frame.keys[node_id]).key,
            "kind": kind,
            "expected": None,
        }
        for image_id, node_id, polarity, kind in asked
    ]
    items = list(_with_checks(audit, items, dict(images)))
    _write(db, items)


def _write(db: Session, items: Sequence[dict[str, Any]]) -> None:
    """Write items in their order, in one statement: a thousand images have some 20,000."""
    columns = AuditItem.__table__.c
    names = list(items[0])
    arrays = [cast([item[name] for item in items], ARRAY(columns[name].type)) for name in names]
    given = (
        func.unnest(*arrays)
        .table_valued(*names, with_ordinality="place")
        .render_derived(name="given")
    )
    rows = select(*(given.c[name] for name in names)).order_by(given.c.place)
    db.execute(insert(AuditItem).from_select(names, rows))


def _with_checks(
    audit: Audit, items: Sequence[dict[str, Any]], hashes: dict[int, str]
) -> Iterator[dict[str, Any]]:
    """The questions with an attention check among those of some images, at a place that the seed chooses."""
    for image_id, of_image in groupby(items, key=lambda item: item["image_id"]):
        own = list(of_image)
        chance = hashlib.sha256(f"{audit.seed}:check:{hashes[image_id]}".encode()).digest()
        if int.from_bytes(chance[:4]) % 100 < audit.check_percent:
            nothing = {"node_id": None, "polarity": None, "root_key": None}
            check = {"kind": "check", "expected": ANSWERS[chance[8] % len(ANSWERS)]}
            own.insert(int.from_bytes(chance[4:8]) % len(own), own[0] | nothing | check)
        yield from own


def _questions(
    db: Session, audit: Audit, frame: Frame, images: Sequence[Drawn]
) -> list[tuple[str, list[tuple[int, int, str]]]]:
    """What is asked, by kind: rows of image, node and polarity."""
    ids = [image_id for image_id, _ in images]
    annotated = select(frame.annotated).where(frame.annotated.c.image_id.in_(ids))
    labels = [(row.image_id, row.node_id, row.polarity) for row in db.execute(annotated)]
    if not audit.decoy_percent:
        return [("label", labels)]
    held = db.execute(
        select(Label.image_id, Label.node_id, Label.polarity).where(
            Label.image_id.in_(ids), Label.state != "rejected"
        )
    )
    given = by_image(labels)
    decoys = draw_decoys(
        seed=audit.seed,
        percent=audit.decoy_percent,
        images=images,
        given=given,
        held=by_image(held),
        not_applicable=find_not_applicable(db, ids, frame.needs),
        names={
            (node_id, polarity): f"{frame.keys[node_id]}:{polarity}"
            for each in given.values()
            for node_id, polarity in each
        },
    )
    return [("label", labels), ("decoy", [(image, *attribute) for image, attribute in decoys])]
