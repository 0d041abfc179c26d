"""Images of evaluations: found in the folders of finished runs, checked against their hashes, taken in as a group."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.datasets.models import Dataset
from app.images.image_files import hash_of
from app.runs.launching import folder_of
from app.runs.models import Run
from app.studies.opening import get_gathering
from tests.app.studies.conftest import ROOM, Atelier, picture

SignIn = Callable[[TestClient, Person], TestClient]


@pytest.fixture
def run(atelier: Atelier) -> Run:
    """A finished run whose evaluation left the images of base and target for three prompts."""
    db, project = atelier.db, atelier.cast.project
    dataset = Dataset(
        project_id=project.id, number=1, name="Spring", version_id=atelier.version.id, counts={}
    )
    db.add(dataset)
    db.flush()
    run = Run(
        project_id=project.id,
        number=1,
        name="sdxl-cpo",
        kind="sft",
        job_id=atelier.make.job(project, kind="training", state="succeeded").id,
        dataset_id=dataset.id,
        config={"kind": "sft"},
        folder="run-1",
        result={"sha256": "0" * 64},
    )
    db.add(run)
    db.commit()
    place = folder_of(run) / "evaluation" / "0-3"
    place.mkdir(parents=True)
    images = []
    for number, model in enumerate(("base", "target")):
        for index in range(3):
            data = picture(10 * number + index)
            name = f"{model}-{index:04d}.png"
            (place / name).write_bytes(data)
            images.append({"model": model, "index": index, "file": name, "sha256": hash_of(data)})
    prompts = [{"index": each, "prompt": f"a jug beside {each} pears"} for each in range(3)]
    said = {"format": "morelli-evaluation/1", "prompts": prompts, "images": images}
    (place / "results.json").write_text(json.dumps(said))
    return run


def test_evaluated_models_become_a_group(
    browser: TestClient, atelier: Atelier, run: Run, sign_in: SignIn
) -> None:
    study = atelier.draft()
    sign_in(browser, atelier.cast.lea)
    here = f"{ROOM}/{study.id}"
    page = browser.get(here).text
    assert "run 1, evaluation with seed 0, target, 3 prompts" in page
    keys = [f"{run.id}/0-3/{model}" for model in ("base", "target")]
    alone = browser.post(f"{here}/groups", data={"group": "G1", "models": keys[:1]})
    assert alone.status_code == 422 and "two models or more" in alone.text
    gone = browser.post(f"{here}/groups", data={"group": "G1", "models": [keys[0], "9/0-3/x"]})
    assert gone.status_code == 422 and "not there any more" in gone.text
    assert browser.post(f"{here}/groups", data={"group": "G1", "models": keys}).status_code == 303
    atelier.work()
    there = get_gathering(atelier.db, study)
    assert [each.name for each in there.models] == ["sdxl-cpo: base", "sdxl-cpo"]
    assert there.common_prompts == 3


def test_a_file_that_was_changed_since_is_named(
    browser: TestClient, atelier: Atelier, run: Run, sign_in: SignIn
) -> None:
    (folder_of(run) / "evaluation" / "0-3" / "base-0001.png").write_bytes(picture(500))
    study = atelier.draft()
    sign_in(browser, atelier.cast.lea)
    keys = [f"{run.id}/0-3/{model}" for model in ("base", "target")]
    browser.post(f"{ROOM}/{study.id}/groups", data={"group": "G1", "models": keys})
    atelier.work()
    page = browser.get(f"{ROOM}/{study.id}").text
    assert "changed after the evaluation made it" in page
    assert str(Path(folder_of(run))) not in page
    assert get_gathering(atelier.db, study).common_prompts == 2


@pytest.mark.parametrize(
    "said",
    [
        "{",
        "[]",
        '{"format": "other/1"}',
        '{"format": "morelli-evaluation/1", "prompts": [], "images": [{"model": "a", "index": 5, "file": "../../x.png"}]}',
    ],
)
def test_results_that_make_no_sense_are_passed_over(
    browser: TestClient, atelier: Atelier, run: Run, sign_in: SignIn, said: str
) -> None:
    (folder_of(run) / "evaluation" / "0-3" / "results.json").write_text(said)
    study = atelier.draft()
    sign_in(browser, atelier.cast.lea)
    assert "No finished run of this project was evaluated" in browser.get(f"{ROOM}/{study.id}").text
