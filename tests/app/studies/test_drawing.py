"""From images to pairs: what is taken in, what is drawn, and who sees what where."""

import zipfile
from collections import Counter, defaultdict
from io import BytesIO

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app.errors import Conflict, Invalid
from app.images import storage
from app.images.removing import ask_removal, sweep_removals
from app.studies import collecting, founding, opening
from app.studies.models import StudyImage, StudyModel, StudyPair
from app.studies.ordering import find_order, find_pairs, sides_of
from tests.app.studies.conftest import GROUPS, ROOTS, Atelier, archive, picture


def test_a_study_asks_about_the_root_dimensions_of_the_newest_version(atelier: Atelier) -> None:
    from app.studies.access import get_study_criteria

    asked = get_study_criteria(atelier.db, atelier.draft())
    assert [each.key for each in asked.dimensions] == list(ROOTS)
    assert [each.name for each in asked.dimensions] == ["Light", "Color", "Composition"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": " "}, "name"),
        ({"prompts": 0}, "prompts"),
        ({"seed": -1}, "seed"),
        ({"identical_percent": 51}, "identical_percent"),
        ({"has_ties": False, "identical_percent": 3}, "identical_percent"),
    ],
)
def test_what_makes_no_sense_is_refused_beside_its_field(
    atelier: Atelier, values: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        atelier.draft(**values)
    assert refused.value.field == field


def test_without_a_published_version_there_is_nothing_to_ask(atelier: Atelier) -> None:
    bare = atelier.make.project("bare")
    with pytest.raises(Conflict, match="none are published"):
        founding.create_study(
            atelier.db, bare, name="x", design=founding.Design(seed=1), notice="y", by=None
        )


def test_folders_say_group_and_model_and_the_list_says_the_prompt(atelier: Atelier) -> None:
    study = atelier.draft()
    job = atelier.fill(study, archive())
    assert job.state == "succeeded" and job.result is not None
    assert job.result["added"] == 16
    there = opening.get_gathering(atelier.db, study)
    found = {group: {each.name for each in models} for group, models in there.groups.items()}
    assert found == {group: set(models) for group, models in GROUPS.items()}
    assert there.common_prompts == 4 and there.problem is None
    prompts = set(atelier.db.scalars(select(StudyImage.prompt)))
    assert prompts == {f"a jug beside {at} pears" for at in range(4)}


def test_sending_the_same_again_adds_nothing_and_another_picture_is_named(atelier: Atelier) -> None:
    study = atelier.draft()
    atelier.fill(study, archive())
    again = atelier.fill(study, archive()).result
    assert again is not None and (again["added"], again["known"]) == (0, 16)
    body = BytesIO()
    with zipfile.ZipFile(body, "w") as packed:
        packed.writestr("G1/sdxl-cpo/a jug beside 0 pears.png", picture(999))
        packed.writestr("G1/sdxl-cpo/torn.png", b"no picture")
        packed.writestr("loose.png", picture(998))
    result = atelier.fill(study, body.getvalue()).result
    assert result is not None and result["added"] == 0
    reasons = {each["name"].rsplit("/", 1)[-1]: each["reason"] for each in result["problems"]}
    assert "another image of this model" in reasons["a jug beside 0 pears.png"]
    assert "not a JPEG, PNG or WebP" in reasons["torn.png"]
    assert "lies in no folder" in reasons["loose.png"]


def test_a_lonely_model_or_no_common_prompt_cannot_be_opened(atelier: Atelier) -> None:
    study = atelier.draft()
    project = atelier.cast.project
    with pytest.raises(Conflict, match="no images yet"):
        opening.open_study(atelier.db, project, study.id, prompts=1)
    atelier.fill(study, archive({"G1": ["one"]}))
    with pytest.raises(Conflict, match="one model only"):
        opening.open_study(atelier.db, project, study.id, prompts=1)
    atelier.fill(study, archive({"G1": ["one", "two"]}))
    with pytest.raises(Invalid, match="4 prompts") as refused:
        opening.open_study(atelier.db, project, study.id, prompts=5)
    assert refused.value.field == "prompts"


def test_every_two_models_of_a_group_meet_on_every_prompt(atelier: Atelier) -> None:
    study = atelier.study({"G1": ("a", "b", "c"), "G2": ("d", "e")}, prompts=5)
    pairs = find_pairs(atelier.db, study)
    met = Counter((each.first_model, each.second_model) for each in pairs)
    assert len(met) == 4 and set(met.values()) == {5}
    names = dict(atelier.db.execute(select(StudyModel.id, StudyModel.name)).all())
    assert {tuple(names[each] for each in models) for models in met} == {
        ("a", "b"), ("a", "c"), ("b", "c"), ("d", "e"),
    }  # fmt: skip


def test_the_same_seed_draws_the_same_prompts(atelier: Atelier) -> None:
    drawn = []
    for _ in range(2):
        study = atelier.draft(seed=3, prompts=3)
        atelier.fill(study, archive(prompts=9))
        opening.open_study(atelier.db, atelier.cast.project, study.id, prompts=3)
        atelier.db.commit()
        drawn.append({each.prompt for each in find_pairs(atelier.db, study)})
    assert drawn[0] == drawn[1] and len(drawn[0]) == 3


def test_opening_twice_changes_nothing_and_images_stay(atelier: Atelier) -> None:
    study = atelier.study()
    project = atelier.cast.project
    before = find_pairs(atelier.db, study)
    opening.open_study(atelier.db, project, study.id, prompts=2)
    assert find_pairs(atelier.db, study) == before and study.prompts == 4
    with pytest.raises(Conflict, match="has been opened"):
        collecting.remove_images(atelier.db, project, study.id)
    with pytest.raises(DBAPIError, match=r"append|change"):
        atelier.db.execute(text("DELETE FROM study_pair"))
    atelier.db.rollback()


def test_images_of_a_draft_can_be_taken_out_and_leave_the_storage(atelier: Atelier) -> None:
    study = atelier.draft()
    atelier.fill(study, archive(prompts=1))
    sha256 = atelier.db.scalars(select(StudyImage.sha256)).first()
    assert sha256 is not None
    key = storage.key_of("original", sha256)
    ask_removal(atelier.db, sha256)
    atelier.db.commit()
    sweep_removals()
    assert storage.exists(key)  # the study holds it
    collecting.remove_images(atelier.db, atelier.cast.project, study.id)
    atelier.db.commit()
    sweep_removals()
    assert not storage.exists(key)
    assert atelier.db.scalar(select(func.count()).select_from(StudyModel)) == 0


def test_checks_are_drawn_beside_the_pairs(atelier: Atelier) -> None:
    study = atelier.study(prompts=10, identical_percent=10, repeated_percent=20)
    kinds = Counter(each.kind for each in find_pairs(atelier.db, study))
    assert kinds == {"pair": 20, "identical": 2, "repeated": 4}
    rows = atelier.db.scalars(select(StudyPair)).all()
    by_id = {each.id: each for each in rows}
    for each in rows:
        if each.kind == "repeated":
            assert by_id[each.repeats_id or 0].kind == "pair"


def test_sides_are_balanced_for_each_participant_and_each_pair(atelier: Atelier) -> None:
    study = atelier.study(prompts=10, repeated_percent=20)
    pairs = find_pairs(atelier.db, study)
    counted = [each for each in pairs if each.kind == "pair"]
    per_pair: Counter[int] = Counter()
    for number in range(1, 9):
        sides = sides_of(study.seed, number, pairs)
        per_group: dict[tuple[int, int], list[bool]] = defaultdict(list)
        for each in counted:
            per_group[each.first_model, each.second_model].append(sides[each.id])
            per_pair[each.id] += sides[each.id]
        assert {sum(each) for each in per_group.values()} == {5}
        for each in pairs:
            if each.repeats_id is not None:
                assert sides[each.id] is not sides[each.repeats_id]
    assert set(per_pair.values()) == {4}


def test_orders_are_each_ones_own_and_repeats_come_later(atelier: Atelier) -> None:
    study = atelier.study(prompts=10, repeated_percent=20)
    repeats = {
        each.id: each.repeats_id for each in find_pairs(atelier.db, study) if each.repeats_id
    }
    orders = []
    for participant, _ in atelier.seats(study, 2):
        order = [each.pair_id for each in find_order(atelier.db, study, participant)]
        assert order == [each.pair_id for each in find_order(atelier.db, study, participant)]
        assert all(order.index(again) > order.index(first or 0) for again, first in repeats.items())
        orders.append(order)
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])
