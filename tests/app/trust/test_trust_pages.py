"""Trust in agents and their differences through pages, JSON and the command line's verbs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.jobs.models import Job
from app.labels.models import SuggestionShown
from app.trust.plotting import points
from app.trust.schemas import BinOut, CurveOut
from taxonomy.tree import Side
from tests.app.datasets.gallery import Gallery, open_gallery
from tests.factories import Make
from tests.worker.ensembles import COOL, RICH, WARM, Says, agent, have_run, judge_all, work

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
PAGE, API = "/projects/paintings/agent", "/api/v1/projects/paintings"
IMAGES = 12


@pytest.fixture
def gallery(
    db: Session, make: Make, own_storage: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gallery]:
    """Two runs of agents that agree on rich saturation, and of which one alone sees warmth."""
    gallery = open_gallery(db, make)
    gallery.hang_many(IMAGES)
    bold = Says("bold", {RICH: 0.9, WARM: 0.9, COOL: 0.9})
    careful = Says("careful", {RICH: 0.6}, knows=(WARM,))
    with agent(monkeypatch, bold), agent(monkeypatch, careful):
        have_run(gallery, "bold")
        have_run(gallery, "careful")
        yield gallery


def ensemble(gallery: Gallery, **more: Any) -> AgentRun:
    return have_run_of(gallery, gallery.launch("ensemble", **more))


def have_run_of(gallery: Gallery, launched: tuple[AgentRun, Job]) -> AgentRun:
    run, job = launched
    work(gallery, job)
    assert (job.state, job.error) == ("succeeded", None)
    return run


def test_nothing_is_learned_before_somebody_asks(
    gallery: Gallery, browser: TestClient, sign_in: SignIn, token_for: TokenFor
) -> None:
    people = gallery.people
    page = sign_in(browser, people.ben).get(f"{PAGE}/trust").text
    assert "Nothing was learned yet" in page and "Learn now" not in page
    told = browser.get(f"{API}/agent-trust", headers=token_for(people.ben)).json()
    assert told == {"made_at": None, "agent_run": None, "report": None}


def test_a_lead_has_it_learned_and_all_see_the_curve(
    gallery: Gallery, browser: TestClient, sign_in: SignIn, token_for: TokenFor
) -> None:
    people = gallery.people
    judge_all(gallery, lambda _, key, __: "appears" if key != WARM.key else "does_not_appear")
    assert browser.post(f"{API}/agent-trust", headers=token_for(people.ben)).status_code == 403
    asked = browser.post(f"{API}/agent-trust", headers=token_for(people.lea))
    assert asked.status_code == 202
    job = gallery.db.get_one(Job, asked.json()["job_id"])
    work(gallery, job)
    assert (job.state, job.result) == ("succeeded", {"labels": 3 * IMAGES, "is_enough": True})
    report = browser.get(f"{API}/agent-trust", headers=token_for(people.ben)).json()["report"]
    assert report["sources"] == {"audit": 3 * IMAGES, "reading": 0, "correction": 0}
    assert (report["yes_rate"], report["miss_rate"], report["people"]) == (None, None, 1)
    # What 50 % would be if a tenth were said too readily, or overlooked.
    assert report["if_readier"] == pytest.approx(0.4 / 0.9)
    assert report["if_overlooked"] == pytest.approx(0.5 / 0.9)
    assert report["decoys_there"] is None
    assert report["curve"]["answers"] == 3 * IMAGES
    own = {each["agent"]: each["own"] for each in report["members"]}
    assert [(each["answers"], each["said"]) for each in own["bold"]["bins"]] == [
        (3 * IMAGES, pytest.approx(0.9))
    ]
    assert own["bold"]["bins"][0]["holds"] == pytest.approx(2 / 3)
    page = " ".join(sign_in(browser, people.ben).get(f"{PAGE}/trust").text.split())
    assert f"from {3 * IMAGES} answers of 1 person about {3 * IMAGES} labels" in page
    assert "No decoys were asked" in page and "what is shown as 50 % is 44 %" in page
    assert "Nobody knows how often these people overlook" in page
    assert "what is shown as 50 % is 56 %" in page
    assert page.count('<svg viewBox="-36') == 3
    assert "Warm dominance" in page and "Learn anew" not in page
    assert "tell next to nothing" not in page


def test_too_few_answers_are_said_to_be_too_few(
    gallery: Gallery, browser: TestClient, sign_in: SignIn
) -> None:
    sign_in(browser, gallery.people.lea)
    answer = browser.post(f"{PAGE}/trust", follow_redirects=False)
    job = gallery.db.scalars(select(Job).where(Job.kind == "agent_trust")).one()
    assert answer.headers["location"].endswith(f"/jobs/{job.id}")
    work(gallery, job)
    page = browser.get(f"{PAGE}/trust").text
    assert "That is too little to learn from: it takes 30 labels" in page


def test_answers_that_tell_nothing_are_said_to_tell_nothing(
    gallery: Gallery,
    browser: TestClient,
    sign_in: SignIn,
    token_for: TokenFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody says yes to every label and to every decoy."""
    wide = Side("wide-tonal-range", "positive")
    with agent(monkeypatch, Says("vlm", {wide: 0.8}, first=2)):
        have_run(gallery, "vlm")
        judge_all(gallery, lambda *_: "appears", decoys=30)
        asked = browser.post(f"{API}/agent-trust", headers=token_for(gallery.people.lea))
        work(gallery, gallery.db.get_one(Job, asked.json()["job_id"]))
    page = sign_in(browser, gallery.people.ben).get(f"{PAGE}/trust").text
    assert "These answers tell next to nothing of single labels" in page


