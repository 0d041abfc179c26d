"""Images are found by the dataset and the split that they were frozen into."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.datasets import freezing
from app.datasets.models import Dataset, DatasetImage
from app.datasets.splits import sweep_unread
from app.errors import Invalid, NotFound
from app.images.asked import read_asked
from app.images.finding import Total, count_images, find_images
from app.images.narrowing import read_narrowing
from tests.app.datasets.gallery import open_gallery
from tests.factories import Make

pytestmark = pytest.mark.usefixtures("own_storage")

SPLITS = ("train", "validation", "test")


class Hall:
    """Eight images with labels of which a dataset holds all, and one that came later."""

    def __init__(self, db: Session, make: Make) -> None:
        self.db, self.gallery = db, open_gallery(db, make)
        for image in self.gallery.hang_many(8):
            self.gallery.decide(image, "warm-dominance")
        self.dataset, job = self.gallery.freeze(name="First", salt="pepper")
        self.gallery.work(job)
        assert job.state == "succeeded"
        self.images = [each.id for each in self.gallery.images]
        self.later = make.image(self.gallery.project).id
        db.commit()

    @property
    def folder(self) -> Path:
        return freezing.folder_of(self.dataset)

    def in_lines(self, *splits: str) -> list[int]:
        """The images that the lines of the folder name."""
        return sorted(
            json.loads(line)["image_id"]
            for split in splits or SPLITS
            for path in self.folder.glob(f"{split}/examples.jsonl")
            for line in path.read_text("utf-8").splitlines()
        )

    def found(self, query: str) -> list[int]:
        narrowing = read_asked(query).narrowing
        assert read_asked(narrowing.query).narrowing == narrowing
        page = find_images(self.db, self.gallery.project, narrowing=narrowing)
        total = count_images(self.db, self.gallery.project, narrowing=narrowing)
        assert total == Total(len(page.images))
        return [each.id for each in page.images]


@pytest.fixture
def hall(db: Session, make: Make) -> Hall:
    return Hall(db, make)


def test_images_are_found_by_dataset_and_split(hall: Hall) -> None:
    assert hall.found("dataset=1") == hall.in_lines() == hall.images
    for split in SPLITS:
        assert hall.found(f"dataset=1&split={split}") == hall.in_lines(split)
        assert hall.found(f"split={split}") == hall.in_lines(split)
    assert hall.found("dataset=any") == hall.images
    assert hall.found("dataset=none") == [hall.later]
    assert hall.found("dataset=1&key=warm-dominance&polarity=negative") == []
    assert hall.found("dataset=1&key=warm-dominance") == hall.images


def test_nonsense_is_refused_by_field(hall: Hall) -> None:
    for given, field in (
        ({"split": ["exam"]}, "split"),
        ({"dataset": ["first"]}, "dataset"),
        ({"dataset": ["none"], "split": ["test"]}, "split"),
    ):
        with pytest.raises(Invalid) as refused:
            read_narrowing(given, suggestions=False)
        assert refused.value.field == field
    with pytest.raises(NotFound, match="no dataset number 7"):
        hall.found("dataset=7")


def test_an_earlier_dataset_is_read_from_its_folder(hall: Hall) -> None:
    db, lines = hall.db, hall.in_lines("train")
    db.execute(delete(DatasetImage))
    db.execute(update(Dataset).values(images_are="unread"))
    db.commit()
    with pytest.raises(Invalid, match="being read"):
        hall.found("dataset=1")
    assert hall.found("dataset=none") == [*hall.images, hall.later]
    with (hall.folder / "train" / "examples.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"image_id": "none"}\nno line\n')
    assert (sweep_unread(), sweep_unread()) == (1, 0)
    db.expire_all()
    assert hall.found("dataset=1&split=train") == lines
    assert hall.found("dataset=none") == [hall.later]


def test_a_dataset_whose_folder_is_gone_says_so(hall: Hall) -> None:
    hall.db.execute(delete(DatasetImage))
    hall.db.execute(update(Dataset).values(images_are="unread"))
    hall.db.commit()
    shutil.rmtree(hall.folder)
    assert sweep_unread() == 1
    hall.db.expire_all()
    with pytest.raises(Invalid, match="is gone, so which images it held is not known"):
        hall.found("dataset=1")
    assert hall.found("dataset=any") == []


def test_the_wall_and_the_api_ask_the_same(
    hall: Hall,
    browser: TestClient,
    api: TestClient,
    sign_in: Callable[[TestClient, Person], TestClient],
    token_for: Callable[[Person], dict[str, str]],
) -> None:
    project, lea = hall.gallery.project, hall.gallery.people.lea
    expected = hall.in_lines("train")
    query = "dataset=1&split=train"
    found = api.get(f"/api/v1/projects/{project.slug}/images?{query}", headers=token_for(lea))
    assert [each["id"] for each in found.json()["items"]] == expected
    refused = api.get(f"/api/v1/projects/{project.slug}/images?dataset=9", headers=token_for(lea))
    assert refused.status_code == 404
    client = sign_in(browser, lea)
    page = client.get(f"/projects/{project.slug}/images?{query}").text
    shown = [each for each in [*hall.images, hall.later] if f'id="image-{each}"' in page]
    assert shown == expected
    assert "1 First (8)" in page
    assert f"Train ({len(expected)})" in page
    body = {"name": "What trains", "query": query, "is_shared": False}
    kept = api.post(f"/api/v1/projects/{project.slug}/filters", json=body, headers=token_for(lea))
    assert kept.json()["query"].endswith(query)
