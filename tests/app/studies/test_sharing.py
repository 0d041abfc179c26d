"""Who is asked about which pairs where not everyone is asked about all: balanced, seeded, and made good where somebody leaves."""

from collections import Counter, defaultdict
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.errors import Invalid
from app.participants.models import Participant
from app.studies import inviting, judging
from app.studies.access import get_study_criteria
from app.studies.answers import gather_answers
from app.studies.models import Study
from app.studies.opening import open_study
from app.studies.ordering import DrawnPair, find_order, find_own_pairs, find_pairs
from app.studies.sharing import people_for
from tests.app.studies.conftest import ROOTS, Atelier, answer_like, archive

SHARED: dict[str, Any] = {"prompts": 10, "judges": 2, "prompts_each": 4}


@pytest.fixture
def study(atelier: Atelier) -> Study:
    return atelier.study(**SHARED, identical_percent=20, repeated_percent=20)


def own(atelier: Atelier, study: Study, seat: tuple[Participant, str]) -> list[DrawnPair]:
    return list(find_own_pairs(atelier.db, study, seat[0]))


def judges_of_prompts(
    atelier: Atelier, study: Study, seats: list[tuple[Participant, str]]
) -> Counter[str]:
    return Counter(
        prompt for seat in seats for prompt in {each.prompt for each in own(atelier, study, seat)}
    )


def test_each_pair_gets_the_wanted_number_of_judges(atelier: Atelier, study: Study) -> None:
    needed = people_for(study)
    assert needed == 5
    seats = atelier.seats(study, needed)
    judges = judges_of_prompts(atelier, study, seats)
    assert set(judges.values()) == {2} and len(judges) == 10
    everything = Counter(each.id for seat in seats for each in own(atelier, study, seat))
    assert everything == {each.id: 2 for each in find_pairs(atelier.db, study)}


def test_everyone_compares_every_two_models_equally_often(atelier: Atelier, study: Study) -> None:
    checks = []
    for seat in atelier.seats(study, 5):
        pairs = own(atelier, study, seat)
        compared = Counter(
            (each.first_model, each.second_model) for each in pairs if each.kind == "pair"
        )
        assert list(compared.values()) == [4, 4]
        checks.append(sum(each.kind != "pair" for each in pairs))
        left: dict[tuple[int, int], int] = defaultdict(int)
        sides = {
            each.pair_id: each.first_is_left for each in find_order(atelier.db, study, seat[0])
        }
        for each in pairs:
            if each.kind == "pair":
                left[each.first_model, each.second_model] += sides[each.id]
        assert set(left.values()) == {2}
        assert {each.repeats_id for each in pairs} - {None} <= {each.id for each in pairs}
    # 8 checks stand at up to 8 of 10 prompts, each asked twice: nobody gets none or most of them.
    assert sum(checks) == 16 and min(checks) >= 1 and max(checks) <= 6


def test_the_seed_decides_who_is_asked_what(atelier: Atelier) -> None:
    given = []
    for seed in (7, 7, 8):
        study = atelier.study(**SHARED, seed=seed)
        given.append(
            [
                {each.prompt for each in own(atelier, study, seat)}
                for seat in atelier.seats(study, 3)
            ]
        )
    assert given[0] == given[1] != given[2]


def test_who_comes_after_somebody_left_takes_their_place(
    api: TestClient, atelier: Atelier, study: Study
) -> None:
    seats = atelier.seats(study, 5)
    gone = [seats[1], seats[3]]
    assert api.post(f"/api/v1/study/{gone[0][1]}/withdraw").status_code == 200
    inviting.revoke_participant(atelier.db, study, gone[1][0].number)
    atelier.db.commit()
    seats = [each for each in seats if each not in gone] + atelier.seats(study, 2)
    assert set(judges_of_prompts(atelier, study, seats).values()) == {2}


def test_one_is_asked_about_ones_own_pairs_alone(
    api: TestClient, browser: TestClient, atelier: Atelier, study: Study
) -> None:
    [(_, late)] = inviting.invite_participants(atelier.db, study, 1)
    atelier.db.commit()
    page = browser.get(f"/study/{late}").text
    assert "about 11 pairs" in page and "33 questions in all, or a few more or less" in page
    [seat] = atelier.seats(study, 1)
    pairs = own(atelier, study, seat)
    told = api.get(f"/api/v1/study/{seat[1]}").json()["progress"]
    assert told == {"answered": 0, "items": 3 * len(pairs), "pairs": len(pairs)}
    path = f"/api/v1/study/{seat[1]}/pairs/{len(pairs) + 1}/light"
    assert api.put(path, json={"answer": "left"}).status_code == 404
    answer_like(api, seat[1], dict.fromkeys(ROOTS, "left"))
    assert api.post(f"/api/v1/study/{seat[1]}/finish").json()["state"] == "finished"
    [first, second] = inviting.find_participants(atelier.db, study)
    assert (first.asked, second.answered, second.asked) == (0, 3 * len(pairs), 3 * len(pairs))


def test_figures_know_the_sides_that_each_one_saw(api: TestClient, atelier: Atelier) -> None:
    study = atelier.study(**SHARED)
    for _, token in atelier.seats(study, 5):
        answer_like(api, token, dict.fromkeys(ROOTS, "left"))
    answers = gather_answers(atelier.db, study, get_study_criteria(atelier.db, study))
    assert len(answers) == 5 * 8 * 3
    assert (answers.won == answers.left).all()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"judges": 2}, "prompts_each"),
        ({"prompts_each": 2}, "judges"),
        ({"judges": 0, "prompts_each": 2}, "judges"),
        ({"judges": 2, "prompts_each": 5}, "prompts_each"),
    ],
)
def test_half_a_design_is_refused_beside_its_field(
    atelier: Atelier, values: dict[str, int], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        atelier.draft(prompts=4, **values)
    assert refused.value.field == field


def test_no_fewer_prompts_are_drawn_than_each_one_judges(atelier: Atelier) -> None:
    study = atelier.draft(**SHARED)
    atelier.fill(study, archive(prompts=10))
    with pytest.raises(Invalid, match="to judge 4 prompts") as refused:
        open_study(atelier.db, atelier.cast.project, study.id, prompts=3)
    assert refused.value.field == "prompts"


def test_agreeing_twice_gives_one_share(atelier: Atelier, study: Study) -> None:
    [seat] = atelier.seats(study, 1)
    before = own(atelier, study, seat)
    judging.consent(atelier.db, seat[0])
    atelier.db.commit()
    assert own(atelier, study, seat) == before
