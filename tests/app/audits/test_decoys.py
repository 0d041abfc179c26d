"""Decoys: what is drawn, that nobody can tell them from labels, and that they recover how readily people say yes."""

import random
from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.audits import inviting, judging
from app.audits.by_attribute import count_verdicts
from app.audits.decoys import draw_decoys
from app.audits.models import Audit, AuditItem
from app.audits.results import find_audits, get_facts, results
from app.audits.scoring import Answers, score
from app.audits.verdicts import iterate_verdicts
from app.errors import Invalid
from app.images.removing import erase_image
from tests.app.audits.conftest import Studio
from tests.app.audits.test_scoring import answers

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
ROOM = "/projects/paintings/audits"
KINDS = [[(0, "positive"), (1, "negative")], [(2, "negative"), (3, "positive")]]


def items(db: Session, audit: Audit, kind: str) -> list[tuple[int, int, str]]:
    rows = db.execute(
        select(AuditItem.image_id, AuditItem.node_id, AuditItem.polarity)
        .where(AuditItem.audit_id == audit.id, AuditItem.kind == kind)
        .order_by(AuditItem.id)
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]


@pytest.fixture
def audit(studio: Studio) -> Audit:
    for number in range(6):
        studio.annotate(*KINDS[number % 2])
    return studio.audit(decoy_percent=33)


# Drawing -------------------------------------------------------------------------------------


def test_decoys_are_attributes_of_other_images(db: Session, studio: Studio, audit: Audit) -> None:
    labels, decoys = items(db, audit, "label"), items(db, audit, "decoy")
    assert (len(labels), len(decoys)) == (12, 6)
    attributes = {each[1:] for each in labels}
    for image_id, *attribute in decoys:
        assert (image_id, *attribute) not in labels
        assert tuple(attribute) in attributes
    # In one order with the labels, so that a place tells nothing.
    placed = select(AuditItem.image_position, AuditItem.node_id).order_by(AuditItem.id)
    found = db.execute(placed).all()
    assert found == sorted(found)
    facts = get_facts(db, audit)
    assert (facts.items, facts.decoys, facts.questions) == (12, 6, 18)
    assert find_audits(db, studio.cast.project)[0].items == 12


def test_the_same_seed_draws_the_same_decoys(db: Session, studio: Studio, audit: Audit) -> None:
    again = studio.audit(decoy_percent=33)
    assert items(db, again, "decoy") == items(db, audit, "decoy")
    other = studio.audit(decoy_percent=33, seed=2)
    assert items(db, other, "decoy") != items(db, audit, "decoy")
    assert items(db, studio.audit(), "decoy") == []


def test_what_somebody_holds_to_be_there_is_no_decoy(db: Session, studio: Studio) -> None:
    first, second = (studio.annotate(*kind) for kind in KINDS)
    # Another agent says the same of the first image: one of it a person has refuted.
    other = studio.make.agent_run(studio.cast.project, studio.version)
    studio.annotate(*KINDS[1], run=other, image=first)
    studio.decide(first, 3, "positive", "rejected")
    db.commit()
    audit = studio.audit(decoy_percent=50, agent_run=studio.run.id, sample_size=2)
    drawn = {each[1:] for each in items(db, audit, "decoy") if each[0] == first.id}
    assert drawn == {(studio.pairs[3].id, "positive")}
    assert {each[1:] for each in items(db, audit, "decoy") if each[0] == second.id} == {
        (studio.pairs[0].id, "positive"),
        (studio.pairs[1].id, "negative"),
    }


@pytest.mark.parametrize("percent", [-1, 51])
def test_at_most_half_are_decoys(studio: Studio, percent: int) -> None:
    studio.annotate(*KINDS[0])
    with pytest.raises(Invalid) as refused:
        studio.audit(decoy_percent=percent)
    assert refused.value.field == "decoy_percent"


