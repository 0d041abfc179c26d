"""Strata, judges of each image, attention checks, what is missing, examples; and the width that is to be expected."""

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.audits import drawing, inviting, judging, probing, sharing
from app.audits.models import Audit, AuditItem, AuditProbe, AuditShare, Judgement
from app.audits.planning import Design, between
from app.audits.results import get_facts, results
from app.errors import Invalid
from app.examples.choosing import choose_example
from app.images.image_files import hash_of
from app.images.models import Image
from app.labels.models import Label
from tests.app.audits.conftest import LIGHT, Studio
from tests.app.audits.test_scoring import answers

SignIn = Callable[[TestClient, Person], TestClient]
ROOM = "/projects/paintings/audits"


def drawn(db: Session, audit: Audit) -> list[int]:
    rows = select(AuditItem.image_id).where(AuditItem.audit_id == audit.id).distinct()
    return list(db.scalars(rows))


# Strata --------------------------------------------------------------------------------------


def test_each_stratum_gets_its_share(db: Session, studio: Studio) -> None:
    for _ in range(20):
        studio.annotate((0, "positive"))
    rare = {studio.annotate((2, "negative")).id for _ in range(4)}
    later = studio.make.agent_run(studio.cast.project, studio.version)
    of_later = {studio.annotate((1, "positive"), run=later).id for _ in range(4)}
    for strata, few in (("root", rare), ("polarity", rare), ("run", of_later)):
        found = drawn(db, studio.audit(sample_size=8, strata=strata))
        assert len(found) == 8
        assert len(few & set(found)) == 4, strata
    # What a stratum lacks is filled up with others, and the same seed draws the same.
    one, two = (drawn(db, studio.audit(sample_size=20, strata="root", seed=3)) for _ in range(2))
    assert sorted(one) == sorted(two)
    assert rare < set(one)


def test_a_walk_goes_around_once(
    db: Session, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "FIRST_CHUNK", 2)
    monkeypatch.setattr(drawing, "CHUNK", 3)
    for _ in range(10):
        studio.annotate((0, "positive"))
    for seed in range(4):
        walked = [each for some in drawing.walk(db, studio.cast.project, seed) for each in some]
        assert sorted(image_id for image_id, _ in walked) == [each.id for each in studio.images]


def test_of_many_images_it_is_told_about_how_many(
    db: Session, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "FIRST_CHUNK", 5)
    monkeypatch.setattr(drawing, "LOOKED_AT", 5)
    for _ in range(12):
        studio.annotate((0, "positive"), (1, "positive"))
    audit = studio.audit(sample_size=2)
    assert (audit.population, audit.population_is_about) == (12, True)


def add_many(db: Session, studio: Studio, count: int) -> list[int]:
    """Images with one label of the agent each, in the order of import."""
    rows = [
        {
            "project_id": studio.cast.project.id,
            "name": f"{at}.png",
            "sha256": hash_of(str(at).encode()),
        }
        | {"format": "PNG", "width": 1, "height": 1, "bytes": 1}
        for at in range(count)
    ]
    ids = db.scalars(insert(Image).returning(Image.id, sort_by_parameter_order=True), rows).all()
    run = studio.run
    about = {"project_id": run.project_id, "node_id": studio.pairs[0].id, "polarity": "positive"}
    about |= {"state": "proposed", "source": "agent", "agent_run_id": run.id, "revision": 1}
    about |= {"version_id": run.version_id, "measure": "m"}
    db.execute(insert(Label), [about | {"image_id": each} for each in ids])
    db.commit()
    return list(ids)


def test_every_part_of_an_import_is_drawn_as_often(db: Session, studio: Studio) -> None:
    ids = add_many(db, studio, 1_000)
    frame = drawing.get_frame(db, studio.cast.project, None)
    found = Counter(
        ids.index(image_id) // 100
        for seed in range(100)
        for image_id, _ in drawing.draw(
            db, studio.cast.project, frame, seed=seed, sample_size=50, min_labels=1
        )
    )
    # 5,000 draws: 500 of each tenth, give or take 6 standard deviations of draws that come in runs by hash.
    assert sum(found.values()) == 5_000
    assert all(350 < found[tenth] < 650 for tenth in range(10)), found


