from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib.resources import files

import numpy as np
import pytest

from method.painter import painting as painter
from method.painter.genres import GENRES
from method.painter.painting import STATED, Painting, paint, truth_of
from method.painter.palettes import KEYS, SCHEMES, choose_palette, tint, to_srgb
from taxonomy.formats.yaml import read_yaml

SEEDS = range(24)
CRITERIA = files("taxonomy") / "painting.yaml"


@pytest.fixture(scope="module")
def paintings() -> list[Painting]:
    return [paint(seed, 160) for seed in SEEDS]


def test_the_same_seed_gives_the_same_picture_in_another_process() -> None:
    code = "from method.painter.painting import paint; import hashlib; p = paint(7, 96); print(hashlib.sha256(p.image.tobytes()).hexdigest(), p.title)"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hashing},
        ).stdout
        for hashing in ("1", "2")
    }
    assert len(runs) == 1


def test_pictures_differ(paintings: list[Painting]) -> None:
    assert len({painting.image.tobytes() for painting in paintings}) == len(paintings)


def test_sizes_and_formats(paintings: list[Painting]) -> None:
    formats = Counter(painting.recipe["format"] for painting in paintings)
    assert len(formats) >= 3
    for painting in paintings:
        width, height = painting.image.size
        across, down = painting.recipe["format"].split(":")
        assert max(width, height) == 160
        assert width / height == pytest.approx(int(across) / int(down), abs=0.02)
        assert painting.image.mode == "RGB"


def test_a_small_and_a_large_picture_of_one_seed_are_the_same_picture() -> None:
    small, large = paint(5, 128), paint(5, 384)
    assert small.title == large.title
    assert small.truth == large.truth
    same = np.asarray(large.image.resize((12, 12))).astype(int) - np.asarray(
        small.image.resize((12, 12))
    ).astype(int)
    assert np.abs(same).mean() < 25


def test_refuses_a_size_without_room_for_a_picture() -> None:
    with pytest.raises(ValueError, match="at least 32 pixels"):
        paint(1, 16)


@pytest.mark.parametrize("seed", range(40, 52))
def test_paints_at_the_smallest_size(seed: int) -> None:
    assert max(paint(seed, 32).image.size) == 32


def test_no_picture_is_one_flat_colour(paintings: list[Painting]) -> None:
    for painting in paintings:
        assert np.asarray(painting.image).reshape(-1, 3).std(axis=0).max() > 8, painting.recipe


def test_titles_and_prompts_speak_of_content_only(paintings: list[Painting]) -> None:
    criteria = read_yaml(CRITERIA.read_text(encoding="utf-8"))
    names = [
        side.name.lower() for pair in criteria.pairs() for side in (pair.positive, pair.negative)
    ]
    for painting in paintings:
        assert painting.title
        assert painting.prompt.endswith("oil painting")
        assert not [name for name in names if name in painting.prompt.lower()]
        assert "None" not in painting.prompt
        assert "  " not in painting.prompt


def test_recipe_is_json(paintings: list[Painting]) -> None:
    for painting in paintings:
        assert json.loads(json.dumps(painting.recipe)) == painting.recipe


def test_truth_is_about_stated_pairs_of_the_criteria_only() -> None:
    criteria = read_yaml(CRITERIA.read_text(encoding="utf-8"))
    known = {pair.key for pair in criteria.pairs()}
    assert set(STATED) <= known
    for seed in range(400):
        truth, absent = truth_of(seed)
        assert truth.keys() | absent <= set(STATED)
        assert not truth.keys() & absent
        assert set(truth.values()) <= {"positive", "negative"}


def test_every_stated_pair_holds_somewhere() -> None:
    held = Counter(key for seed in range(400) for key in truth_of(seed)[0])
    assert held.keys() == set(STATED)
    assert min(held.values()) >= 5


def test_truth_keeps_exclusive_dimensions() -> None:
    criteria = read_yaml(CRITERIA.read_text(encoding="utf-8"))
    groups, waiting = [], list(criteria.dimensions)
    while waiting:
        dimension = waiting.pop()
        waiting += dimension.dimensions
        if dimension.exclusive:
            groups.append({pair.key for pair in dimension.pairs})
    for seed in range(400):
        positive = {key for key, polarity in truth_of(seed)[0].items() if polarity == "positive"}
        for group in groups:
            assert len(positive & group) <= 1


def test_truth_of_a_seed_is_that_of_its_painting(paintings: list[Painting]) -> None:
    for seed, painting in zip(SEEDS, paintings, strict=True):
        assert truth_of(seed) == (painting.truth, painting.absent)


def test_symmetric_pictures_are_mirrored_and_the_key_is_kept() -> None:
    seed = next(s for s in range(900) if painted_as(s, composition="symmetric", surface="licked"))
    pixels = np.asarray(paint(seed, 160).image).astype(int)
    assert np.abs(pixels - pixels[:, ::-1]).mean() < 8
    dark = next(s for s in range(900) if painted_as(s, key="low"))
    light = next(s for s in range(900) if painted_as(s, key="high"))
    assert (
        np.median(np.asarray(paint(dark, 160).image))
        < 90
        < 150
        < np.median(np.asarray(paint(light, 160).image))
    )


def painted_as(seed: int, **wanted: str) -> bool:
    made = painter.decide(np.random.default_rng([seed, 7]))
    return all(getattr(made, name) == value for name, value in wanted.items())


def test_every_genre_is_painted() -> None:
    made = Counter(painter.decide(np.random.default_rng([seed, 7])).genre for seed in range(300))
    assert made.keys() == GENRES.keys()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("key", KEYS)
def test_colours_get_lighter_with_value_and_stay_in_their_key(scheme: str, key: str) -> None:
    palette = choose_palette(scheme, key, np.random.default_rng(0))
    colours = tint(palette, "foliage", np.linspace(0, 1, 9, dtype=np.float32))
    assert (np.diff(colours[:, 0]) > 0).all()
    assert colours[0, 0] == pytest.approx(KEYS[key].low)
    assert colours[-1, 0] == pytest.approx(KEYS[key].high)


def test_a_palette_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="no palette called 'pink'"):
        choose_palette("pink", "full", np.random.default_rng(0))


def test_white_black_and_grey() -> None:
    lab = np.array([[1, 0, 0], [0, 0, 0], [0.5998, 0, 0]], np.float32)
    assert to_srgb(lab).tolist() == [[255] * 3, [0] * 3, [128] * 3]
