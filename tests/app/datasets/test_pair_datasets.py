"""Pair datasets through pages and API: asked for, numbered, looked at, refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.datasets.models import Dataset, PairDataset
from app.jobs.models import OPEN_STATES, Job
from app.settings import settings
from tests.factories import Make
from tests.people import Cast, cast

SignInAt = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
PAGE, API = "/projects/paintings/datasets/pairs", "/api/v1/projects/paintings/datasets/pairs"
GENERATE = "/projects/paintings/datasets/pairs/generated"


@pytest.fixture(autouse=True)
def _own_folders(servers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "home", tmp_path / "home")
    monkeypatch.setattr(settings(), "import_folders", [tmp_path / "open"])
    (tmp_path / "open").mkdir()
    model = settings().models_folder / "tiny"
    model.mkdir(parents=True)
    (model / "model_index.json").write_text("{}")


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def lea(browser: TestClient, sign_in: SignInAt, people: Cast) -> TestClient:
    return sign_in(browser, people.lea)


@pytest.fixture
def dataset(db: Session, make: Make, people: Cast) -> Dataset:
    """A dataset that is ready."""
    dataset = Dataset(
        project_id=people.project.id, number=3, name="Houses",
        version_id=make.version(people.project, number=1).id,
        counts={"images": 10, "train": 8}, folder="houses", manifest_sha256="a" * 64,
    )  # fmt: skip
    (settings().datasets_folder / "houses").mkdir(parents=True)
    (settings().datasets_folder / "houses" / "manifest.json").write_text("{}")
    db.add(dataset)
    db.commit()
    return dataset


def newest(db: Session) -> tuple[PairDataset, Job]:
    db.rollback()
    db.expire_all()
    pairs = db.scalars(select(PairDataset).order_by(PairDataset.id.desc())).first()
    assert pairs is not None
    return pairs, db.get_one(Job, pairs.job_id)


def keep(db: Session, people: Cast, job: Job, **values: Any) -> PairDataset:
    pairs = PairDataset(
        **(
            {
                "project_id": people.project.id, "number": 1, "name": "Pairs <1>", "source": "import",
                "options": {"path": "/open/pairs.parquet"}, "job_id": job.id,
            }
            | values
        )
    )  # fmt: skip
    db.add(pairs)
    db.commit()
    return pairs


def test_a_lead_asks_for_pairs_by_labels(
    lea: TestClient, db: Session, people: Cast, dataset: Dataset
) -> None:
    page = lea.get(PAGE)
    assert page.status_code == 200
    assert "No image pairs yet" in page.text and "3: Houses (10 images)" in page.text
    form = {"name": " By  labels ", "dataset_id": str(dataset.id), "min_difference": "2"}
    answer = lea.post(f"{PAGE}/by-labels", data=form | {"max_pairs_per_image": "3"})
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    pairs, job = newest(db)
    assert (pairs.number, pairs.name, pairs.source) == (1, "By labels", "labels")
    assert (pairs.dataset_id, pairs.created_by) == (dataset.id, people.lea.id)
    assert pairs.options == {
        "min_difference": 2,
        "nearest": 0,
        "max_pairs_per_image": 3,
        "with_unfinished": False,
    }
    assert (job.kind, job.queue, job.spec) == ("pair_dataset", "cpu", {"pair_dataset_id": pairs.id})
    lea.post(f"{PAGE}/by-labels", data=form | {"is_nearest": "true"})
    pairs, _ = newest(db)
    assert (pairs.number, pairs.options["nearest"]) == (2, 5)


def test_a_lead_asks_for_generated_pairs(lea: TestClient, db: Session, dataset: Dataset) -> None:
    assert 'value="tiny"' in lea.get(GENERATE).text
    form = {
        "name": "Made", "dataset_id": str(dataset.id), "base_model": "tiny", "run_id": "",
        "images_per_prompt": "6", "max_prompts": "5", "resolution": "64", "steps": "12",
        "guidance": "3.5", "seed": "7",
    }  # fmt: skip
    answer = lea.post(GENERATE, data=form)
    pairs, job = newest(db)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}/{pairs.id}")
    assert (pairs.source, job.queue) == ("generated", "gpu")
    assert pairs.options == {
        "base_model": str(settings().models_folder / "tiny"), "run_id": None, "images_per_prompt": 6,
        "max_prompts": 5, "resolution": 64, "steps": 12, "guidance": 3.5, "seed": 7,
    }  # fmt: skip
    for wrong, field in (
        ({"images_per_prompt": "1"}, "field-images_per_prompt"),
        ({"steps": "many"}, "field-steps"),
        ({"dataset_id": ""}, "generate-dataset"),
        ({"base_model": "/etc"}, "field-base_model"),
        ({"run_id": str(2**62)}, "run_id"),
    ):
        refused = lea.post(GENERATE, data=form | wrong)
        assert refused.status_code == 422
        assert f'id="error-{field}"' in refused.text
    assert db.scalar(select(func.count(PairDataset.id))) == 1


def test_a_lead_imports_what_lies_in_an_open_folder(
    lea: TestClient, db: Session, tmp_path: Path
) -> None:
    (tmp_path / "open" / "pairs.parquet").write_bytes(b"")
    (tmp_path / "open" / "link.parquet").symlink_to(tmp_path / "secret.parquet")
    (tmp_path / "secret.parquet").write_bytes(b"")
    (tmp_path / "open" / "pairs.csv").write_bytes(b"")
    for path in ("secret.parquet", "open/link.parquet", "open/pairs.csv", "open/no.parquet", ""):
        answer = lea.post(f"{PAGE}/imported", data={"name": "X", "path": str(tmp_path / path)})
        assert answer.status_code == 422
        assert "There is no such Parquet file or folder" in answer.text
    assert lea.post(f"{PAGE}/imported", data={"name": "X", "path": "\x00"}).status_code == 422
    good = {"name": "Picked", "path": f"{tmp_path}/open/../open/pairs.parquet"}
    assert lea.post(f"{PAGE}/imported", data=good).status_code == 303
    pairs, _ = newest(db)
    assert pairs.options == {"path": str(tmp_path / "open" / "pairs.parquet")}
    assert pairs.dataset_id is None


def test_without_open_folders_the_form_says_who_opens_some(
    lea: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "import_folders", [])
    assert "MORELLI_IMPORT_FOLDERS" in lea.get(PAGE).text
    answer = lea.post(f"{PAGE}/imported", data={"name": "X", "path": "/x.parquet"})
    assert answer.status_code == 422
    assert "No folder of the server is open" in answer.text


@pytest.mark.parametrize(
    "form",
    [
        {"name": ""},
        {"name": "x" * 121},
        {"min_difference": "0"},
        {"min_difference": "few"},
        {"max_pairs_per_image": "0"},
        {"dataset_id": ""},
        {"dataset_id": str(2**62)},
        {"dataset_id": "x"},
    ],
)
def test_a_wrong_form_is_shown_again_with_what_was_typed(
    lea: TestClient, db: Session, dataset: Dataset, form: dict[str, str]
) -> None:
    typed = {"name": "Spring", "dataset_id": str(dataset.id), "min_difference": "1"}
    answer = lea.post(f"{PAGE}/by-labels", data=typed | {"max_pairs_per_image": "4"} | form)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert "Spring" in answer.text or "name" in form
    assert db.scalar(select(func.count(Job.id))) == 0


@pytest.mark.parametrize("state", ["queued", "running", "cancelling", "failed", "cancelled"])
def test_the_list_and_a_pair_dataset_in_every_state(
    lea: TestClient, htmx: TestClient, sign_in: SignInAt, db: Session, make: Make, people: Cast,
    state: str,
) -> None:  # fmt: skip
    values: dict[str, Any] = {"error": "It <broke>."} if state == "failed" else {}
    if state in ("running", "cancelling"):
        values["lease_until"] = func.now()
    job = make.job(people.project, kind="pair_dataset", state=state, **values)
    one = f"{PAGE}/{keep(db, people, job).id}"
    for address in (PAGE, one):
        text = lea.get(address).text
        assert "Pairs &lt;1&gt;" in text and f"chip-{state}" in text
        assert ("It &lt;broke&gt;." in text) == (state == "failed")
        fragment = sign_in(htmx, people.ben).get(address).text
        assert "<html" not in fragment
        assert ("every 2s" in fragment) == (state in OPEN_STATES)
    assert "Train Diffusion-DPO" not in lea.get(one).text


def test_a_ready_one_says_what_is_in_it_and_leads_to_training(
    lea: TestClient, db: Session, make: Make, people: Cast
) -> None:
    counts = {
        "pairs": 12, "train": 9, "validation": 2, "test": 1, "images": 20, "candidates": 30,
        "dropped": {"tie": 18},
    }  # fmt: skip
    job = make.job(people.project, kind="pair_dataset", state="succeeded")
    pairs = keep(
        db, people, job, counts=counts, folder="pairs-1", manifest_sha256="c" * 64, bytes=2048
    )
    page = lea.get(f"{PAGE}/{pairs.id}").text
    assert "of 30 candidates" in page and "18 tie" in page and "c" * 64 in page
    for kind in ("dpo", "npo"):
        assert f"new?kind={kind}&amp;pairs={pairs.id}" in page
    launch = lea.get(f"/projects/paintings/runs/new?kind=dpo&pairs={pairs.id}").text
    assert f'<option value="{pairs.id}" selected>1: Pairs &lt;1&gt; (9 for training)' in launch


def test_api(
    api: TestClient, token_for: TokenFor, people: Cast, dataset: Dataset, tmp_path: Path
) -> None:
    lea, ben = token_for(people.lea), token_for(people.ben)
    asked = {"name": "By program", "dataset_id": dataset.id}
    made = api.post(f"{API}/by-labels", json=asked | {"nearest": 0}, headers=lea)
    assert (made.status_code, made.json()["state"], made.json()["sha256"]) == (202, "queued", None)
    (tmp_path / "open" / "a.parquet").write_bytes(b"")
    path = str(tmp_path / "open" / "a.parquet")
    imported = api.post(f"{API}/imported", json={"name": "Picked", "path": path}, headers=lea)
    assert imported.status_code == 202
    generated = api.post(
        f"{API}/generated", json=asked | {"base_model": "tiny", "resolution": 64}, headers=lea
    )
    assert (generated.status_code, generated.json()["source"]) == (202, "generated")
    page = api.get(API, params={"limit": 2}, headers=ben).json()
    assert [each["number"] for each in page["items"]] == [3, 2]
    rest = api.get(API, params={"before": page["next"]}, headers=ben).json()
    assert ([each["number"] for each in rest["items"]], rest["next"]) == ([1], None)
    one = api.get(f"{API}/{made.json()['id']}", headers=ben).json()
    assert one["options"]["nearest"] == 0
    for address, body, words in (
        ("by-labels", asked | {"min_difference": 0}, "from 1 to 1000"),
        ("by-labels", asked | {"dataset_id": 2**62}, "no such dataset"),
        ("imported", {"name": "X", "path": "/etc/passwd"}, "no such Parquet file"),
        ("generated", asked | {"base_model": "nothing"}, "no base model"),
        ("generated", asked | {"base_model": "tiny", "images_per_prompt": 1}, "from 2 to 16"),
    ):
        refused = api.post(f"{API}/{address}", json=body, headers=lea)
        assert refused.status_code == 422
        assert words in refused.json()["detail"]


def test_who_may_do_what(
    browser: TestClient, api: TestClient, sign_in: SignInAt, token_for: TokenFor, people: Cast,
    db: Session, make: Make,
) -> None:  # fmt: skip
    pairs = keep(db, people, make.job(people.project, kind="pair_dataset"))
    ben = sign_in(browser, people.ben)
    page = ben.get(PAGE)
    assert page.status_code == 200 and "Make image pairs" not in page.text
    assert ben.get(GENERATE).status_code == 403
    for address in (f"{PAGE}/by-labels", f"{PAGE}/imported", GENERATE):
        assert ben.post(address, data={"name": "X"}).status_code == 403
    for address in ("by-labels", "imported", "generated"):
        assert api.post(f"{API}/{address}", json={}, headers=token_for(people.ben)).status_code in (
            403,
            422,
        )
    dora = sign_in(browser, people.dora)
    for address in (PAGE, f"{PAGE}/{pairs.id}", f"/projects/elsewhere/datasets/pairs/{pairs.id}"):
        assert dora.get(address).status_code == 404
    assert "Pairs &lt;1&gt;" not in dora.get("/projects/elsewhere/datasets/pairs").text
