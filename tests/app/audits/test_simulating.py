"""An audit with simulated participants: it says so, and counts for nothing else."""

from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.audits.by_attribute import count_verdicts
from app.audits.results import get_facts, results
from app.audits.sampling import Design
from app.audits.simulating import simulate_audit
from app.audits.vouching import find_vouching
from tests.app.audits.conftest import Studio

SignIn = Callable[[TestClient, Person], TestClient]


def test_a_simulated_audit_is_finished_and_says_so(
    browser: TestClient, db: Session, studio: Studio, sign_in: SignIn
) -> None:
    for _ in range(3):
        studio.annotate((0, "positive"), (2, "negative"))
    audit = simulate_audit(
        db,
        studio.cast.project,
        design=Design(seed=1, sample_size=3, check_percent=50),
        people=4,
        says=lambda _, __, key, ___: "appears" if key == "pair-of-0" else "does_not_appear",
    )
    db.commit()
    facts = get_facts(db, audit)
    assert (audit.state, facts.people.finished) == ("closed", 4)
    overall = results(db, audit).overall.score
    assert (overall.accuracy, overall.judgements) == (0.5, 24)
    assert overall.seconds is not None
    assert 1 < overall.seconds < 20
    sign_in(browser, studio.cast.ben)
    for path in ("", f"/{audit.id}", f"/{audit.id}/report"):
        page = browser.get(f"/projects/paintings/audits{path}").text.lower()
        assert "took part" in page
    assert count_verdicts(db, studio.cast.project) == {}
    assert find_vouching(db, studio.cast.project, audit.version_id) is None
