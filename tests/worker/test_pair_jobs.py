"""Pair datasets under the ledger: built by children, published whole, cancelled, refused, taken up again."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.datasets import erasures, freezing, pairing
from app.datasets.models import Dataset, PairDataset
from app.datasets.pairing import Generation
from app.erasing.erasing import erase
from app.jobs import queueing
from app.jobs.models import Job
from app.settings import settings
from tests.app.datasets.gallery import BLUE, Gallery, encoded, landscape, open_gallery, picture
from tests.factories import Make
from tests.spoiling import SPOILT, Spoil, cut
from tests.worker.pairs.test_from_pick_a_pic import row, write
from worker import ledger, pair_images, pair_jobs, training_jobs

HANDLERS: dict[str, ledger.Handler] = {"pair_dataset": pair_jobs.run}


@pytest.fixture(autouse=True)
def _own_home(own_storage: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "import_folders", [tmp_path / "open"])


@pytest.fixture
def gallery(db: Session, make: Make) -> Gallery:
    """Twelve pictures of one prompt; half of them have a negative attribute."""
    gallery = open_gallery(db, make)
    images = [gallery.hang(encoded(landscape(number))) for number in range(12)]
    for number, image in enumerate(images):
        gallery.decide(image, "warm-dominance")
        if number % 2:
            gallery.decide(image, "wide-tonal-range", "negative")
    return gallery


@pytest.fixture
def dataset(gallery: Gallery) -> Dataset:
    dataset, job = gallery.freeze()
    gallery.work(job)
    return dataset


def work(pairs: PairDataset) -> tuple[PairDataset, Job]:
    """Do the job of a pair dataset, and look at both rows again."""
    assert ledger.run(pairs.job_id or 0, HANDLERS)
    with unit_of_work() as db:
        return db.get_one(PairDataset, pairs.id), db.get_one(Job, pairs.job_id)


def by_labels(gallery: Gallery, dataset: Dataset, **values: Any) -> PairDataset:
    with unit_of_work() as db:
        return pairing.pair_by_labels(
            db, gallery.project, name="Pairs", dataset_id=dataset.id, by=None, **values
        )


def sides(pairs: PairDataset) -> set[int]:
    """The images that stand in a pair dataset made from labels."""
    lines = pairing.folder_of(pairs).glob("*/pairs.jsonl")
    rows = [json.loads(line) for path in lines for line in path.read_text().splitlines()]
    return {int(row[side]) for row in rows for side in ("winner_id", "loser_id")}


def left_in(home: Path) -> list[str]:
    return sorted(each.name for each in home.iterdir())


def test_pairs_by_labels(gallery: Gallery, dataset: Dataset) -> None:
    asked = by_labels(gallery, dataset, max_pairs_per_image=1)
    pairs, job = work(asked)
    assert (job.state, job.queue, job.error) == ("succeeded", "cpu", None)
    folder = pairing.folder_of(pairs)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["sha256"], manifest["counts"]) == (pairs.manifest_sha256, pairs.counts)
    assert (manifest["name"], manifest["source"]) == ("Pairs", "labels")
    assert manifest["made_from"]["rule"]["max_pairs_per_image"] == 1
    assert pairs.counts["train"] >= 1
    assert pairs.bytes == sum(each["bytes"] for each in manifest["files"])
    assert left_in(settings().pairs_folder) == [folder.name]
    assert (job.result or {})["pairs"] == pairs.counts["pairs"]


def test_nothing_to_pair_is_told_in_words(gallery: Gallery, dataset: Dataset) -> None:
    pairs, job = work(by_labels(gallery, dataset, min_difference=9))
    assert (job.state, job.error_class, job.failures) == ("failed", "data", 1)
    assert "No pair came out" in str(job.error)
    assert pairs.manifest_sha256 is None
    assert left_in(settings().pairs_folder) == []


def test_imports_a_parquet_file(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    path = write(tmp_path / "open" / "train.parquet", [row(1, 2), row(3, 4, 0.0)])
    with unit_of_work() as db:
        asked = pairing.import_pairs(db, gallery.project, name="Picked", path=str(path), by=None)
    pairs, job = work(asked)
    assert (job.state, pairs.counts["pairs"], pairs.source) == ("succeeded", 2, "import")


def test_a_killed_publication_is_made_again(
    gallery: Gallery, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(_: Path) -> None:
        raise Killed

    asked = by_labels(gallery, dataset)
    with monkeypatch.context() as patch:
        patch.setattr(pair_jobs, "sync", die)
        with pytest.raises(Killed):
            ledger.run(asked.job_id or 0, HANDLERS)
    with unit_of_work() as db:
        job = db.get_one(Job, asked.job_id)
        assert db.get_one(PairDataset, asked.id).manifest_sha256 is None
        # The sweeper takes the job back from a dead worker.
        job.state, job.lease_until = "queued", None
    pairs, job = work(asked)
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert left_in(settings().pairs_folder) == [pairs.folder]
    # The message comes once more, and again to a worker that has not heard.
    with unit_of_work() as db:
        db.get_one(Job, asked.job_id).state = "queued"
    again, _ = work(asked)
    assert again.manifest_sha256 == pairs.manifest_sha256


def test_a_cancelled_job_stops_its_child(
    gallery: Gallery, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = by_labels(gallery, dataset)
    monkeypatch.setattr(training_jobs, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(ledger, "HEARTBEAT_SECONDS", 0.05)
    patient = "import time; print('waiting', flush=True); time.sleep(600)"
    started = training_jobs.child

    def child(command: list[str], folder: Path) -> Any:
        with unit_of_work() as db:
            queueing.request_cancel(db, gallery.project, asked.job_id or 0)
        (folder / "patient.py").write_text(patient)
        monkeypatch.setenv("PYTHONPATH", f"{folder}:{':'.join(sys.path)}")
        return started(["patient"], folder)

    monkeypatch.setattr(pair_jobs, "child", child)
    pairs, job = work(asked)
    assert (job.state, pairs.manifest_sha256) == ("cancelled", None)
    assert left_in(settings().pairs_folder) == []


# Generated ----------------------------------------------------------------------------------------


def write_images(folder: Path, prompts: list[str]) -> None:
    """Generated images as `worker.pair_images` leaves them: one with a dull colour, one without."""
    folder.mkdir(parents=True)
    rows = []
    for number, prompt in enumerate(prompts):
        dull = Image.fromarray(np.full((64, 64, 3), 128, dtype=np.uint8))
        for seed, image in enumerate((picture(number, BLUE, (64, 64)), dull)):
            file = f"{number}-{seed}.png"
            image.save(folder / file)
            rows.append({"prompt": prompt, "seed": seed, "file": file, "model": "tiny"})
    (folder / "index.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))


def test_generated_images_are_ranked_and_a_rerun_takes_them_up(
    gallery: Gallery, dataset: Dataset
) -> None:
    with unit_of_work() as db:
        asked = pairing.pair_generated(
            db, gallery.project, name="Made", dataset_id=dataset.id, by=None,
            generation=Generation("/models/none", max_prompts=2, images_per_prompt=2),
        )  # fmt: skip
    images = settings().pairs_folder / f".paintings-0001-{asked.id}.images"
    write_images(images, ["a house", "a tree"])
    pairs, job = work(asked)
    assert (job.state, job.queue, job.error) == ("succeeded", "gpu", None)
    assert pairs.counts["pairs"] == 2
    assert left_in(settings().pairs_folder) == [pairs.folder]


def test_a_model_that_cannot_be_loaded_is_told_in_words(gallery: Gallery, dataset: Dataset) -> None:
    with unit_of_work() as db:
        asked = pairing.pair_generated(
            db, gallery.project, name="Made", dataset_id=dataset.id, by=None,
            generation=Generation("/models/none"),
        )  # fmt: skip
    _, job = work(asked)
    assert (job.state, job.error_class) == ("failed", "user_config")
    assert "…/none" in str(job.error)


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_dataset_whose_lines_are_lost_is_told_in_words(
    gallery: Gallery, dataset: Dataset, spoil: Spoil
) -> None:
    folder = freezing.folder_of(dataset)
    spoil(folder / "train" / "examples.jsonl")
    with unit_of_work() as db:
        asked = pairing.pair_generated(
            db, gallery.project, name="Made", dataset_id=dataset.id, by=None,
            generation=Generation("/models/none"),
        )  # fmt: skip
    _, job = work(asked)
    assert (job.state, job.error_class) == ("failed", "user_config" if spoil is cut else "data")
    assert str(settings().home) not in str(job.error)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_generates_with_a_model_and_goes_on_where_it_was_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from worker.training.tiny_model import make_tiny_sdxl

    model = make_tiny_sdxl(tmp_path / "model", fit=False)
    request = {
        "folder": str(tmp_path / "images"), "prompts": ["a house"], "images_per_prompt": 2, "seed": 5,
        "base_model": str(model), "mode": "lora", "weights": None, "steps": 2, "guidance": 3.0,
        "resolution": 64, "model": "tiny",
    }  # fmt: skip
    path = tmp_path / "request.json"
    path.write_text(json.dumps(request))
    assert pair_images.main([str(path)]) == 0
    lines = (tmp_path / "images" / "index.jsonl").read_text().splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [5, 6]
    files = {each.name: each.read_bytes() for each in (tmp_path / "images").glob("*.png")}
    assert len(files) == 2
    # As a kill in between would leave it.
    unfinished = tmp_path / ".images.unfinished"
    (tmp_path / "images").rename(unfinished)
    next(unfinished.glob("*.png")).unlink()
    assert pair_images.main([str(path)]) == 0
    assert {each.name: each.read_bytes() for each in (tmp_path / "images").glob("*.png")} == files
    assert "Generating 2 of 2." in capsys.readouterr().err
    shutil.rmtree(tmp_path / "images")
    path.write_text(json.dumps(request | {"resolution": 63}))
    assert pair_images.main([str(path)]) == 2
    assert "multiple of" in capsys.readouterr().err


def test_pairs_that_hold_an_erased_image_are_marked(gallery: Gallery, dataset: Dataset) -> None:
    """Whether it was erased after they were made, before, or while they were: the folder holds it."""
    first, _ = work(by_labels(gallery, dataset, max_pairs_per_image=1))
    held = sides(first)
    image = next(each for each in gallery.images if each.id in held)
    with unit_of_work() as db:
        erased = erase(db, gallery.project, image.id, reason="asked for", by=gallery.people.lea)
        assert erased.holding == [
            db.get_one(Dataset, dataset.id),
            db.get_one(PairDataset, first.id),
        ]
    # The dataset holds it still, so whatever is made from it later does, too.
    second, _ = work(by_labels(gallery, dataset, max_pairs_per_image=1))
    assert image.id in sides(second)
    with unit_of_work() as db:
        for each in (first, second):
            assert erasures.erased_in(db, db.get_one(PairDataset, each.id)) == [image.id]
        assert "image that was erased" in (
            erasures.doubt(db, db.get_one(Dataset, dataset.id)) or ""
        )
    other = next(each for each in gallery.images if each.id in held and each.id != image.id)
    with unit_of_work() as db:
        erase(db, gallery.project, other.id, reason="asked for", by=gallery.people.lea)
        gone = erasures.find_erased(
            db, [db.get_one(PairDataset, first.id), db.get_one(Dataset, dataset.id)]
        )
        assert list(gone.values()) == [sorted((image.id, other.id))] * 2


def test_pairs_without_the_erased_image_are_not_marked(gallery: Gallery, dataset: Dataset) -> None:
    lonely = gallery.hang(encoded(picture(99, BLUE)), name="late.png")
    pairs, _ = work(by_labels(gallery, dataset, max_pairs_per_image=1))
    with unit_of_work() as db:
        erased = erase(db, gallery.project, lonely.id, reason="asked for", by=gallery.people.lea)
        assert erased.holding == []
        assert erasures.erased_in(db, db.get_one(PairDataset, pairs.id)) == []