def test_decoys_come_as_often_as_labels_do() -> None:
    names = {(node, "positive"): f"pair-{node}:positive" for node in range(3)}
    # Of 4,000 images 3,000 have the first attribute, 600 the second; the third is nowhere.
    given = {
        image: {(0, "positive")} if image < 3000 else {(1, "positive")} if image < 3600 else set()
        for image in range(4000)
    }
    shown = [(image, f"file-{image}") for image in range(4000)]
    drawn = list(
        draw_decoys(
            seed=1, percent=20, images=shown, given=given, held={}, not_applicable={}, names=names
        )
    )
    assert len(drawn) == 900
    assert all(attribute not in given[image] for image, attribute in drawn)
    # Both can be drawn only for the last 400: there the first comes 5 times as often.
    last = list(
        draw_decoys(
            seed=1,
            percent=50,
            images=shown,
            given=given | {image: {(2, "positive")} for image in range(3600, 4000)},
            held={image: set(names) for image in range(3600)},
            not_applicable={},
            names=names,
        )
    )
    assert {image for image, _ in last} == set(range(3600, 4000))
    single = [
        next(
            draw_decoys(
                seed=seed,
                percent=50,
                images=[(9, "x"), (1, "a")],
                given={9: {(2, "positive")}, 1: {(0, "positive")}}
                | {image: {(0, "positive")} for image in range(10, 14)}
                | {20: {(1, "positive")}},
                held={},
                not_applicable={},
                names=names,
            )
        )[1]
        for seed in range(2000)
    ]
    assert 0.80 < single.count((0, "positive")) / len(single) < 0.86


# Nobody can tell -----------------------------------------------------------------------------


def test_participants_cannot_tell_a_decoy(
    browser: TestClient, api: TestClient, db: Session, studio: Studio, audit: Audit
) -> None:
    [(participant, token)] = studio.seats(audit, 1)
    assert judging.get_progress(db, participant).items == 18
    found = api.get(f"/api/v1/audit/{token}/items").json()["items"]
    assert len(found) == 18
    assert len({frozenset(each) for each in found}) == 1
    for text in (
        browser.get(f"/audit/{token}/look/1").text,
        api.get(f"/api/v1/audit/{token}/items").text,
        api.get(f"/api/v1/audit/{token}").text,
    ):
        assert "decoy" not in text.lower()
        assert "kind" not in text.lower()


# Figures -------------------------------------------------------------------------------------


