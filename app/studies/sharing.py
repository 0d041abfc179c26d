"""Who is asked about which prompts, where not everyone is asked about all.

A participant who agrees gets the prompts that the fewest others have, with all pairs of each, so that each pair ends up
with the wanted number of judges, also where somebody withdraws or is left out: whoever comes next takes their place.
Every participant so compares every two models equally often. Prompts with checks are spread evenly, so that nobody
gets many and somebody else none.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.participants.models import Participant
from app.studies.models import Study, StudyImage, StudyPair, StudyShare
from app.studies.ordering import Pairs, find_pairs

_SHARING = 0x53545544
"""What the lock is called under which shares are given out."""


def give_share(db: Session, study: Study, participant: Participant) -> None:
    """Choose a participant's prompts; those who come at once wait for one another. Doing so twice changes nothing."""
    if study.prompts_each is None:
        return
    db.execute(select(func.pg_advisory_xact_lock(_SHARING, study.id)))
    has_one = select(StudyShare.pair_id).where(StudyShare.participant_id == participant.id)
    if db.scalar(has_one.limit(1)) is not None:
        return
    pairs = find_pairs(db, study)
    own = choose_prompts(study, pairs, _count_judges(db, study))
    db.execute(
        insert(StudyShare),
        [
            {"study_id": study.id, "participant_id": participant.id, "pair_id": each.id}
            for each in pairs
            if each.prompt in own
        ],
    )


def choose_prompts(study: Study, pairs: Pairs, judges: Mapping[str, int]) -> frozenset[str]:
    """The prompts of the next participant, by hash; `judges` says how many others have each."""
    checks: dict[str, list[str]] = {each.prompt: [] for each in pairs}
    for each in pairs:
        if each.kind != "pair":
            checks[each.prompt].append(each.kind)
    turns = {prompt: judges.get(prompt, 0) for prompt in checks}
    places = {turn: _spread(study.seed, turn, checks) for turn in set(turns.values())}
    order = sorted(checks, key=lambda each: (turns[each], places[turns[each]][each]))
    return frozenset(order[: study.prompts_each])


def _spread(seed: int, turn: int, checks: Mapping[str, list[str]]) -> dict[str, float]:
    """A random place in [0, 1) for each prompt, anew in each turn; those with the same checks evenly over all of it."""
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for prompt, kinds in checks.items():
        alike[tuple(sorted(kinds))].append(prompt)

    def chance(what: str) -> float:
        digest = hashlib.sha256(f"{seed}:share {turn}:{what}".encode()).digest()
        return int.from_bytes(digest[:6]) / 2**48

    return {
        prompt: (at + chance(f"place {prompt}")) / len(prompts)
        for prompts in alike.values()
        for at, prompt in enumerate(sorted(prompts, key=chance))
    }


def _count_judges(db: Session, study: Study) -> dict[str, int]:
    """How many participants whose answers count have each prompt, by hash."""
    rows = db.execute(
        select(StudyImage.prompt_sha256, func.count(StudyShare.participant_id.distinct()))
        .select_from(StudyShare)
        .join(Participant, Participant.id == StudyShare.participant_id)
        .join(StudyPair, StudyPair.id == StudyShare.pair_id)
        .join(StudyImage, StudyImage.id == StudyPair.first_image_id)
        .where(
            StudyShare.study_id == study.id,
            Participant.revoked_at.is_(None),
            Participant.withdrawn_at.is_(None),
        )
        .group_by(StudyImage.prompt_sha256)
    )
    return dict(rows.all())


def people_for(study: Study) -> int | None:
    """How many participants it takes for the wanted number of judges; None where everyone is asked about all."""
    if study.prompts_each is None or study.judges is None:
        return None
    return -(-study.prompts * study.judges // study.prompts_each)


def count_asked(db: Session, study: Study) -> int:
    """About how many pairs each participant is asked about, checks included: all, or the mean of all shares."""
    pairs = db.scalar(select(func.count()).where(StudyPair.study_id == study.id)) or 0
    return (
        pairs if study.prompts_each is None else round(pairs * study.prompts_each / study.prompts)
    )
