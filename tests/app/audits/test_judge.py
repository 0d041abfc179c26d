"""What a participant may do, and what the answers come to."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import database
from app.audits import inviting, judging
from app.audits.models import Audit, AuditItem, Judgement
from app.audits.ordering import image_order
from app.audits.results import get_facts, results
from app.audits.verdicts import iterate_verdicts
from app.errors import Conflict, Invalid, NotFound, Stale
from app.participants.access import get_participant
from app.participants.models import Participant
from tests.app.audits.conftest import Studio

TWO = [(0, "positive"), (2, "negative")]


def answer_all(db: Session, participant: Participant, studio: Studio, answers: str) -> None:
    """Answers in the order of the sample, whatever the participant's own is."""
    words = {"y": "appears", "n": "does_not_appear", "u": "cannot_tell"}
    audit = studio.db.get_one(Audit, participant.audit_id)
    items = sorted(judging.find_items(db, participant, audit), key=lambda item: item.id)
    for item, letter in zip(items, answers, strict=False):
        judging.judge(db, participant, item.id, words[letter])
    db.commit()


def test_resumes_at_the_first_unanswered_item(db: Session, studio: Studio) -> None:
    for _ in range(3):
        studio.annotate(*TWO)
    audit = studio.audit()
    [(participant, token)] = studio.seats(audit, 1)
    items = judging.find_items(db, participant, audit)
    assert judging.next_item(db, participant) == (1, items[0].id)
    for item in items[:3]:
        judging.judge(db, participant, item.id, "appears")
    db.commit()
    again = get_participant(db, token, of="audit")
    assert judging.next_item(db, again) == (2, items[3].id)
    assert judging.get_progress(db, again).left == 3
    assert judging.find_unfinished_images(db, again) == [(2, 1), (3, 2)]
    answer_all(db, participant, studio, "yyyyyy")
    assert judging.next_image(db, again) is None


def test_each_sees_the_images_in_an_order_of_their_own(db: Session, studio: Studio) -> None:
    for _ in range(8):
        studio.annotate(*TWO)
    audit = studio.audit()
    seats = studio.seats(audit, 4)
    seen = []
    for participant, token in seats:
        items = judging.find_items(db, participant, audit)
        assert [each.image_position for each in items] == [
            place for place in range(1, 9) for _ in TWO
        ]
        shown = [
            judging.get_image_to_judge(db, participant, audit, place).id for place in range(1, 9)
        ]
        assert shown == [each.image_id for each in items[::2]]
        assert [judging.get_image_id(db, participant, audit, place) for place in (1, 8, 9)] == [
            shown[0],
            shown[7],
            None,
        ]
        # The same order again, a page at a time, and from a link opened anew.
        again = get_participant(db, token, of="audit")
        paged: list[judging.Item] = []
        while page := judging.find_items(
            db, again, audit, after=paged[-1].id if paged else 0, limit=3
        ):
            paged += page
        assert paged == items
        assert judging.item_after(db, participant, items[2].id) == (2, items[3].id)
        assert judging.item_after(db, participant, items[3].id) == (2, items[3].id)
        seen.append(shown)
    assert all(sorted(each) == sorted(seen[0]) for each in seen)
    assert len({tuple(each) for each in seen}) == 4
    for place in (0, 9, -1):
        with pytest.raises(NotFound):
            judging.get_image_to_judge(db, seats[0][0], audit, place)
    with pytest.raises(NotFound):
        judging.find_items(db, seats[0][0], audit, after=2**40)