def test_decoys_are_never_counted_as_labels(
    browser: TestClient, db: Session, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    [(participant, _)] = studio.seats(audit, 1)
    decoys = set(items(db, audit, "decoy"))
    rows = db.scalars(select(AuditItem).order_by(AuditItem.id)).all()
    asked = {each.id: (each.image_id, each.node_id, each.polarity) in decoys for each in rows}
    said_yes = False
    for item_id, is_decoy in asked.items():
        # Yes to every label, and to one decoy of six.
        answer = "does_not_appear" if is_decoy and said_yes else "appears"
        said_yes = said_yes or is_decoy
        judging.judge(db, participant, item_id, answer)
    judging.finish(db, participant)
    db.commit()
    found = results(db, audit)
    assert (found.overall.sampled, found.overall.score.items) == (12, 12)
    assert found.overall.score.judgements == 12
    assert found.overall.score.accuracy == 1.0
    assert found.overall.score.yes_to_decoys == 1 / 6
    assert sum(row.score.decoys_decided for row in found.dimensions) == 6
    assert find_audits(db, studio.cast.project)[0].accuracy == 1.0
    by_attribute = count_verdicts(db, studio.cast.project).values()
    assert [sum(column) for column in zip(*by_attribute, strict=True)] == [12, 12]
    kinds = [each.kind for each in iterate_verdicts(db, audit)]
    assert (kinds.count("label"), kinds.count("decoy")) == (12, 6)
    page = sign_in(browser, studio.cast.lea).get(f"{ROOM}/{audit.id}").text
    assert "18 of 18" in page
    assert "Yes to decoys (%)" in page
    assert '17 <span class="muted">of 6</span>' in page


def test_an_audit_without_decoys_says_what_it_does_not_know(
    browser: TestClient, studio: Studio, sign_in: SignIn
) -> None:
    studio.annotate(*KINDS[0])
    audit = studio.audit()
    page = sign_in(browser, studio.cast.lea).get(f"{ROOM}/{audit.id}").text
    assert "Yes to decoys (%)" not in page
    assert "how readily they say yes is not known" in page


def test_decoys_by_form_and_by_json(
    browser: TestClient,
    api: TestClient,
    studio: Studio,
    audit: Audit,
    sign_in: SignIn,
    token_for: TokenFor,
) -> None:
    asked = {"name": "A", "agent_run": "", "min_labels": 1, "sample_size": 6, "seed": 1}
    sign_in(browser, studio.cast.lea)
    assert 'name="decoy_percent"' in browser.get(f"{ROOM}/new").text
    refused = browser.post(ROOM, data=asked | {"notice": "x", "decoy_percent": 60})
    assert refused.status_code == 422
    assert "Decoys are 0 to 50 percent of the questions." in refused.text
    made = browser.post(ROOM, data=asked | {"notice": "x", "decoy_percent": 33})
    assert "33 % of the questions" in browser.get(made.headers["location"]).text
    lead = token_for(studio.cast.lea)
    body = {"name": "B", "sample_size": 6, "seed": 1}
    plain = api.post(f"/api/v1{ROOM}", headers=lead, json=body).json()
    assert (plain["items"], plain["decoys"], plain["decoy_percent"]) == (12, 0, 0)
    mixed = api.post(f"/api/v1{ROOM}", headers=lead, json=body | {"decoy_percent": 50}).json()
    assert (mixed["items"], mixed["decoys"], mixed["decoy_percent"]) == (12, 12, 50)
    found = api.get(f"/api/v1{ROOM}/{mixed['id']}/results", headers=lead).json()["overall"]
    assert (found["decoys_decided"], found["corrected_accuracy"]) == (0, None)


def test_an_erased_image_is_asked_no_more(db: Session, studio: Studio, audit: Audit) -> None:
    [(participant, _)] = studio.seats(audit, 1)
    erase_image(
        db, studio.cast.project, studio.images[0].id, reason="asked for", by=studio.cast.lea
    )
    db.commit()
    while found := judging.next_item(db, participant):
        judging.judge(db, participant, found[1], "appears")
    assert judging.get_progress(db, participant).left == 0
    judging.finish(db, participant)
    assert inviting.find_participants(db, audit)[0].state == "finished"


# Scores by hand, and a simulation ------------------------------------------------------------


def tally(yes: int, no: int, *, unsure: int = 0, image: int = 1) -> tuple[int, str]:
    return image, "y" * yes + "n" * no + "u" * unsure


def test_corrected_by_hand() -> None:
    found = score(answers(tally(8, 2), decoys=(tally(2, 3, unsure=4),)))
    assert (found.accuracy, found.yes_to_decoys) == (0.8, 0.4)
    assert found.corrected == pytest.approx((0.8 - 0.4) / 0.6)
    assert (found.items, found.judgements, found.cannot_tell) == (1, 10, 0)
    assert found.corrected_words == "67"
    assert found.corrected_interval is None  # one image has no spread


@pytest.mark.parametrize(
    ("labels", "decoys", "corrected"),
    [
        ([tally(8, 2)], [], None),
        ([tally(8, 2)], [tally(0, 0, unsure=3)], None),
        ([], [tally(1, 1)], None),
        ([tally(8, 2)], [tally(5, 0)], None),
        ([tally(1, 9)], [tally(5, 5)], 0.0),
        ([tally(8, 2)], [tally(0, 5)], 0.8),
    ],
)
def test_corrected_where_there_is_little(
    labels: list[tuple[int, str]], decoys: list[tuple[int, str]], corrected: float | None
) -> None:
    assert score(answers(*labels, decoys=tuple(decoys))).corrected == corrected


def test_without_decoys_nothing_changes() -> None:
    labels = [tally(number % 7, number % 3, image=number) for number in range(40)]
    decoys = tuple(tally(number % 2, 1, image=number) for number in range(40))
    alone, beside = score(answers(*labels)), score(answers(*labels, decoys=decoys))
    for name in ("accuracy", "interval", "majority_accuracy", "agreement", "judgements", "images"):
        assert getattr(alone, name) == getattr(beside, name)


def _simulate(chance: random.Random, truth: float, bias: float) -> Answers:
    """60 images with 12 labels and 4 decoys each; of 3 participants each says yes anyway with `bias`."""

    def said(holds: bool) -> str:
        return "".join("y" if holds or chance.random() < bias else "n" for _ in range(3))

    labels = [(image, said(chance.random() < truth)) for image in range(60) for _ in range(12)]
    decoys = tuple((image, said(holds=False)) for image in range(60) for _ in range(4))
    return answers(*labels, decoys=decoys)


@pytest.mark.parametrize(("truth", "bias"), [(0.7, 0.54), (0.9, 0.2), (0.5, 0.0)])
def test_decoys_recover_how_readily_people_say_yes(truth: float, bias: float) -> None:
    """How often the intervals hold the truth is measured by `bench/audit_coverage.py`."""
    chance = random.Random(4)
    found = [score(_simulate(chance, truth, bias)) for _ in range(30)]
    mean = sum(each.corrected or 0 for each in found) / len(found)
    plain = sum(each.accuracy or 0 for each in found) / len(found)
    assert mean == pytest.approx(truth, abs=0.02)
    assert plain == pytest.approx(truth + (1 - truth) * bias, abs=0.02)
