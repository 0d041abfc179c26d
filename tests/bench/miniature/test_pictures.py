"""The world of pictures is what it says: its checker reads them, its autoencoder keeps them, and the study runs on it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.miniature.arms import PICTURES_SIZE, SFT, STABLE, small_arms
from bench.miniature.backbone import load
from bench.miniature.gates import Gate, look
from bench.miniature.measuring import open_base
from bench.miniature.pictures.painting import FLAWS, MERITS, PROMPTS, SIDE, paint
from bench.miniature.pictures.world import PictureWorld
from bench.miniature.report import write_report
from bench.miniature.running import Found, places_of, study
from bench.miniature.worlds import PICTURES, open_world

TINY = replace(
    PICTURES_SIZE,
    pictures=48,
    held_out=8,
    base_steps=12,
    expert_steps=4,
    steps=3,
    samples=63,
    width=32,
    depth=1,
    base_pictures=64,
)


@pytest.fixture(scope="module")
def world() -> PictureWorld:
    return PictureWorld(0)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Found]:
    home = tmp_path_factory.mktemp("pictures")
    return home, a_tiny_study(home)


def a_tiny_study(home: Path) -> Found:
    arms = [arm for arm in small_arms() if arm.name in {*STABLE, SFT, "gap-0.5"}]
    return study(home, (0,), arms, TINY, world=PICTURES, is_enforced=False)


def test_each_prompt_and_attribute_shows(world: PictureWorld) -> None:
    """Two modes that differ in one thing differ in their pixels by much more than pictures of one mode do."""
    models = paint(world.prompts_K, world.flaws_KA).flatten(1)
    assert models.shape == (len(PROMPTS) * 2 ** len(FLAWS), 3 * SIDE * SIDE)
    nearest = torch.cdist(models, models).fill_diagonal_(torch.inf).min(1).values
    grain = 0.04 * (3 * SIDE * SIDE) ** 0.5
    assert nearest.min() > grain


def test_the_checker_reads_pictures_and_what_the_autoencoder_keeps(world: PictureWorld) -> None:
    generator = torch.Generator().manual_seed(5)
    modes = world.draw_modes(512, generator)
    pixels = world.draw_pixels(modes, generator)
    points = world.points_of(pixels)
    assert pixels.shape == (512, 3, SIDE, SIDE) and points.shape == (512, world.size)
    for pictures in (pixels, world.pixels_of(points)):
        read, _ = world.read(pictures)
        assert (world.prompts_K[read] == world.prompts_K[modes]).float().mean() > 0.99
        right = (world.flaws_KA[read] == world.flaws_KA[modes]).float().mean(0)
        assert right.shape == (len(MERITS),) and right.min() > 0.99
    _, off = world.nearest(points)
    assert 0.8 < float(off.mean()) < 1.2


def test_the_checker_knows_a_picture_by_its_pixels_alone(world: PictureWorld) -> None:
    """Turned round or painted over, it is another picture."""
    red_square, dim = world.prompts_K == 0, world.flaws_KA[:, 0] == 1
    mode = int((red_square & ~dim & (world.flaws_KA.sum(1) == 0)).nonzero()[0])
    picture = paint(world.prompts_K[[mode]], world.flaws_KA[[mode]])
    darker = torch.where(picture > 0.8, 0.0, picture)
    read, _ = world.read(torch.cat([picture, darker, picture.flip(1)]))
    assert world.flaws_KA[read].tolist() == [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert [PROMPTS[place] for place in world.prompts_K[read]] == ["a red square"] * 2 + [
        "a blue square"
    ]


def test_points_are_as_long_as_noise_and_come_back(world: PictureWorld) -> None:
    generator = torch.Generator().manual_seed(6)
    points = world.draw(world.draw_modes(1024, generator), generator)
    assert float((points**2).mean()) == pytest.approx(1, abs=0.05)
    torch.testing.assert_close(
        world.points_of(world.pixels_of(points)), points, rtol=1e-3, atol=1e-3
    )


def test_the_same_seed_makes_the_same_world() -> None:
    one, other = (open_world(PICTURES, 3) for _ in range(2))
    modes = torch.arange(8)
    drawn = [each.draw(modes, torch.Generator().manual_seed(0)) for each in (one, other)]
    assert torch.equal(*drawn)


def test_the_trainer_sees_points_and_shows_pictures(found: tuple[Path, Found]) -> None:
    backbone = load(places_of(found[0], 0).base, torch.device("cpu"), torch.float32)
    world = backbone.world
    picture = world.draw_pixels(torch.tensor([100]), torch.Generator().manual_seed(0))[0]
    latent = backbone.encode_images(picture[None])[0]
    assert latent.shape == (world.size, 1, 1) and backbone.unit == SIDE
    again, _ = world.read(backbone.decode_image(latent)[None])
    assert int(again) == 100


def test_the_same_seed_gives_the_same_report(tmp_path: Path, found: tuple[Path, Found]) -> None:
    again = a_tiny_study(tmp_path / "again")
    for home, each in ((found[0], found[1]), (tmp_path / "again", again)):
        write_report(each, home)
    for name in ("report.md", "report.html", "strengths.svg", "found.json"):
        assert (found[0] / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    report = (found[0] / "report.md").read_text()
    for words in ("pictures of 32 pixels", "of 5 in a picture", "SFT", "CLOSED", "gives back"):
        assert words in report


def test_what_does_not_depend_on_training_is_open(
    world: PictureWorld, found: tuple[Path, Found]
) -> None:
    base = open_base(places_of(found[0], 0).base)
    gates = {gate.what: gate for gate in look(world, base, base, 63)}
    checker: list[Gate] = [gate for what, gate in gates.items() if "checker" in what]
    assert len(checker) == 2 and all(gate.is_met for gate in checker)
    assert not gates["pictures of the base that show their prompt"].is_met
