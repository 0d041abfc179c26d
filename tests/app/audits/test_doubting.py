"""What follows from audits: labels decided again, attributes under the bar, two audits compared, who vouches."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.audits import comparing, doubting, judging
from app.audits.inviting import close_audit
from app.audits.models import Audit
from app.audits.vouching import find_vouching
from app.datasets.freezing import freeze_dataset, survey_dataset
from app.datasets.selecting import Choice
from app.errors import Invalid
from app.images.models import Image
from app.labels.finishing import set_done
from app.labels.models import Label, LabelEvent
from app.labels.undoing import undo
from taxonomy.tree import Side
from tests.app.audits.conftest import Studio

SignIn = Callable[[TestClient, Person], TestClient]
ROOM = "/projects/paintings/audits"


def judged(studio: Studio, audit: Audit, *answers: str) -> Audit:
    """The audit closed, after as many participants as answers said the same of everything: y, n or u, by item."""
    said = {"y": "appears", "n": "does_not_appear", "u": "cannot_tell"}
    for (participant, _), own in zip(studio.seats(audit, len(answers)), answers, strict=True):
        items = sorted(judging.find_items(studio.db, participant, audit), key=lambda each: each.id)
        for number, item in enumerate(items):
            judging.judge(studio.db, participant, item.id, said[own[number % len(own)]])
    close_audit(studio.db, audit)
    studio.db.commit()
    return audit


def test_refuted_labels_are_decided_again(
    browser: TestClient, db: Session, studio: Studio, sign_in: SignIn
) -> None:
    image = studio.annotate((0, "positive"), (1, "positive"), (2, "positive"), (3, "negative"))
    studio.decide(image, 0, "positive", "confirmed")
    studio.decide(image, 1, "positive", "confirmed")
    studio.decide(image, 2, "positive", "rejected")
    set_done(db, studio.cast.project, image.id, done=True, by=studio.cast.ben)
    # Most refute all but the second, whether people confirmed it or not.
    audit = judged(studio, studio.audit(), "nynn", "nynn", "yynn")
    before = image.label_revision
    sign_in(browser, studio.cast.lea)
    shown = browser.get(f"{ROOM}/{audit.id}").text
    assert "Have them decided again" in shown
    page = browser.post(f"{ROOM}/{audit.id}/refuted-again").text
    assert "1 label waits again to be decided; 1 label waits already" in page.replace(
        " confirmed", ""
    )
    assert "1 image is open again" in page
    db.rollback()
    db.refresh(image)
    states = dict(db.execute(select(Label.node_id, Label.state)).all())
    assert [states[pair.id] for pair in studio.pairs] == [
        *("proposed", "confirmed", "rejected", "proposed"),
    ]
    assert image.done_at is None
    assert image.came_back_at is not None
    events = db.scalars(select(LabelEvent).order_by(LabelEvent.id.desc()).limit(2)).all()
    assert [(each.kind, each.before, each.after) for each in events] == [
        ("reopen", "done", None),
        ("reopen", "confirmed", "proposed"),
    ]
    assert [each.image_revision for each in events] == [before + 2, before + 1]
    assert image.label_revision == before + 2
    # Again nothing is left to do; and it can be undone where it happened.
    assert "0 confirmed labels wait" in browser.post(f"{ROOM}/{audit.id}/refuted-again").text
    db.rollback()
    undo(db, studio.cast.project, image.id, by=studio.cast.lea, event_id=events[1].id)
    label = select(Label.state).where(Label.node_id == studio.pairs[0].id)
    assert db.scalar(label) == "confirmed"
    sign_in(browser, studio.cast.ben)
    assert browser.post(f"{ROOM}/{audit.id}/refuted-again").status_code == 403


def test_attributes_under_the_bar(
    browser: TestClient, db: Session, studio: Studio, sign_in: SignIn
) -> None:
    for _ in range(5):
        image = studio.annotate((0, "positive"), (2, "negative"))
        studio.decide(image, 0, "positive", "confirmed")
        studio.decide(image, 2, "negative", "confirmed")
    judged(studio, studio.audit(), "yn", "yn", "yy")
    project = studio.cast.project
    weak = Side("pair-of-2", "negative")
    assert [each.side for each in doubting.find_under(db, project, 0.5)] == [weak]
    sign_in(browser, studio.cast.lea)
    page = browser.get(f"{ROOM}/attributes").text
    assert page.count("under the bar</span>") == 1
    usage = f"/projects/paintings/criteria/nodes/{weak.key}/usage"
    assert "under the bar" in browser.get(usage).text
    # A lower bar flags none; who only annotates does not set it.
    assert browser.post(f"{ROOM}/attributes", data={"bar": "101"}).status_code == 422
    assert browser.post(f"{ROOM}/attributes", data={"bar": "20"}).status_code == 303
    assert "under the bar</span>" not in browser.get(f"{ROOM}/attributes").text
    assert "under the bar" not in browser.get(usage).text
    # A dataset leaves it out by rule, and names it.
    found = survey_dataset(db, project, Choice(only_done=False, least_accuracy=0.5))
    assert found.counts["labels_under_the_bar"] == 5
    assert {each for example in found.examples for each in example.positive} == {
        Side("pair-of-0", "positive")
    }
    assert not any(example.negative for example in found.examples)
    dataset = freeze_dataset(
        db, project, name="Sure", by=None, choice=Choice(only_done=False, least_accuracy=0.5)
    )
    assert dataset.options["without"] == ["pair-of-2/negative"]
    assert Choice.of(dataset.options).without == (weak,)
    # Or its labels are decided again, all with one action.
    body = {"key": weak.key, "polarity": weak.polarity}
    page = browser.post(f"{ROOM}/attributes/again", data=body).text
    assert "5 confirmed labels wait again" in page
    db.rollback()
    left = select(Label.state).where(Label.node_id == studio.pairs[2].id)
    assert set(db.scalars(left)) == {"proposed"}


def test_few_answers_flag_nothing(db: Session, studio: Studio) -> None:
    studio.annotate((0, "positive"))
    judged(studio, studio.audit(), "n", "n")
    assert doubting.find_standings(db, studio.cast.project) == []


def test_two_audits_of_the_same_images(
    browser: TestClient, db: Session, studio: Studio, sign_in: SignIn
) -> None:
    for _ in range(30):
        studio.annotate((0, "positive"), (2, "positive"))
    first = judged(studio, studio.audit(), "yynnyynynn", "yynnnynnnn", "ynnnyynynn")
    second = judged(studio, studio.audit(), "yyynyyyyyn", "yyyyyyynyy", "yynyyyyyyy")
    found = comparing.compare(db, first, second)
    assert found.images == 30
    assert found.overall.by is not None
    assert found.overall.by == pytest.approx(
        (found.overall.second.accuracy or 0) - (found.overall.first.accuracy or 0)
    )
    low, high = found.overall.interval or (0, 0)
    assert 0 < low < found.overall.by < high
    assert found.overall.p is not None
    assert found.overall.p < 0.05
    assert [row.name for row in found.dimensions] == ["Light and Shadow", "Color Relationship"]
    assert found.same_labels.labels == 60
    assert found.same_labels.only_first == 0
    assert found.same_labels.p is not None
    assert found.same_labels.p < 0.001
    same = comparing.compare(db, first, first)
    assert (same.overall.by, same.same_labels.only_first, same.same_labels.p) == (0.0, 0, None)
    sign_in(browser, studio.cast.ben)
    assert f"/compare/{second.id}" in browser.get(f"{ROOM}/{first.id}").text
    page = browser.get(f"{ROOM}/{first.id}/compare/{second.id}").text
    assert "each image is compared with itself" in page
    studio.images.clear()
    studio.annotate((1, "positive"))
    third = studio.audit(sample_size=1, min_labels=1, seed=2)
    if not set(drawn_images(db, third)) & set(drawn_images(db, first)):
        with pytest.raises(Invalid, match="no image in common"):
            comparing.compare(db, first, third)


def drawn_images(db: Session, audit: Audit) -> list[int]:
    return comparing._images_of(db, audit)


def test_the_sign_test_is_scipys() -> None:
    from scipy import stats

    for fewer, more in ((0, 5), (3, 9), (7, 7), (12, 2), (40, 70)):
        theirs = stats.binomtest(fewer, fewer + more).pvalue
        assert comparing.exact_sign_test(fewer, more) == pytest.approx(theirs, abs=1e-9)
    assert comparing.exact_sign_test(0, 0) is None


def test_a_dataset_shows_the_audit_that_vouches_for_it(
    browser: TestClient, db: Session, studio: Studio, sign_in: SignIn
) -> None:
    image = studio.annotate((0, "positive"), (1, "positive"))
    studio.decide(image, 0, "positive", "confirmed")
    project = studio.cast.project
    dataset = freeze_dataset(db, project, name="One", by=None, choice=Choice(only_done=False))
    dataset.manifest_sha256, dataset.folder, dataset.counts = "a" * 64, "x", COUNTS
    db.commit()
    here = f"/projects/paintings/datasets/{dataset.id}"
    sign_in(browser, studio.cast.ben)
    assert "No closed audit speaks for these labels." in browser.get(here).text
    audit = judged(studio, studio.audit(), "yn")
    found = find_vouching(db, project, dataset.version_id)
    assert found is not None
    assert (found.audit.id, found.is_same_version) == (audit.id, True)
    assert "50 % of the agent" in browser.get(here).text
    assert db.scalar(select(Image.id)) == image.id


COUNTS = dict.fromkeys(
    (
        *("images", "train", "validation", "test", "positive_labels", "negative_labels"),
        *("undecided_labels", "without_negative", "without_prompt", "unfinished"),
    ),
    1,
)
