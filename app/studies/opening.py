"""Opens a draft: draws prompts and makes the pairs that participants compare, which then stay as they are."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import TypeVar

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.database import Json
from app.errors import Conflict, Invalid
from app.projects.models import Project
from app.studies.access import get_study
from app.studies.collecting import find_open_job
from app.studies.founding import MOST_PROMPTS
from app.studies.models import Study, StudyImage, StudyModel, StudyPair
from app.studies.practising import choose_practice

MOST_PAIRS = 20_000
T = TypeVar("T")
Made = dict[int, int]
"""What models made of one prompt: image ids by model."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model of a study, and how many images it has."""

    id: int
    group: str
    name: str
    origin: str
    images: int


@dataclass(frozen=True, slots=True)
class Gathering:
    """What a draft has so far: its models by group, and how many prompts have an image of every one of them."""

    models: tuple[ModelRow, ...]
    common_prompts: int

    @property
    def groups(self) -> dict[str, list[ModelRow]]:
        """The models of each group, in the order they came."""
        groups: dict[str, list[ModelRow]] = defaultdict(list)
        for each in self.models:
            groups[each.group].append(each)
        return dict(sorted(groups.items()))

    @property
    def problem(self) -> str | None:
        """What keeps the study from being opened, or None."""
        if not self.models:
            return "There are no images yet."
        lonely = [name for name, models in self.groups.items() if len(models) < 2]
        if lonely:
            return f"Group {lonely[0]} has one model only, and nothing to compare it with."
        if not self.common_prompts:
            return "No prompt has an image of every model, so nothing can be compared."
        return None


def find_models(db: Session, study: Study) -> list[ModelRow]:
    """The models of a study by group, in the order they came."""
    rows = db.execute(
        select(
            StudyModel.id,
            StudyModel.group_name,
            StudyModel.name,
            StudyModel.origin,
            func.count(StudyImage.id),
        )
        .outerjoin(StudyImage, StudyImage.model_id == StudyModel.id)
        .where(StudyModel.study_id == study.id)
        .group_by(StudyModel.id)
        .order_by(StudyModel.group_name, StudyModel.id)
    )
    return [ModelRow(*row) for row in rows]


def get_gathering(db: Session, study: Study) -> Gathering:
    """What a study has to draw from."""
    models = tuple(find_models(db, study))
    per_prompt = (
        select(StudyImage.prompt_sha256)
        .where(StudyImage.study_id == study.id)
        .group_by(StudyImage.prompt_sha256)
        .having(func.count() == len(models))
        .subquery()
    )
    common = db.scalar(select(func.count()).select_from(per_prompt)) if models else 0
    return Gathering(models, common or 0)


def open_study(db: Session, project: Project, study_id: int, *, prompts: int) -> Study:
    """Draw so many of the prompts that all models have an image of, and make the pairs.

    Of each group every two models are compared on every prompt. Prompts that are left over are there to practise on. Doing
    so twice changes nothing. Raises Invalid, field `prompts`, for more prompts than there are and for fewer than each
    participant is to judge, Conflict where images lack or still come in.
    """
    study = get_study(db, project, study_id, lock=True)
    if study.state == "open":
        return study
    if study.state == "closed":
        raise Conflict("This study is closed and stays so.")
    if find_open_job(db, project, study) is not None:
        raise Conflict("Images of this study are being taken in.", hint="Wait until that is done.")
    there = get_gathering(db, study)
    if there.problem is not None:
        raise Conflict(there.problem, hint="Add images first.")
    if not 1 <= prompts <= min(there.common_prompts, MOST_PROMPTS):
        raise Invalid(
            f"{there.common_prompts:,} prompts have an image of every model.",
            field="prompts",
            hint=f"Draw 1 to {min(there.common_prompts, MOST_PROMPTS):,} of them.",
        )
    if study.prompts_each is not None and study.prompts_each > prompts:
        raise Invalid(
            f"Each participant is to judge {study.prompts_each:,} prompts.",
            field="prompts",
            hint="Draw as many at least.",
        )
    _make_pairs(db, study, there, prompts)
    study.state, study.prompts, study.opened_at = "open", prompts, datetime.now(UTC)
    db.flush()
    return study


def _make_pairs(db: Session, study: Study, there: Gathering, prompts: int) -> None:
    by_prompt = _images_by_prompt(db, study, number_of_models=len(there.models))
    order = _shuffled(study, "prompt", by_prompt)
    drawn = order[:prompts]
    between = [
        pair
        for models in there.groups.values()
        for pair in combinations([each.id for each in models], 2)
    ]
    if len(between) * len(drawn) > MOST_PAIRS:
        raise Invalid(
            f"That makes {len(between) * len(drawn):,} pairs; at most {MOST_PAIRS:,} are asked.",
            field="prompts",
            hint="Draw fewer prompts.",
        )
    pairs = [
        _row(study, "pair", by_prompt[prompt][first], by_prompt[prompt][second])
        for prompt in drawn
        for first, second in between
    ]
    ids = _write(db, pairs)
    known = dict(zip(ids, pairs, strict=True))
    checked = _shuffled(study, "check", ids)
    identical = _share(len(pairs), study.identical_percent)
    repeated = _share(len(pairs), study.repeated_percent)
    # An identical pair shows one side of some pair, now the first model's and now the second's, no image twice.
    shown = dict.fromkeys(
        known[each][("first_image_id", "second_image_id")[number % 2]]
        for number, each in enumerate(checked)
    )
    _write(db, [_row(study, "identical", each, each) for each in list(shown)[:identical]])
    _write(
        db,
        [
            {**known[each], "kind": "repeated", "repeats_id": each}
            for each in checked[identical : identical + repeated]
        ],
    )
    choose_practice(db, study, [by_prompt[each] for each in order[prompts:]], between)


def _row(study: Study, kind: str, first: int, second: int) -> Json:
    return {
        "study_id": study.id,
        "kind": kind,
        "first_image_id": first,
        "second_image_id": second,
        "repeats_id": None,
    }


def _write(db: Session, rows: list[Json]) -> Sequence[int]:
    """Write pairs; returns their ids in the order of the rows."""
    if not rows:
        return []
    written = insert(StudyPair).returning(StudyPair.id, sort_by_parameter_order=True)
    return db.scalars(written, rows).all()


def _share(pairs: int, percent: int) -> int:
    """How many of the pairs that is; one at least where any are asked for."""
    return max(1, round(pairs * percent / 100)) if percent else 0


def _images_by_prompt(db: Session, study: Study, *, number_of_models: int) -> dict[str, Made]:
    """The images of each prompt that every model has one of."""
    found: dict[str, Made] = defaultdict(dict)
    for prompt, model_id, image_id in db.execute(
        select(StudyImage.prompt_sha256, StudyImage.model_id, StudyImage.id).where(
            StudyImage.study_id == study.id
        )
    ):
        found[prompt][model_id] = image_id
    return {prompt: made for prompt, made in found.items() if len(made) == number_of_models}


def _shuffled(study: Study, what: str, things: Iterable[T]) -> list[T]:
    """Things in an order that follows from the seed and from what they are."""

    def chance(each: T) -> bytes:
        return hashlib.sha256(f"{study.seed}:{what}:{each}".encode()).digest()

    return sorted(things, key=chance)
