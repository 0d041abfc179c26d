"""What a study found: every two models of a group by dimension, the ranking of larger groups, and how each participant
answered; and the list of a project's studies.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.participants.progress import People, count_people
from app.projects.models import Project
from app.studies.access import StudyCriteria, get_study_criteria, instrument
from app.studies.answers import Answers, gather_answers
from app.studies.models import Study, StudyModel, StudyPair
from app.studies.opening import ModelRow, find_models
from app.studies.ranking import rank
from app.studies.scoring import (
    Consistency,
    Preference,
    Sides,
    consistency,
    lean_left,
    prefer,
    prefer_by_dimension,
)
from app.studies.sharing import count_asked

OVERALL = "overall"


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """How often the second model of a comparison was preferred in a dimension, or overall."""

    key: str
    name: str
    preference: Preference


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models of a group; every row says how often `model` was preferred to `other`."""

    group: str
    other: str
    model: str
    dimensions: tuple[PreferenceRow, ...]
    overall: PreferenceRow

    @property
    def rows(self) -> tuple[PreferenceRow, ...]:
        """The dimensions in tree order, then all of them together."""
        return (*self.dimensions, self.overall)


@dataclass(frozen=True, slots=True)
class RankRow:
    """A model's place in its group by the Bradley-Terry model; see `ranking.Ranked`."""

    name: str
    rank: int
    strength: float | None
    interval: tuple[float, float] | None
    share: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """The models of a group of three or more, from the best, in a dimension or overall."""

    group: str
    key: str
    name: str
    rows: tuple[RankRow, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that the answers of a study say, as it stands now."""

    comparisons: tuple[Comparison, ...]
    rankings: tuple[Ranking, ...]
    participants: tuple[Consistency, ...]
    sides: Sides
    answers: int

    @property
    def groups(self) -> dict[str, list[Comparison]]:
        """The comparisons of each group."""
        found: dict[str, list[Comparison]] = defaultdict(list)
        for each in self.comparisons:
            found[each.group].append(each)
        return dict(found)

    @property
    def of_two(self) -> list[Comparison]:
        """The comparisons of groups of two models."""
        return [found[0] for found in self.groups.values() if len(found) == 1]

    def rankings_of(self, group: str) -> list[Ranking]:
        """The rankings of a group: overall first, then by dimension."""
        return [each for each in self.rankings if each.group == group]


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What the figures of a study rest on; `asked` is about how many pairs each participant is asked about."""

    criteria: StudyCriteria
    models: tuple[ModelRow, ...]
    pairs: int
    identical: int
    repeated: int
    asked: int
    people: People

    @property
    def questions(self) -> int:
        """How many answers each participant is asked for; about so many where pairs are shared out."""
        return self.asked * len(self.criteria.dimensions)


@dataclass(frozen=True, slots=True)
class StudySummary:
    """A study in the list."""

    study: Study
    groups: int
    models: int
    pairs: int
    people: People


def results(db: Session, study: Study) -> Results:
    """The results of a study as they stand now."""
    criteria = get_study_criteria(db, study)
    return results_of(criteria, find_models(db, study), gather_answers(db, study, criteria))


def results_of(criteria: StudyCriteria, models: Sequence[ModelRow], answers: Answers) -> Results:
    """The results of answers about the images of models."""
    groups: dict[str, list[ModelRow]] = defaultdict(list)
    for each in models:
        groups[each.group].append(each)
    return Results(
        comparisons=tuple(
            _compare(criteria, group, one, other, answers)
            for group, members in groups.items()
            for one, other in combinations(members, 2)
        ),
        rankings=tuple(
            each
            for group, members in groups.items()
            if len(members) > 2
            for each in _rank(criteria, group, members, answers)
        ),
        participants=tuple(consistency(answers)),
        sides=lean_left(answers),
        answers=len(answers),
    )


def _compare(
    criteria: StudyCriteria, group: str, one: ModelRow, other: ModelRow, answers: Answers
) -> Comparison:
    both = answers.between(one.id, other.id)
    by_dimension = prefer_by_dimension(both, len(criteria.dimensions))
    return Comparison(
        group=group,
        other=one.name,
        model=other.name,
        dimensions=tuple(
            PreferenceRow(asked.key, asked.name, found)
            for asked, found in zip(criteria.dimensions, by_dimension, strict=True)
        ),
        overall=PreferenceRow(OVERALL, "Overall", prefer(both)),
    )


def _rank(
    criteria: StudyCriteria, group: str, models: list[ModelRow], answers: Answers
) -> list[Ranking]:
    names = {each.id: each.name for each in models}
    parts = [(OVERALL, "Overall", answers)]
    for place, asked in enumerate(criteria.dimensions):
        parts.append((asked.key, asked.name, answers.where(answers.dimensions == place)))
    return [
        Ranking(
            group,
            key,
            name,
            tuple(
                RankRow(names[each.model], each.rank, each.strength, each.interval, each.share)
                for each in rank(part, list(names))
            ),
        )
        for key, name, part in parts
    ]


def get_facts(db: Session, study: Study) -> StudyFacts:
    """What a study consists of, and who takes part."""
    kinds: dict[str, int] = dict(
        db.execute(
            select(StudyPair.kind, func.count())
            .where(StudyPair.study_id == study.id)
            .group_by(StudyPair.kind)
        ).all()
    )
    of = instrument(study)
    return StudyFacts(
        criteria=get_study_criteria(db, study),
        models=tuple(find_models(db, study)),
        pairs=kinds.get("pair", 0),
        identical=kinds.get("identical", 0),
        repeated=kinds.get("repeated", 0),
        asked=count_asked(db, study),
        people=count_people(db, [of]).get(of, People()),
    )


def find_studies(
    db: Session, project: Project, *, before: int | None = None, limit: int = 20
) -> list[StudySummary]:
    """A project's studies, newest first, from below the id `before`."""
    query = (
        select(Study).where(Study.project_id == project.id).order_by(Study.id.desc()).limit(limit)
    )
    found = db.scalars(query if before is None else query.where(Study.id < before)).all()
    ids = [each.id for each in found]
    models = {
        row[0]: (row[1], row[2])
        for row in db.execute(
            select(StudyModel.study_id, func.count(StudyModel.group_name.distinct()), func.count())
            .where(StudyModel.study_id.in_(ids))
            .group_by(StudyModel.study_id)
        )
    }
    pairs = dict(
        db.execute(
            select(StudyPair.study_id, func.count())
            .where(StudyPair.study_id.in_(ids), StudyPair.kind == "pair")
            .group_by(StudyPair.study_id)
        ).all()
    )
    people = count_people(db, [instrument(each) for each in found])
    return [
        StudySummary(
            study=each,
            groups=models.get(each.id, (0, 0))[0],
            models=models.get(each.id, (0, 0))[1],
            pairs=pairs.get(each.id, 0),
            people=people.get(instrument(each), People()),
        )
        for each in found
    ]