def test_where_few_have_enough_labels_the_counts_lead_to_them(
    db: Session, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_many(db, studio, 30)
    rich = {studio.annotate((0, "positive"), (1, "positive")).id for _ in range(6)}
    by_counts = drawn_in_order(db, studio.audit(sample_size=4, min_labels=2, seed=5))
    monkeypatch.setattr(drawing, "LOOKED_AT", 3)
    walked = studio.audit(sample_size=4, min_labels=2, seed=5)
    assert by_counts == drawn_in_order(db, walked)
    assert set(by_counts) < rich
    monkeypatch.setattr(drawing, "walk", partial(never_walk, drawing.walk))
    monkeypatch.setattr(drawing, "LOOKED_AT", 10)
    studio.audit(sample_size=4, min_labels=2, seed=5)


def never_walk(walk: Any, *given: Any, among: Any = None) -> Any:
    assert among is not None and len(among) == 6
    return walk(*given, among=among)


def drawn_in_order(db: Session, audit: Audit) -> list[int]:
    rows = select(AuditItem.image_id).where(AuditItem.audit_id == audit.id).order_by(AuditItem.id)
    return list(dict.fromkeys(db.scalars(rows)))


# Judges --------------------------------------------------------------------------------------


def judge_all(db: Session, audit: Audit, participant: object, answer: str = "appears") -> None:
    for item in judging.find_items(db, participant, audit):  # type: ignore[arg-type]
        judging.judge(db, participant, item.id, answer)  # type: ignore[arg-type]


def test_each_image_is_judged_by_so_many(db: Session, studio: Studio) -> None:
    for _ in range(6):
        studio.annotate((0, "positive"), (1, "negative"))
    audit = studio.audit(judges=2, images_each=3)
    assert sharing.people_for(audit) == 4
    seats = studio.seats(audit, 4)
    given = Counter(db.scalars(select(AuditShare.image_position)))
    assert given == dict.fromkeys(range(1, 7), 2)
    (first, _), *_ = seats
    assert judging.get_progress(db, first).items == 6
    assert {each.image_position for each in judging.find_items(db, first, audit)} == {1, 2, 3}
    foreign = db.scalars(
        select(AuditItem.id).where(
            AuditItem.audit_id == audit.id,
            AuditItem.image_position.not_in(sharing.positions_of(db, audit, first)),
        )
    ).first()
    with pytest.raises(Exception, match="no item"):
        judging.judge(db, first, foreign or 0, "appears")
    judge_all(db, audit, first)
    judging.finish(db, first)
    assert [each.asked for each in inviting.find_participants(db, audit)] == [6, 6, 6, 6]
    # Who comes after somebody withdrew takes their place.
    judging.withdraw(db, first)
    [(later, _)] = studio.seats(audit, 1)
    own = set(sharing.positions_of(db, audit, later))
    others = Counter(
        db.scalars(select(AuditShare.image_position).where(AuditShare.participant_id != later.id))
    )
    assert {each for each in range(1, 7) if others[each] == 1} == own


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"judges": 2}, "images_each"),
        ({"images_each": 1}, "judges"),
        ({"judges": 2, "images_each": 5}, "images_each"),
        ({"strata": "moon"}, "strata"),
        ({"probe_percent": 101}, "probe_percent"),
        ({"check_percent": 51}, "check_percent"),
    ],
)
def test_designs_that_make_no_sense(studio: Studio, values: dict[str, object], field: str) -> None:
    studio.annotate((0, "positive"))
    with pytest.raises(Invalid) as refused:
        studio.audit(**values)
    assert refused.value.field == field


# Attention checks ----------------------------------------------------------------------------


def test_attention_checks_count_in_no_figure(
    browser: TestClient, db: Session, studio: Studio, sign_in: SignIn
) -> None:
    for _ in range(40):
        studio.annotate((0, "positive"), (1, "negative"), (2, "positive"))
    audit = studio.audit(check_percent=50)
    checks = db.scalars(select(AuditItem).where(AuditItem.kind == "check")).all()
    assert 10 <= len(checks) <= 30
    (careful, token), (careless, _) = studio.seats(audit, 2)
    wanted = {each.id: each.expected for each in checks}
    for participant in (careful, careless):
        for item in judging.find_items(db, participant, audit, limit=200):
            said = wanted.get(item.id) if participant is careful else None
            judging.judge(db, participant, item.id, said or "appears")
    db.commit()
    assert results(db, audit).overall.score.judgements == 2 * 120
    assert get_facts(db, audit).checks == len(checks)
    rows = inviting.find_participants(db, audit)
    assert (rows[0].checks_passed, rows[0].checks) == (len(checks), len(checks))
    assert rows[1].checks_passed == sum(each == "appears" for each in wanted.values())
    asked = [item for item in judging.find_items(db, careful, audit, limit=200) if not item.root]
    assert {item.id for item in asked} == set(wanted)
    assert "whatever you see" in asked[0].definition
    page = browser.get(f"/audit/{token}/look/{asked[0].image_position}").text
    assert "Are you reading this?" in page
    listed = sign_in(browser, studio.cast.lea).get(f"{ROOM}/{audit.id}").text
    assert f"{len(checks)} of {len(checks)}" in listed


# What is missing -----------------------------------------------------------------------------


