"""A lead's way through pages and API: a draft, its images, its result, its files; and who may do what."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.datasets.models import PairDataset
from app.datasets.pairing import folder_of
from app.studies.models import Study
from tests.app.studies.conftest import ROOM, ROOTS, Atelier, answer_like, archive, picture

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
FORM = {
    "name": "Spring",
    "prompts": "3",
    "has_ties": "on",
    "identical_percent": "10",
    "repeated_percent": "10",
    "seed": "5",
    "notice": "Please read.",
}


def test_from_the_form_to_links_in_the_browser(
    browser: TestClient, atelier: Atelier, sign_in: SignIn
) -> None:
    sign_in(browser, atelier.cast.lea)
    assert "No studies yet" in browser.get(ROOM).text
    form = browser.get(f"{ROOM}/new").text
    assert "chance to find a preference of 64 %" in form
    plan = browser.get(f"{ROOM}/plan?prompts=300&people=20&share=60").text
    assert "with 300 pairs and 20 participants" in plan
    assert "Give a number" in browser.get(f"{ROOM}/plan?prompts=x").text
    assert browser.post(ROOM, data=FORM | {"name": " "}).status_code == 422
    refused = browser.post(ROOM, data={name: FORM[name] for name in FORM if name != "has_ties"})
    assert refused.status_code == 422 and "only “no difference” is right" in refused.text
    here = browser.post(ROOM, data=FORM).headers["location"]
    assert "None yet" in browser.get(here).text
    assert browser.post(f"{here}/participants", data={"count": 2}).status_code == 422
    sent = browser.post(f"{here}/uploads", files={"files": ("a.zip", archive(prompts=3))})
    assert sent.headers["location"] == here
    assert "waiting for a worker" in browser.get(here).text
    assert browser.post(f"{here}/images/remove").status_code == 409
    atelier.work()
    assert "3 prompts have an image of every model" in browser.get(here).text
    assert browser.post(f"{here}/open", data={"prompts": 9}).status_code == 422
    assert browser.post(f"{here}/open", data={"prompts": 3}).headers["location"] == here
    page = browser.post(f"{here}/participants", data={"count": 2}).text
    assert "2 new links" in page and "/study/" in page
    assert "/study/" not in browser.get(here).text
    assert "Spring" in browser.get(ROOM).text
    assert browser.post(f"{here}/close").headers["location"] == here
    assert browser.post(f"{here}/participants", data={"count": 2}).status_code == 422


def test_a_folder_is_sent_with_its_folders(
    browser: TestClient, atelier: Atelier, sign_in: SignIn
) -> None:
    sign_in(browser, atelier.cast.lea)
    here = f"{ROOM}/{atelier.draft().id}"
    names = [f"mine/G1/{model}/{at}.png" for model in ("a", "b") for at in range(2)]
    files = [("files", (name, picture(number))) for number, name in enumerate(names)]
    assert browser.post(f"{here}/uploads", files=files).status_code == 303
    atelier.work()
    page = browser.get(here).text
    assert "2 prompts have an image of every model" in page and "<td>G1</td>" in page


def test_members_look_and_leads_act(
    browser: TestClient, api: TestClient, atelier: Atelier, sign_in: SignIn, token_for: TokenFor
) -> None:
    study = atelier.study(prompts=1)
    here = f"{ROOM}/{study.id}"
    ben, dora = token_for(atelier.cast.ben), token_for(atelier.cast.dora)
    for path in ("", "/results"):
        assert api.get(f"/api/v1{here}{path}", headers=ben).status_code == 200
        assert api.get(f"/api/v1{here}{path}", headers=dora).status_code == 404
    assert api.get(f"/api/v1{here}/participants", headers=ben).status_code == 403
    assert api.post(f"/api/v1{here}/close", headers=ben).status_code == 403
    assert api.post(f"/api/v1{here}/open", json={"prompts": 1}, headers=ben).status_code == 403
    sign_in(browser, atelier.cast.ben)
    assert "Invite participants" not in browser.get(here).text
    assert browser.get(f"{here}/answers.csv").status_code == 403
    assert browser.get(f"{here}/results.csv").status_code == 200


def test_the_whole_way_as_json(api: TestClient, atelier: Atelier, token_for: TokenFor) -> None:
    lead = token_for(atelier.cast.lea)
    root = f"/api/v1{ROOM}"
    made = api.post(root, json={"name": "Spring", "prompts": 2, "seed": 4}, headers=lead).json()
    here = f"{root}/{made['id']}"
    assert (made["state"], made["problem"]) == ("draft", "There are no images yet.")
    assert [each["key"] for each in made["dimensions"]] == list(ROOTS)
    files = {"files": ("a.zip", archive(prompts=2))}
    assert api.post(f"{here}/uploads", files=files, headers=lead).status_code == 202
    assert api.post(f"{here}/uploads", files=files, headers=lead).status_code == 409
    atelier.work()
    assert api.get(here, headers=lead).json()["common_prompts"] == 2
    opened = api.post(f"{here}/open", json={"prompts": 2}, headers=lead).json()
    assert (opened["state"], opened["pairs"]) == ("open", 4)
    links = api.post(f"{here}/participants", json={"count": 1}, headers=lead).json()["items"]
    token = links[0]["link"].rsplit("/", 1)[1]
    assert api.post(f"/api/v1/study/{token}/consent").status_code == 200
    answer_like(api, token, {})
    assert api.post(f"/api/v1/study/{token}/finish").json()["state"] == "finished"
    [person] = api.get(f"{here}/participants", headers=lead).json()["items"]
    assert (person["state"], person["answered"], person["asked"]) == ("finished", 12, 12)
    assert api.post(f"{here}/close", headers=lead).json()["state"] == "closed"
    [listed] = api.get(root, headers=lead).json()["items"]
    assert (listed["groups"], listed["models"], listed["pairs"]) == (2, 4, 4)


@pytest.fixture
def judged(api: TestClient, atelier: Atelier) -> Study:
    """Three participants who know which model is better, and prefer it in every dimension but light."""
    study = atelier.study(prompts=4, identical_percent=10, repeated_percent=10)
    lead = atelier.seats(study, 3)
    from app.studies.ordering import find_order, find_pairs

    drawn = {each.id: each for each in find_pairs(atelier.db, study)}
    best = {each.first_model for each in drawn.values()} & _models(atelier, "cpo")
    best |= {each.second_model for each in drawn.values()} & _models(atelier, "cpo")
    for participant, token in lead:
        order = find_order(atelier.db, study, participant)
        for place, shown in enumerate(order, start=1):
            pair = drawn[shown.pair_id]
            if pair.kind == "identical":
                answer = "tie"
            else:
                answer = "left" if (pair.first_model in best) == shown.first_is_left else "right"
            for key in ROOTS:
                said = "tie" if key == "light" else answer
                path = f"/api/v1/study/{token}/pairs/{place}/{key}"
                assert api.put(path, json={"answer": said}).status_code == 200
        assert api.post(f"/api/v1/study/{token}/finish").status_code == 200
    return study


def _models(atelier: Atelier, ending: str) -> set[int]:
    from app.studies.models import StudyModel

    found = select(StudyModel.id).where(StudyModel.name.endswith(ending))
    return set(atelier.db.scalars(found))


def of(comparison: dict[str, Any]) -> float:
    """The share of the CPO model, whichever side of the comparison it is."""
    share: float = comparison["overall"]["share"]
    return share if comparison["model"].endswith("cpo") else 1 - share


def test_results_say_what_was_answered(
    api: TestClient, atelier: Atelier, judged: Study, token_for: TokenFor
) -> None:
    lead = token_for(atelier.cast.lea)
    found = api.get(f"/api/v1{ROOM}/{judged.id}/results", headers=lead).json()
    assert [each["group"] for each in found["comparisons"]] == ["G1", "G2"]
    for each in found["comparisons"]:
        assert of(each) == pytest.approx(2.5 / 3)
        assert each["overall"]["answers"] == 4 * 3 * 3  # checks count in no preference
        light, color, _ = each["dimensions"]
        assert (light["ties"], light["share"], light["p_pairs"]) == (12, 0.5, None)
        assert color["p_pairs"] == pytest.approx(2 / 2**4)
        assert color["holm_pairs"] == pytest.approx(4 / 2**4)
        assert color["p_people"] == pytest.approx(0.25)
    for each in found["consistency"]:
        assert (each["same_again"], each["ties_of_identical"], each["like_others"]) == (1, 1, 1)
    assert found["rankings"] == []
    people = api.get(f"/api/v1{ROOM}/{judged.id}/participants", headers=lead).json()["items"]
    assert {(each["checks"], each["checks_passed"]) for each in people} == {(1, 1)}


def test_who_is_revoked_counts_in_nothing(
    api: TestClient, atelier: Atelier, judged: Study, token_for: TokenFor
) -> None:
    lead = token_for(atelier.cast.lea)
    here = f"/api/v1{ROOM}/{judged.id}"
    assert api.delete(f"{here}/participants/2", headers=lead).status_code == 204
    found = api.get(f"{here}/results", headers=lead).json()
    assert found["comparisons"][0]["overall"]["participants"] == 2
    assert found["participants"]["revoked"] == 1
    assert len(found["consistency"]) == 2


def test_three_models_are_ranked(api: TestClient, atelier: Atelier, token_for: TokenFor) -> None:
    study = atelier.study({"G1": ("a", "b", "c")}, prompts=3)
    for _, token in atelier.seats(study, 2):
        answer_like(api, token, {"light": "left", "color": "right"})
    lead = token_for(atelier.cast.lea)
    found = api.get(f"/api/v1{ROOM}/{study.id}/results", headers=lead).json()
    assert len(found["comparisons"]) == 3
    overall, *by_dimension = found["rankings"]
    assert overall["key"] == "overall" and len(by_dimension) == 3
    assert {each["name"] for each in overall["rows"]} == {"a", "b", "c"}
    assert sum(each["strength"] for each in overall["rows"]) == pytest.approx(0, abs=1e-9)


def test_pages_and_files_show_the_result(
    browser: TestClient, atelier: Atelier, judged: Study, sign_in: SignIn
) -> None:
    sign_in(browser, atelier.cast.lea)
    here = f"{ROOM}/{judged.id}"
    page = browser.get(here).text
    assert "User preference (%)" in page and "Composition" in page and "83" in page
    report = browser.get(f"{here}/report").text
    assert "were drawn at random (seed 7)" in report
    assert "User Preference" in report and "Table" in report
    rows = list(
        csv.DictReader(io.StringIO(browser.get(f"{here}/results.csv").text.lstrip("\ufeff")))
    )
    assert len(rows) == 2 * 4 and {row["key"] for row in rows} == {*ROOTS, "overall"}
    latex = browser.get(f"{here}/results.tex").text
    assert "User Preference" in latex and "sdxl-cpo" in latex and "–" not in latex
    answers = list(
        csv.DictReader(io.StringIO(browser.get(f"{here}/answers.csv").text.lstrip("\ufeff")))
    )
    assert len(answers) == 3 * (8 + 1 + 1) * 3
    chosen = {
        row["choice"] for row in answers if row["kind"] == "pair" and row["dimension"] == "color"
    }
    assert chosen == {"sdxl-cpo", "flux-cpo"}
    assert [row["participant"] for row in answers] == sorted(row["participant"] for row in answers)


def test_the_pairs_can_be_looked_at(
    browser: TestClient, atelier: Atelier, judged: Study, sign_in: SignIn
) -> None:
    sign_in(browser, atelier.cast.lea)
    here = f"{ROOM}/{judged.id}"
    page = browser.get(f"{here}/pairs").text
    assert page.count('id="pair-') == 8
    assert page.count("preferred 6") == 8 and page.count("no difference 3") == 8
    address = page.split('<img src="')[1].split('"')[0]
    assert browser.get(address).headers["content-type"] == "image/jpeg"
    other = atelier.draft(name="Other")
    assert browser.get(address.replace(f"/{judged.id}/", f"/{other.id}/")).status_code == 404
    assert "drawn when the study is opened" in browser.get(f"{ROOM}/{other.id}/pairs").text
    # Whoever may take part does not learn which model made what.
    sign_in(browser, atelier.cast.ben)
    assert browser.get(f"{here}/pairs").status_code == 403
    assert browser.get(address).status_code == 403


def test_answers_become_a_pair_dataset(
    browser: TestClient, db: Session, atelier: Atelier, judged: Study, sign_in: SignIn
) -> None:
    sign_in(browser, atelier.cast.lea)
    here = f"{ROOM}/{judged.id}"
    wrong = browser.post(f"{here}/pair-datasets", data={"name": "x", "min_agreement": 200})
    assert wrong.status_code == 422
    asked = browser.post(f"{here}/pair-datasets", data={"name": "Preferred", "min_agreement": 60})
    assert asked.status_code == 303
    atelier.work()
    pairs = db.scalars(select(PairDataset)).one()
    assert pairs.counts["pairs"] == 8 and pairs.counts["participants"] == 3
    lines = (folder_of(pairs) / "train" / "pairs.jsonl").read_text().splitlines()
    reason = json.loads(lines[0])["reason"]
    assert reason["participants"] == {"winner": 3, "loser": 0, "neither": 0}
    page = browser.get(asked.headers["location"]).text
    assert "a study" in page
    assert str(Path(folder_of(pairs)).name) in page