def test_an_ensemble_is_launched_from_the_page(
    gallery: Gallery, browser: TestClient, sign_in: SignIn, token_for: TokenFor
) -> None:
    people = gallery.people
    first, second = (each.id for each in gallery.db.scalars(select(AgentRun).order_by(AgentRun.id)))
    sign_in(browser, people.lea)
    form = {"agent": "ensemble", "runs": f"{second}, {first}", "at_least": "80"}
    assert browser.post(PAGE, data=form, follow_redirects=False).status_code == 303
    run = gallery.db.scalars(select(AgentRun).order_by(AgentRun.id.desc())).first()
    assert run is not None
    assert run.config == {"ensemble": {"runs": [first, second], "at_least": 0.8}}
    told = browser.get(f"{API}/agent-runs/{run.id}", headers=token_for(people.ben)).json()
    assert (told["runs"], told["at_least"], told["quiet"]) == ([first, second], 0.8, False)
    for wrong, said in (
        ({"runs": "3; 4"}, "Write the numbers of the runs, with commas between."),
        ({"at_least": "100"}, "Input should be less than 100"),
        ({"runs": "999999"}, "Run 999999 cannot be part of an ensemble."),
    ):
        answer = browser.post(PAGE, data={"agent": "ensemble", **wrong})
        assert answer.status_code == 422
        assert said in answer.text
    quiet = browser.post(
        f"{API}/agent-runs", json={"agent": "bold", "quiet": True}, headers=token_for(people.lea)
    ).json()
    assert (quiet["quiet"], quiet["runs"]) == (True, None)
    assert "This run proposes nothing" in browser.get(f"{PAGE}/{quiet['id']}").text


