"""Which images are files of one picture: found once, and right whatever happens to images afterwards."""

import numpy as np
import pytest
from PIL import Image as Pictures
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.erasing.erasing import erase
from app.images.looks import looks_of, pixels_of
from app.images.models import Image, PictureGroups
from app.images.pictures import compare_pictures, find_pictures
from app.images.removing import replace_file, set_aside
from app.projects.models import Project
from tests.factories import Make

pytestmark = pytest.mark.usefixtures("own_storage")


def turned(turn: float) -> Pictures.Image:
    """A picture between two that have nothing in common; those 15 degrees apart are near the same."""
    one, other = (np.random.default_rng(seed).normal(0, 40, (6, 6)) for seed in (1, 2))
    angle = np.radians(turn)
    forms = 128 + np.cos(angle) * one + np.sin(angle) * other
    small = Pictures.fromarray(forms.clip(0, 255).astype(np.uint8))
    return small.resize((96, 96), Pictures.Resampling.NEAREST).convert("RGB")


class Wall:
    """Images of one project that show pictures by their turn."""

    def __init__(self, db: Session, make: Make) -> None:
        self.db, self.make, self.project = db, make, make.project()
        self.lea = make.person("lea")

    def hang(self, *turns: float) -> list[Image]:
        images = [self.make.image(self.project) for _ in turns]
        for image, turn in zip(images, turns, strict=True):
            self.show(image, turn)
        return images

    def show(self, image: Image, turn: float) -> None:
        shown = turned(turn)
        image.pixels, image.looks = pixels_of(shown), looks_of(shown)
        self.db.commit()

    def groups(self) -> list[int]:
        """For each image by id the place of the first one of its picture, as it is read now."""
        found = find_pictures(self.db, self.project)
        hashes = list(self.db.scalars(select(Image.sha256).order_by(Image.id)))
        return [hashes.index(found[each]) for each in sorted(found)]

    def compare(self) -> None:
        self.db.commit()
        compare_pictures(unit_of_work, self.project.id)
        self.db.expire_all()

    def kept(self) -> list[int] | None:
        row = self.db.get(PictureGroups, self.project.id, populate_existing=True)
        return None if row is None else row.leaders


@pytest.fixture
def wall(db: Session, make: Make) -> Wall:
    return Wall(db, make)


def test_what_was_compared_is_kept_and_new_images_join(wall: Wall) -> None:
    first, second, third = wall.hang(0, 15, 60)
    assert wall.groups() == [0, 0, 2]
    wall.compare()
    assert wall.kept() == [first.id, first.id, third.id]
    assert wall.groups() == [0, 0, 2]
    # 30 and 45 close the gap: all is one chain.
    wall.hang(45)
    assert wall.groups() == [0, 0, 2, 2]
    wall.hang(30)
    assert wall.groups() == [0] * 5
    wall.compare()
    assert wall.kept() == [first.id] * 5
    assert second.id != first.id


def test_nothing_is_compared_twice(wall: Wall) -> None:
    wall.hang(0, 15, 60)
    wall.compare()
    # Were the looks read again, they would be found to be nothing.
    wall.db.execute(update(Image).values(looks=b"0" * 576))
    wall.db.commit()
    assert wall.groups() == [0, 0, 2]


def test_an_erased_link_of_a_chain_parts_its_ends(wall: Wall) -> None:
    _, middle, _, _ = wall.hang(0, 15, 30, 90)
    wall.compare()
    assert wall.groups() == [0, 0, 0, 3]
    erase(wall.db, wall.project, middle.id, reason="asked for", by=wall.lea)
    wall.db.commit()
    assert wall.groups() == [0, 1, 2, 3]
    wall.compare()
    assert wall.groups() == [0, 1, 2, 3]


def test_a_replaced_picture_leaves_its_group_and_joins_another(wall: Wall) -> None:
    _, second, _, fresh = wall.hang(0, 15, 90, 80)
    wall.compare()
    assert wall.groups() == [0, 0, 2, 2]
    replace_file(wall.db, wall.project, second.id, with_id=fresh.id, by=wall.lea)
    wall.db.commit()
    assert wall.groups() == [0, 1, 1, 0]
    wall.compare()
    assert wall.groups() == [0, 1, 1, 0]


def test_what_is_set_aside_keeps_others_in_their_split(wall: Wall) -> None:
    first, *_ = wall.hang(0, 15)
    wall.compare()
    set_aside(wall.db, wall.project, first.id, reason="a copy", by=wall.lea)
    wall.db.commit()
    assert wall.groups() == [0, 0]


def test_an_image_changed_while_others_are_compared_is_compared_again(wall: Wall) -> None:
    """The writer has read an earlier state than the one it writes beside."""
    first, second = wall.hang(0, 15)
    times = 0

    def meanwhile() -> None:
        nonlocal times
        times += 1
        if times == 1:
            wall.show(second, 90)

    wall.db.commit()
    compare_pictures(unit_of_work, wall.project.id, meanwhile)
    assert times > 0
    assert wall.kept() == [first.id, first.id]
    assert wall.groups() == [0, 1]


def test_projects_are_apart(wall: Wall, make: Make) -> None:
    wall.hang(0, 15)
    other: Project = make.project("other")
    image = make.image(other)
    wall.show(image, 0)
    wall.compare()
    assert find_pictures(wall.db, other) == {image.id: image.sha256}