def test_every_place_falls_on_every_image(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    audit.sample_size = 5
    orders = [image_order(db, audit, Participant(number=number)) for number in range(1, 501)]
    for place in range(5):
        for position in range(1, 6):
            # 100 each if all are as likely; four standard deviations are 36.
            assert abs(sum(order[place] == position for order in orders) - 100) <= 36
    db.rollback()


def test_a_change_of_mind_counts_up_and_a_repeat_does_not(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    [(participant, _)] = studio.seats(audit, 1)
    item = judging.find_items(db, participant, audit)[0]
    for answer, revision in [
        ("appears", 1),
        ("appears", 1),
        ("cannot_tell", 2),
        ("appears", 3),
    ]:
        judged = judging.judge(db, participant, item.id, answer)
        assert (judged.answer, judged.revision, judged.progress.answered) == (answer, revision, 1)


def test_an_answer_that_arrives_late_does_not_overwrite(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    [(participant, _)] = studio.seats(audit, 1)
    item = judging.find_items(db, participant, audit)[0]
    judging.judge(db, participant, item.id, "appears", based_on=0)
    judging.judge(db, participant, item.id, "cannot_tell", based_on=1)
    with pytest.raises(Stale) as late:
        judging.judge(db, participant, item.id, "does_not_appear", based_on=0)
    assert late.value.details == {"answer": "cannot_tell", "revision": 2}
    # The same answer sent again is no conflict.
    assert judging.judge(db, participant, item.id, "cannot_tell", based_on=1).revision == 2


def test_refuses(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit, other = studio.audit(), studio.audit()
    [(participant, _)] = studio.seats(audit, 1)
    [(stranger, _)] = studio.seats(other, 1)
    item = judging.find_items(db, participant, audit)[0]
    with pytest.raises(NotFound):
        judging.judge(db, stranger, item.id, "appears")
    with pytest.raises(Invalid):
        judging.judge(db, participant, item.id, "maybe")
    with pytest.raises(Conflict, match="2 of the questions"):
        judging.finish(db, participant)
    assert db.scalar(select(Judgement.answer)) is None


def test_nothing_before_consent_and_nothing_after_finishing(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    [(_, token)] = inviting.invite_participants(db, audit, 1)
    participant = get_participant(db, token, of="audit")
    item = db.scalars(select(AuditItem.id)).first()
    assert item is not None
    with pytest.raises(Conflict, match="read the notice"):
        judging.judge(db, participant, item, "appears")
    judging.consent(db, participant)
    answer_all(db, participant, studio, "yn")
    judging.finish(db, participant)
    judging.finish(db, participant)
    with pytest.raises(Conflict, match="finished"):
        judging.judge(db, participant, item, "cannot_tell")


def test_a_closed_audit_takes_nothing(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    [(participant, _)] = studio.seats(audit, 1)
    answer_all(db, participant, studio, "y")
    inviting.close_audit(db, audit)
    db.commit()
    item = judging.find_items(db, participant, audit)[1]
    for act in (
        lambda: judging.judge(db, participant, item.id, "appears"),
        lambda: judging.finish(db, participant),
        lambda: judging.consent(db, participant),
        lambda: inviting.invite_participants(db, audit, 1),
    ):
        with pytest.raises(Conflict, match="closed"):
            act()
    assert results(db, audit).overall.score.judgements == 1


def test_revoking_ends_the_link_and_leaves_the_answers_out(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    (first, _), (second, token) = studio.seats(audit, 2)
    answer_all(db, first, studio, "yy")
    answer_all(db, second, studio, "nn")
    assert results(db, audit).overall.score.accuracy == 0.5
    inviting.revoke_participant(db, audit, second.number)
    inviting.revoke_participant(db, audit, second.number)
    db.commit()
    with pytest.raises(NotFound):
        get_participant(db, token, of="audit")
    # Also where the participant was loaded before the link was revoked.
    with pytest.raises(NotFound):
        judging.judge(db, second, judging.find_items(db, first, audit)[0].id, "appears")
    assert results(db, audit).overall.score.accuracy == 1.0
    assert get_facts(db, audit).people.revoked == 1
    assert {each.participant for each in iterate_verdicts(db, audit)} == {first.code}
    with pytest.raises(NotFound):
        inviting.revoke_participant(db, audit, 3)


def test_who_withdraws_takes_their_answers_along(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    (first, _), (second, token) = studio.seats(audit, 2)
    answer_all(db, first, studio, "yy")
    answer_all(db, second, studio, "nn")
    judging.finish(db, second)
    # At any time: after finishing, and where the audit is closed.
    inviting.close_audit(db, audit)
    judging.withdraw(db, second)
    judging.withdraw(db, second)
    db.commit()
    kept = db.scalars(select(Judgement.participant_id)).all()
    assert kept == [first.id, first.id]
    found = results(db, audit).overall.score
    assert (found.accuracy, found.judgements) == (1.0, 2)
    people = get_facts(db, audit).people
    assert (people.judging, people.finished, people.withdrawn, people.counted) == (1, 0, 1, 1)
    assert {each.participant for each in iterate_verdicts(db, audit)} == {first.code}
    assert get_participant(db, token, of="audit").withdrawn_at is not None


def test_no_answer_comes_after_withdrawing(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    [(participant, _)] = studio.seats(audit, 1)
    item = judging.find_items(db, participant, audit)[0]
    judging.withdraw(db, participant)
    # An answer that was under way waits for the withdrawal, and is refused by it.
    with Session(database.engine()) as other:
        other.connection().exec_driver_sql("SET lock_timeout = '200ms'")
        with pytest.raises(Exception, match="lock timeout"):
            judging.judge(other, other.get_one(Participant, participant.id), item.id, "appears")
    db.commit()
    for act in (
        lambda: judging.judge(db, participant, item.id, "appears"),
        lambda: judging.consent(db, participant),
        lambda: judging.finish(db, participant),
    ):
        with pytest.raises(Conflict, match="withdrawn"):
            act()
    assert db.scalar(select(Judgement.answer)) is None


def test_numbers_go_on_and_tokens_are_not_stored(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    made = inviting.invite_participants(db, audit, 2) + inviting.invite_participants(db, audit, 1)
    assert [number for number, _ in made] == [1, 2, 3]
    assert len({token for _, token in made}) == 3
    stored = [each.token_hash for each in db.scalars(select(Participant))]
    assert not any(token.encode() in hashed for _, token in made for hashed in stored)
    for count in (0, 51):
        with pytest.raises(Invalid):
            inviting.invite_participants(db, audit, count)


def test_two_leads_invite_at_once(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    inviting.invite_participants(db, audit, 1)
    with Session(database.engine()) as other:
        other.connection().exec_driver_sql("SET lock_timeout = '200ms'")
        same = other.get_one(Audit, audit.id)
        with pytest.raises(Exception, match="lock timeout"):
            inviting.invite_participants(other, same, 1)
    db.commit()
    with Session(database.engine()) as other:
        same = other.get_one(Audit, audit.id)
        assert [number for number, _ in inviting.invite_participants(other, same, 1)] == [2]


def test_results_by_dimension_polarity_and_overall(db: Session, studio: Studio) -> None:
    for _ in range(2):
        studio.annotate(*TWO)
    audit = studio.audit()
    seats = studio.seats(audit, 3)
    # Items: image 1 light + , image 1 color -, image 2 light +, image 2 color -.
    for (participant, _), answers in zip(seats, ("yyyn", "ynyu", "ynuu"), strict=True):
        answer_all(db, participant, studio, answers)
    found = results(db, audit)
    table = [(row.key, row.name, row.score.accuracy) for row in found.dimensions]
    assert table == [
        ("light", "Light and Shadow", 1.0),
        ("color", "Color Relationship", 1 / 4),
    ]
    overall = found.overall.score
    assert overall.accuracy == 6 / 9
    assert (overall.judgements, overall.cannot_tell, overall.images) == (12, 3, 2)
    # Majorities: yes, no, yes, no.
    assert (overall.majority_accuracy, overall.ties) == (0.5, 0)
    # Pairs: 3 of 3, 1 of 3, 1 of 1, none.
    assert overall.agreement == 5 / 7
    assert [row.score.accuracy for row in found.polarities] == [1.0, 1 / 4]


def test_who_answered_what_does_not_matter(db: Session, studio: Studio) -> None:
    for _ in range(3):
        studio.annotate(*TWO)
    one, two = studio.audit(seed=4), studio.audit(seed=4)
    for audit, given in ((one, ("ynuyny", "yyyyyn")), (two, ("yyyyyn", "ynuyny"))):
        for (participant, _), answers in zip(studio.seats(audit, 2), given, strict=True):
            answer_all(db, participant, studio, answers)
    first, second = (results(db, audit).overall.score for audit in (one, two))
    for name in ("accuracy", "majority_accuracy", "agreement", "participant_range"):
        assert getattr(first, name) == getattr(second, name)
    assert first.interval == pytest.approx(second.interval)


def test_progress_of_participants(db: Session, studio: Studio) -> None:
    studio.annotate(*TWO)
    audit = studio.audit()
    seats = studio.seats(audit, 2)
    inviting.invite_participants(db, audit, 1)
    answer_all(db, seats[0][0], studio, "yn")
    judging.finish(db, seats[0][0])
    answer_all(db, seats[1][0], studio, "y")
    rows = inviting.find_participants(db, audit)
    assert [(row.number, row.state, row.answered) for row in rows] == [
        (1, "finished", 2),
        (2, "judging", 1),
        (3, "invited", 0),
    ]
    assert [row.number for row in inviting.find_participants(db, audit, after=1, limit=1)] == [2]
