"""Two runs side by side, through the worker, pages, API and the command line."""

import json
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.agents.models import AgentRun, AgentRunImage
from app.agents.sides import number_of
from app.audits.inviting import close_audit
from app.audits.judging import judge
from app.audits.models import AuditItem
from app.commands import agents as commands
from app.comparisons import counting
from app.comparisons.comparing import Compared, ask_comparison, get_compared
from app.comparisons.models import AgentComparison
from app.database import unit_of_work
from app.errors import Conflict
from app.images.models import Image
from app.images.removing import set_aside
from app.jobs.models import Job
from app.labels.models import LabelEvent, SuggestionShown
from app.labels.saving import save
from app.settings import settings
from tests.app.audits.conftest import Studio
from tests.app.audits.conftest import studio as studio
from worker import agent_comparing, ledger

HANDLERS: dict[str, ledger.Handler] = {"agent_comparison": agent_comparing.run}
API, PAGE = "/api/v1/projects/paintings/agent-runs", "/projects/paintings/agent"
Said = tuple[int, str]
WARM, COLD, SOFT = (0, "positive"), (0, "negative"), (1, "positive")


def found(studio: Studio, image: Image, run: AgentRun, *sides: Said) -> None:
    """Store what a run found in an image, as the worker does: labels where it can, and the finding itself."""
    if (row := studio.db.get(AgentRunImage, (run.id, image.id))) is not None:
        row.proposed, row.found = 0, None
    if sides:
        studio.annotate(*sides, run=run, image=image)
    row = studio.db.get(AgentRunImage, (run.id, image.id))
    if row is None:
        row = AgentRunImage(
            agent_run_id=run.id, image_id=image.id, version_id=run.version_id, state="labelled"
        )
        studio.db.add(row)
    row.proposed = len(sides)
    row.found = sorted(number_of(studio.pairs[at].id, polarity) for at, polarity in sides)
    studio.db.commit()


def decide_all(studio: Studio, *runs: AgentRun) -> None:
    for run in runs:
        run.decides = [
            number_of(pair.id, polarity)
            for pair in studio.pairs[:2]
            for polarity in ("positive", "negative")
        ]
    studio.db.commit()


@pytest.fixture
def runs(studio: Studio) -> tuple[AgentRun, AgentRun]:
    """Two runs over six images: the first finds the first side in images 0 to 3, the second in 2 to 5."""
    first = studio.run
    second = studio.make.agent_run(studio.cast.project, studio.version, agent="vlm")
    decide_all(studio, first, second)
    images = [studio.make.image(studio.cast.project) for _ in range(6)]
    for at, image in enumerate(images):
        found(studio, image, first, *([WARM] if at < 4 else []))
    for at, image in enumerate(images):
        found(studio, image, second, *([WARM] if at >= 2 else []), *([SOFT] if at == 0 else []))
    studio.images = images
    return first, second


def compare(studio: Studio, first: AgentRun, second: AgentRun) -> Compared:
    project = studio.cast.project
    asked = ask_comparison(studio.db, project, first.id, second.id, by=studio.cast.lea)
    studio.db.commit()
    job = studio.db.get_one(Job, asked.job_id)
    assert ledger.run(job.id, HANDLERS)
    studio.db.rollback()
    studio.db.expire_all()
    assert (job.state, job.error) == ("succeeded", None)
    return get_compared(studio.db, project, first.id, second.id)


def counts(compared: Compared) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {
        (row.nodes[0].key, row.side.polarity): (
            row.side.in_both,
            row.side.only_first,
            row.side.only_second,
        )
        for row in compared.sides
        if row.side.in_both or row.side.only_first or row.side.only_second
    }


EXPECTED = {("pair-of-0", "positive"): (2, 2, 2), ("pair-of-1", "positive"): (0, 0, 1)}


