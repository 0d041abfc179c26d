"""Participants by themselves: links, notices, the seat from agreeing to its end."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import database
from app.audits.models import Audit
from app.criteria.models import CriteriaVersion
from app.errors import Conflict, Invalid, NotFound, Stale
from app.participants.access import get_participant, hold
from app.participants.instruments import Instrument
from app.participants.inviting import MOST, invite, revoke
from app.participants.models import ConsentNotice, Participant
from app.participants.notices import NOTICE_LENGTH, find_notices, get_notice, write_notice
from app.participants.progress import (
    Given,
    People,
    Progress,
    count_people,
    describe,
    find_participants,
    participant_state,
)
from app.participants.taking_part import consent, finish, is_taking_part, withdraw
from tests.factories import Make
from tests.people import Cast, cast

DONE = Progress(answered=2, items=2)


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


def found(db: Session, make: Make, people: Cast) -> Instrument:
    """An audit without a sample: all that participants need to know of it."""
    version = db.scalar(select(CriteriaVersion)) or make.version(people.project)
    audit = Audit(
        project_id=people.project.id,
        name="Spring",
        seed=1,
        sample_size=1,
        min_labels=1,
        version_id=version.id,
    )
    db.add(audit)
    db.flush()
    return Instrument(audit_id=audit.id)


@pytest.fixture
def instrument(db: Session, make: Make, people: Cast) -> Instrument:
    one = found(db, make, people)
    write_notice(db, one, "Please read.", by=people.lea)
    db.commit()
    return one


def seat(db: Session, instrument: Instrument) -> Participant:
    [(_, token)] = invite(db, instrument, 1)
    return get_participant(db, token, of="audit")


# Links ---------------------------------------------------------------------------------------


def test_numbers_go_on_within_one_instrument(
    db: Session, make: Make, people: Cast, instrument: Instrument
) -> None:
    other = found(db, make, people)
    assert [number for number, _ in invite(db, instrument, 2)] == [1, 2]
    assert [number for number, _ in invite(db, other, 1)] == [1]
    assert [number for number, _ in invite(db, instrument, 1)] == [3]
    assert [each.number for each in find_participants(db, instrument)] == [1, 2, 3]


def test_there_are_not_more_than_the_most(db: Session, instrument: Instrument) -> None:
    for _ in range(MOST // 50):
        invite(db, instrument, 50)
    with pytest.raises(Invalid, match="at most 500") as refused:
        invite(db, instrument, 1)
    assert refused.value.field == "count"


def test_a_revoked_link_leads_nowhere(
    db: Session, make: Make, people: Cast, instrument: Instrument
) -> None:
    [(number, token)] = invite(db, instrument, 1)
    participant = get_participant(db, token, of="audit")
    with pytest.raises(NotFound, match="no participant 1"):
        revoke(db, found(db, make, people), number)
    revoke(db, instrument, number)
    first = participant.revoked_at
    revoke(db, instrument, number)
    db.flush()
    assert participant.revoked_at == first
    for look in (lambda: get_participant(db, token, of="audit"), lambda: hold(db, participant)):
        with pytest.raises(NotFound):
            look()


# Notices -------------------------------------------------------------------------------------


def test_who_agreed_stays_with_what_they_read(
    db: Session, people: Cast, instrument: Instrument
) -> None:
    early, late = seat(db, instrument), seat(db, instrument)
    first = get_notice(db, instrument)
    consent(db, early, instrument)
    second = write_notice(db, instrument, "  Please read again.\n", by=people.lea)
    assert (second.number, second.text) == (2, "Please read again.")
    assert write_notice(db, instrument, "Please read again.", by=people.lea).id == second.id
    consent(db, late, instrument)
    consent(db, early, instrument)
    assert (early.notice_id, late.notice_id) == (first.id, second.id)
    assert find_notices(db, instrument) == [(second, 1), (first, 1)]


def test_nobody_writes_over_a_notice_unseen(
    db: Session, people: Cast, instrument: Instrument
) -> None:
    write_notice(db, instrument, "Theirs.", by=people.lea, based_on=1)
    with pytest.raises(Stale) as late:
        write_notice(db, instrument, "Mine.", by=people.lea, based_on=1)
    assert late.value.details == {"number": 2, "text": "Theirs."}
    # What both wanted is no conflict, however a browser sends its line ends.
    assert write_notice(db, instrument, "Theirs.\r\n", by=people.lea, based_on=1).number == 2
    assert write_notice(db, instrument, "A\r\n\r\nB", by=people.lea, based_on=2).text == "A\n\nB"


def test_one_agrees_to_what_one_has_read(db: Session, people: Cast, instrument: Instrument) -> None:
    participant = seat(db, instrument)
    write_notice(db, instrument, "Changed.", by=people.lea)
    with pytest.raises(Stale, match="changed while you read"):
        consent(db, participant, instrument, read=1)
    assert participant.consented_at is None
    consent(db, participant, instrument, read=2)
    consent(db, participant, instrument, read=1)
    assert participant.notice_id == get_notice(db, instrument).id


@pytest.mark.parametrize("words", ["", " \n ", "x" * (NOTICE_LENGTH + 1)])
def test_a_notice_says_something(
    db: Session, people: Cast, instrument: Instrument, words: str
) -> None:
    with pytest.raises(Invalid) as refused:
        write_notice(db, instrument, words, by=people.lea)
    assert refused.value.field == "notice"
    assert get_notice(db, instrument).number == 1


def test_no_notice_is_altered(db: Session, instrument: Instrument) -> None:
    for statement in ("UPDATE consent_notice SET text = 'x'", "DELETE FROM consent_notice"):
        with pytest.raises(IntegrityError, match="append-only"), database.engine().begin() as own:
            own.execute(text(statement))


def test_the_tables_know_what_belongs_together(
    db: Session, make: Make, people: Cast, instrument: Instrument
) -> None:
    other = found(db, make, people)
    foreign = write_notice(db, other, "Another.", by=people.lea)
    now = datetime.now(UTC)
    for values, constraint in (
        ({"consented_at": now}, "ck_participant_consent"),
        ({"finished_at": now}, "ck_participant_finished"),
        ({"consented_at": now, "notice_id": foreign.id}, "fk_participant_audit_id_notice_id"),
    ):
        with pytest.raises(IntegrityError, match=constraint), db.begin_nested():
            db.add(Participant(**instrument.columns, number=9, token_hash=b"9", **values))
    with pytest.raises(IntegrityError, match="uq_consent_notice"), db.begin_nested():
        db.add(ConsentNotice(**instrument.columns, number=1, text="Twice."))


# The seat ------------------------------------------------------------------------------------


def test_from_agreeing_to_finishing(db: Session, instrument: Instrument) -> None:
    participant = seat(db, instrument)
    states = [participant_state(participant)]
    with pytest.raises(Conflict, match="read the notice"):
        finish(db, participant, DONE, hint="")
    consent(db, participant, instrument)
    states.append(participant_state(participant))
    assert is_taking_part(participant)
    with pytest.raises(Conflict, match="1 of the questions") as refused:
        finish(db, participant, Progress(answered=1, items=2), hint="Any answer will do.")
    assert (refused.value.hint, refused.value.details) == ("Any answer will do.", {"left": 1})
    finish(db, participant, DONE, hint="")
    finished = participant.finished_at
    finish(db, participant, DONE, hint="")
    assert participant.finished_at == finished
    states.append(participant_state(participant))
    assert states == ["invited", "judging", "finished"]
    assert not is_taking_part(participant)


@pytest.mark.parametrize("agreed", [False, True])
def test_who_withdraws_takes_no_part_any_more(
    db: Session, instrument: Instrument, agreed: bool
) -> None:
    participant = seat(db, instrument)
    if agreed:
        consent(db, participant, instrument)
    withdraw(db, participant)
    first = participant.withdrawn_at
    withdraw(db, participant)
    assert participant.withdrawn_at == first
    assert not is_taking_part(participant)
    assert participant_state(participant) == "withdrawn"
    with pytest.raises(Conflict, match="withdrawn"):
        consent(db, participant, instrument)
    with pytest.raises(Conflict, match="withdrawn"):
        finish(db, participant, DONE, hint="")
    # Their answers are gone, which says more than that the link is no longer good.
    revoke(db, instrument, participant.number)
    assert participant_state(participant) == "withdrawn"


def test_how_far_they_are(db: Session, make: Make, people: Cast, instrument: Instrument) -> None:
    invited, judging, finished, withdrawn, revoked = (seat(db, instrument) for _ in range(5))
    for each in (judging, finished):
        consent(db, each, instrument)
    finish(db, finished, DONE, hint="")
    withdraw(db, withdrawn)
    revoke(db, instrument, revoked.number)
    db.commit()
    empty = found(db, make, people)
    counts = count_people(db, [instrument, empty])
    assert counts == {instrument: People(1, 1, 1, 1, 1)}
    assert counts[instrument].counted == 3
    at = datetime(2026, 1, 4, tzinfo=UTC)
    rows = describe(find_participants(db, instrument, after=1, limit=2), {judging.id: Given(7, at)})
    assert [(row.number, row.state, row.answered, row.last_answer_at) for row in rows] == [
        (2, "judging", 7, at),
        (3, "finished", 0, None),
    ]
    assert invited.number == 1


def test_two_who_hold_one_participant_alone_wait(db: Session, instrument: Instrument) -> None:
    participant = seat(db, instrument)
    db.commit()
    hold(db, participant, alone=True)
    with Session(database.engine()) as other:
        other.connection().exec_driver_sql("SET lock_timeout = '200ms'")
        same = other.get_one(Participant, participant.id)
        with pytest.raises(Exception, match="lock timeout"):
            hold(other, same)
    db.rollback()