def test_where_runs_differ_is_listed_page_by_page(
    gallery: Gallery, browser: TestClient, sign_in: SignIn, token_for: TokenFor
) -> None:
    run, ben = ensemble(gallery), token_for(gallery.people.ben)
    path = f"{API}/agent-runs/{run.id}"
    bold, careful = run.config["ensemble"]["runs"]
    agreement = browser.get(f"{path}/agreement", headers=ben).json()
    assert agreement["runs"] == [bold, careful]
    assert [(each["key"], each["differed"], each["agreed"], each["alone"]) for each in agreement["items"]] == [
        (WARM.key, IMAGES, 0, 0), (RICH.key, 0, IMAGES, 0), (COOL.key, 0, 0, IMAGES)
    ]  # fmt: skip
    seen, after = [], ""
    while True:
        more = f"&after={after}" if after else ""
        page = browser.get(f"{path}/differences?limit=5{more}", headers=ben).json()
        seen += page["items"]
        if not (after := page["next"]):
            break
    assert [each["image_id"] for each in seen] == [each.id for each in gallery.images]
    assert {(each["key"], *each["says"], *each["does_not"]) for each in seen} == {
        (WARM.key, bold, careful)
    }
    narrow = f"{path}/differences?key={RICH.key}&polarity=positive"
    assert browser.get(narrow, headers=ben).json() == {"items": [], "next": None}
    for query in (
        "after=nowhere",
        "after=1-2-sideways",
        f"after={'9' * 5_000}-2-positive",
        f"key={RICH.key}",
        "polarity=positive",
    ):
        assert browser.get(f"{path}/differences?{query}", headers=ben).status_code == 422
    assert (
        browser.get(f"{path}/differences?key=no&polarity=positive", headers=ben).status_code == 404
    )
    assert browser.get(f"{API}/agent-runs/{bold}/differences", headers=ben).status_code == 404
    sign_in(browser, gallery.people.ada)
    page = browser.get(f"{PAGE}/{run.id}/differences").text
    assert "did not propose it" in page and gallery.images[-1].name in page
    shown = f"{PAGE}/{run.id}/differences?key={WARM.key}&amp;polarity=positive"
    assert shown in browser.get(f"{PAGE}/{run.id}").text
    assert "All attributes" in browser.get(shown.replace("&amp;", "&")).text


def test_who_sees_how_an_agent_looked_has_seen_the_suggestions(
    gallery: Gallery, browser: TestClient, sign_in: SignIn
) -> None:
    run, people, image = ensemble(gallery), gallery.people, gallery.images[0]
    sign_in(browser, people.ben)
    assert browser.get(f"{PAGE}/{run.id}/images").status_code == 200
    told = select(SuggestionShown.image_id).where(SuggestionShown.person_id == people.ben.id)
    assert gallery.db.scalars(told).all() == []
    assert browser.get(f"{PAGE}/{run.id}/images/{image.id}").status_code == 200
    gallery.db.rollback()
    assert gallery.db.scalars(told).all() == [image.id]


def test_who_sees_differences_has_seen_the_suggestions(
    gallery: Gallery, browser: TestClient, sign_in: SignIn
) -> None:
    run, people = ensemble(gallery), gallery.people
    sign_in(browser, people.ben)
    browser.cookies.set("morelli_suggestions", "hide")
    assert browser.get(f"{PAGE}/{run.id}/differences").status_code == 403
    number = select(func.count()).select_from(SuggestionShown)
    assert gallery.db.scalar(number) == 0
    browser.cookies.set("morelli_suggestions", "show")
    assert browser.get(f"{PAGE}/{run.id}/differences").status_code == 200
    gallery.db.rollback()
    assert gallery.db.scalar(number.where(SuggestionShown.person_id == people.ben.id)) == IMAGES


def test_nobody_of_another_project_sees_any_of_it(
    gallery: Gallery, browser: TestClient, token_for: TokenFor
) -> None:
    run, dora = ensemble(gallery), token_for(gallery.people.dora)
    for path in (
        "agent-trust",
        f"agent-runs/{run.id}/agreement",
        f"agent-runs/{run.id}/differences",
    ):
        assert browser.get(f"{API}/{path}", headers=dora).status_code == 404
    elsewhere = f"/api/v1/projects/elsewhere/agent-trust?run={run.id}"
    assert browser.get(elsewhere, headers=dora).status_code == 404


def test_points_stand_where_they_say() -> None:
    curve = CurveOut(
        bins=[
            BinOut(answers=100, said=0.25, holds=0.5, interval=(0.4, 0.6)),
            BinOut(answers=1, said=1.0, holds=1.0, interval=None),
        ],
        answers=101,
        error=0.2,
        by_chance=0.1,
    )
    first, second = points(curve)
    assert (first.x, first.y, first.low, first.high) == (50.0, 100.0, 120.0, 80.0)
    assert (second.x, second.y, second.low, second.high) == (200.0, 0.0, None, None)
    assert first.radius > second.radius