@pytest.mark.parametrize("stretch", [2, 20_000])
def test_counts_what_each_found_whatever_became_of_the_labels(
    studio: Studio,
    runs: tuple[AgentRun, AgentRun],
    monkeypatch: pytest.MonkeyPatch,
    stretch: int,
) -> None:
    monkeypatch.setattr(counting, "STRETCH", stretch)
    studio.decide(studio.images[0], 0, "positive", "rejected")
    studio.decide(studio.images[5], 0, "positive", "confirmed")
    compared = compare(studio, *runs)
    assert counts(compared) == EXPECTED
    assert compared.comparison.images == 6
    assert (compared.total("in_both"), compared.total("only_first")) == (2, 2)
    assert len(compared.asked_by("both")) == 4
    assert compared.figures is not None and compared.figures.ac1.value is not None
    # The other way round what was lost is gained.
    back = compare(studio, runs[1], runs[0])
    assert counts(back) == {key: (n[0], n[2], n[1]) for key, n in EXPECTED.items()}


def test_what_is_in_use_and_both_labelled_counts_alone(
    studio: Studio, runs: tuple[AgentRun, AgentRun]
) -> None:
    db, project = studio.db, studio.cast.project
    set_aside(db, project, studio.images[0].id, reason="Blurred", by=studio.cast.lea)
    alone = studio.make.image(project)
    found(studio, alone, runs[0], WARM)
    failed = db.get_one(AgentRunImage, (runs[1].id, studio.images[1].id))
    failed.state, failed.reason, failed.proposed, failed.found = "failed", "No answer.", 0, None
    db.commit()
    compared = compare(studio, *runs)
    assert compared.comparison.images == 4
    assert counts(compared) == {("pair-of-0", "positive"): (2, 0, 2)}


def test_of_runs_that_did_not_keep_what_they_found_the_events_count(
    studio: Studio, runs: tuple[AgentRun, AgentRun]
) -> None:
    studio.db.execute(update(AgentRunImage).values(found=None))
    studio.db.execute(update(AgentRun).values(decides=None))
    studio.db.commit()
    compared = compare(studio, *runs)
    assert counts(compared) == EXPECTED
    assert len(compared.asked_by("both")) == 8


def test_verdicts_given_without_the_suggestion_in_view_say_how_right_each_is(
    studio: Studio, runs: tuple[AgentRun, AgentRun]
) -> None:
    audit = studio.audit(sample_size=6, decoy_percent=30)
    ((participant, _),) = studio.seats(audit, 1)
    there = {studio.images[at].id for at in (0, 2, 3, 4)}
    items = studio.db.scalars(select(AuditItem).where(AuditItem.audit_id == audit.id)).all()
    for item in items:
        is_there = item.image_id in there and item.polarity == "positive" and item.node_id == studio.pairs[0].id  # fmt: skip
        answer = "appears" if is_there else "does_not_appear"
        judge(studio.db, participant, item.id, answer)
    studio.db.commit()
    # An audit that still takes answers counts in nothing.
    open_still = compare(studio, *runs)
    assert open_still.figures is not None and open_still.figures.precision_first.of == 0
    close_audit(studio.db, audit)
    studio.db.commit()
    figures = compare(studio, *runs).figures
    assert figures is not None
    # Of the first run's four, images 0, 2 and 3 hold; of the second's four, 2, 3 and 4, and not its side in image 0.
    assert (figures.precision_first.part, figures.precision_first.of) == (3, 4)
    assert (figures.precision_second.part, figures.precision_second.of) == (3, 5)
    assert (figures.recall_first.part, figures.recall_first.of) == (3, 4)
    assert (figures.recall_second.part, figures.recall_second.of) == (3, 4)
    assert figures.precision_first.low is not None


def test_what_people_name_with_suggestions_hidden_tells_what_was_missed(
    studio: Studio, runs: tuple[AgentRun, AgentRun]
) -> None:
    db, image = studio.db, studio.images[5]
    seen, unseen = studio.images[1], image
    for shown, picture, index in ((True, seen, 0), (False, unseen, 0), (False, unseen, 1)):
        db.refresh(picture)
        save(
            db, studio.cast.project, picture.id, key=studio.pairs[index].key, polarity="positive",
            state="confirmed", based_on=picture.label_revision, by=studio.cast.ben,
            operation_id=uuid4(), suggestion_visible=shown,
        )  # fmt: skip
    db.commit()
    assert len(db.scalars(select(LabelEvent).where(~LabelEvent.suggestion_visible)).all()) == 2
    figures = compare(studio, *runs).figures
    assert figures is not None
    assert (figures.precision_first.of, figures.precision_second.of) == (0, 0)
    assert (figures.recall_first.part, figures.recall_first.of) == (0, 2)
    assert (figures.recall_second.part, figures.recall_second.of) == (1, 2)