def test_participants_name_what_is_missing(
    browser: TestClient, db: Session, studio: Studio, sign_in: SignIn
) -> None:
    for _ in range(2):
        studio.annotate((0, "positive"), (1, "negative"))
    audit = studio.audit(probe_percent=100)
    [(first, token), (second, _)] = studio.seats(audit, 2)
    for participant in (first, second):
        judge_all(db, audit, participant)
    db.commit()
    look = f"/audit/{token}/look/1"
    page = browser.get(look).text
    assert "What else do you see?" in page
    assert '<option value="Poor thing 3">' in page
    wrong = browser.post(f"{look}/missing", data={"attribute": "fine thing 0"})
    assert "among the questions of this image" in wrong.text
    assert "No attribute is called" in browser.post(f"{look}/missing", data={"attribute": "x"}).text
    assert db.scalar(select(AuditProbe.participant_id)) is None
    added = browser.post(f"{look}/missing", data={"attribute": " poor  THING 3"})
    assert added.headers["location"] == f"{look}#missing"
    browser.post(f"{look}/missing", data={"attribute": "Fine thing 2"})
    browser.post(f"{look}/not-missing", data={"key": "pair-of-2", "polarity": "positive"})
    browser.post(f"/audit/{token}/look/2/nothing-missing")
    assert "Poor thing 3" in browser.get(look).text
    assert "nothing is missing" in browser.get(f"/audit/{token}/look/2").text
    db.rollback()
    # One named, and four labels confirmed where it was asked; the other participant was not heard.
    overall, *roots = probing.find_missed(db, audit)
    assert (overall.missing, overall.confirmed, overall.share) == (1, 4, 1 / 5)
    assert {row.key: row.missing for row in roots} == {LIGHT: 0, "color": 1}
    shown = sign_in(browser, studio.cast.lea).get(f"{ROOM}/{audit.id}").text
    assert "What the agent missed" in shown
    judging.withdraw(db, first)
    assert db.scalar(select(AuditProbe.participant_id)) is None
    assert db.scalar(select(Judgement.participant_id)) == second.id


def test_nothing_is_asked_where_there_is_no_probe(
    browser: TestClient, studio: Studio, db: Session
) -> None:
    studio.annotate((0, "positive"))
    audit = studio.audit()
    [(_, token)] = studio.seats(audit, 1)
    assert "What else do you see?" not in browser.get(f"/audit/{token}/look/1").text
    answer = browser.post(f"/audit/{token}/look/1/missing", data={"attribute": "Fine thing 2"})
    assert answer.status_code == 404
    assert probing.find_missed(db, audit) == []


# Examples ------------------------------------------------------------------------------------


def test_examples_stand_beside_the_question(
    browser: TestClient, db: Session, studio: Studio
) -> None:
    asked = studio.annotate((0, "positive"))
    shown, other = (studio.make.image(studio.cast.project) for _ in range(2))
    for image in (shown, asked):
        choose_example(
            db, studio.cast.project, "pair-of-0", polarity="positive", image_id=image.id,
            by=studio.cast.ada,
        )  # fmt: skip
    audit = studio.audit(sample_size=1)
    [(_, token)] = studio.seats(audit, 1)
    page = browser.get(f"/audit/{token}/look/1").text
    assert f"/audit/{token}/examples/{shown.id}" in page
    # What is judged is no example of what is asked: that would tell what people see there.
    assert f"/audit/{token}/examples/{asked.id}" not in page
    for image_id in (asked.id, other.id, 9_999):
        assert browser.get(f"/audit/{token}/examples/{image_id}").status_code == 404


# Planning ------------------------------------------------------------------------------------


def test_the_width_of_independent_answers_is_the_usual_one() -> None:
    plain = Design(0.9, 10, 1_000_000, 1, between_images=0, between_people=0)
    assert plain.design_effect(10) == pytest.approx(1)
    assert plain.half_width(10) == pytest.approx(1.96 * math.sqrt(0.09 / 100), rel=1e-3)
    assert plain.images_for(0.03) == 39  # 385 labels give ± 3 points around 90 percent


def test_no_number_of_images_makes_up_for_few_participants() -> None:
    few = Design(0.85, 10, 3, 3)
    assert few.images_for(0.03) is None
    many = Design(0.85, 10, 40, 3)
    images = many.images_for(0.03)
    assert images is not None
    assert many.half_width(images) <= 0.03 < many.half_width(images - 1)
    assert many.design_effect(images) > 1


def test_shares_of_the_variance_come_from_the_answers() -> None:
    # All of it lies between images, then all of it between participants.
    of_images = answers(*((image, "yyyy" if image % 2 else "nnnn") for image in range(40)))
    images, people = between(of_images) or (0.0, 0.0)
    assert (images, people) == (0.5, 0.0)
    of_people = answers(*((image, "yynn") for image in range(40)))
    images, people = between(of_people) or (0.0, 0.0)
    assert images == pytest.approx(0, abs=0.01)
    assert people == 0.4
    assert between(answers((1, "yyn"))) is None