def test_asking_twice_is_one_comparison_and_anew_replaces_it(
    studio: Studio, runs: tuple[AgentRun, AgentRun]
) -> None:
    project, lea = studio.cast.project, studio.cast.lea
    asked = ask_comparison(studio.db, project, runs[0].id, runs[1].id, by=lea)
    again = ask_comparison(studio.db, project, runs[0].id, runs[1].id, by=lea)
    assert (asked.id, asked.job_id) == (again.id, again.job_id)
    studio.db.commit()
    assert ledger.run(asked.job_id, HANDLERS)
    studio.db.rollback()
    found(studio, studio.images[1], runs[1], WARM)
    assert counts(compare(studio, *runs))["pair-of-0", "positive"] == (3, 1, 2)
    assert len(studio.db.scalars(select(AgentComparison)).all()) == 1


def test_a_run_that_is_not_over_is_not_compared(
    studio: Studio, runs: tuple[AgentRun, AgentRun]
) -> None:
    runs[1].job_id = studio.make.job(studio.cast.project, kind="agent_run").id
    studio.db.commit()
    with pytest.raises(Conflict, match="has not come to its end"):
        ask_comparison(studio.db, studio.cast.project, runs[0].id, runs[1].id, by=None)


def test_by_the_api(
    studio: Studio, runs: tuple[AgentRun, AgentRun], api: TestClient, token_for: Any
) -> None:
    lead, ben = token_for(studio.cast.lea), token_for(studio.cast.ben)
    at = f"{API}/{runs[0].id}/compare/{runs[1].id}"
    missing = api.get(at, headers=ben)
    assert missing.status_code == 404 and "not been compared yet" in missing.json()["detail"]
    assert api.post(at, headers=ben).status_code == 403
    asked = api.post(at, headers=lead)
    assert asked.status_code == 202
    assert (asked.json()["state"], asked.json()["made_at"]) == ("queued", None)
    assert ledger.run(asked.json()["job_id"], HANDLERS)
    told = api.get(at, headers=ben).json()
    assert (told["state"], told["images"]) == ("succeeded", 6)
    assert (told["both"], told["lost"], told["gained"]) == (2, 2, 3)
    assert (told["first"]["agent"], told["second"]["agent"]) == ("measured", "vlm")
    side = next(each for each in told["attributes"] if each["both"])
    assert (side["keys"], side["polarity"], side["asked_by"]) == (["pair-of-0"], "positive", "both")
    images = api.get(f"{at}/attributes/{side['place']}/images", headers=ben).json()
    assert sorted(images["lost"]) == [image.id for image in studio.images[:2]]
    assert sorted(images["gained"]) == [image.id for image in studio.images[4:]]
    itself = api.post(f"{API}/{runs[0].id}/compare/{runs[0].id}", headers=lead)
    assert itself.status_code == 422
    assert api.get(f"{at}/attributes/99/images", headers=ben).status_code == 404


def test_by_the_page(
    studio: Studio, runs: tuple[AgentRun, AgentRun], browser: TestClient, sign_in: Any
) -> None:
    lead = sign_in(browser, studio.cast.lea)
    at = f"{PAGE}/{runs[0].id}/compare/{runs[1].id}"
    assert f'<option value="{runs[1].id}">' in lead.get(f"{PAGE}/{runs[0].id}").text
    answer = lead.post(f"{PAGE}/{runs[0].id}/compare", data={"other": str(runs[1].id)})
    assert (answer.status_code, answer.headers["location"]) == (303, at)
    waiting = lead.get(at).text
    assert "are being compared" in waiting and 'hx-trigger="every 2s"' in waiting
    (job_id,) = studio.db.scalars(select(AgentComparison.job_id))
    assert ledger.run(job_id, HANDLERS)
    page = lead.get(at).text
    assert "In the 6 images that both labelled: 2 labels of both, 2 lost" in page
    assert "every 2s" not in page
    assert "How right each is cannot be said yet" in page
    assert "Fine thing 0" in page and "Fine thing 1" in page
    assert f'href="{at}"' in lead.get(f"{PAGE}/{runs[1].id}").text
    place = page.split(f'href="{at}/attributes/')[1].split('"')[0]
    lead.cookies.set("morelli_suggestions", "hide")
    assert "Suggestions are hidden" in lead.get(f"{at}/attributes/{place}").text
    lead.cookies.set("morelli_suggestions", "show")
    told = select(SuggestionShown.image_id).where(SuggestionShown.person_id == studio.cast.lea.id)
    assert studio.db.scalars(told).all() == []
    shown = lead.get(f"{at}/attributes/{place}").text
    there = (*studio.images[:2], *studio.images[4:])
    for image in there:
        assert f"/images/{image.id}" in shown
    assert f"/images/{studio.images[2].id}" not in shown
    studio.db.rollback()
    assert set(studio.db.scalars(told)) == {image.id for image in there}
    assert f"run={runs[0].id}" in shown
    lead.cookies.set("morelli_suggestions", "hide")
    hidden = lead.get(f"{at}/attributes/{place}").text
    assert "Suggestions are hidden" in hidden
    assert f"/images/{studio.images[0].id}" not in hidden


def test_the_default_agent_is_chosen_from_there(
    studio: Studio, runs: tuple[AgentRun, AgentRun], browser: TestClient, sign_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    compare(studio, *runs)
    lead = sign_in(browser, studio.cast.lea)
    at = f"{PAGE}/{runs[0].id}/compare/{runs[1].id}"
    assert "measured is the default" in lead.get(at).text
    assert "not set up here" in lead.get(at).text
    refused = lead.post(f"{PAGE}/{runs[1].id}/default")
    assert refused.status_code == 422 and "is not set up here" in refused.text
    monkeypatch.setattr(settings(), "vision_url", "http://127.0.0.1:1/v1")
    monkeypatch.setattr(settings(), "vision_model", "eye")
    assert "Make vlm the default" in lead.get(at).text
    assert lead.post(f"{PAGE}/{runs[1].id}/default").status_code == 303
    assert "vlm is the default" in lead.get(at).text
    assert 'id="agent-vlm" name="agent" value="vlm" checked' in lead.get(PAGE).text


def test_the_default_agent_by_the_api(
    studio: Studio, api: TestClient, token_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead, ben = token_for(studio.cast.lea), token_for(studio.cast.ben)
    studio.make.image(studio.cast.project)
    assert api.get(f"{API}/default", headers=ben).json() == {"agent": "measured"}
    assert api.put(f"{API}/default", json={"agent": "vlm"}, headers=ben).status_code == 403
    assert api.put(f"{API}/default", json={"agent": "vlm"}, headers=lead).status_code == 422
    monkeypatch.setattr(settings(), "vision_url", "http://127.0.0.1:1/v1")
    monkeypatch.setattr(settings(), "vision_model", "eye")
    assert api.put(f"{API}/default", json={"agent": "vlm"}, headers=lead).json() == {"agent": "vlm"}
    assert api.post(API, json={}, headers=lead).json()["agent"] == "vlm"
    # Where it is not set up any more, the installation's own labels.
    monkeypatch.setattr(settings(), "vision_url", None)
    assert api.get(f"{API}/default", headers=ben).json() == {"agent": "measured"}
    assert api.post(API, json={}, headers=lead).json()["agent"] == "measured"


def test_by_the_command_line(
    studio: Studio, runs: tuple[AgentRun, AgentRun], db: Session, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:  # fmt: skip
    def finish(job_id: int) -> dict[str, Any]:
        assert ledger.run(job_id, HANDLERS)
        with unit_of_work() as session:
            return {"state": session.get_one(Job, job_id).state, "error": None}

    monkeypatch.setattr(commands, "database", nullcontext)
    monkeypatch.setattr(commands, "finish_job", finish)
    commands.compare_runs("paintings", runs[0].id, runs[1].id)
    said = capsys.readouterr().out
    assert "2 labels of both, 2 lost, 3 gained" in said
    assert "+ pair-of-0: both 2, lost 2, gained 2" in said
    # What was computed is told again without a job.
    monkeypatch.setattr(commands, "finish_job", None)
    commands.compare_runs("paintings", runs[0].id, runs[1].id, as_json=True)
    assert json.loads(capsys.readouterr().out)["gained"] == 3
