from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from taxonomy.formats.yaml import read_yaml
from worker.agents import measured, measures, rules
from worker.agents.measured import label_image
from worker.agents.rules import EXCLUSIVE, RULES

PAINTING = Path(measured.__file__).parents[2] / "taxonomy" / "painting.yaml"
RELATIONS = {rule.key: rule.relation for rule in RULES}


def labels(image: Image.Image) -> set[tuple[str, str]]:
    return {(finding.key, finding.polarity) for finding in label_image(image)}


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (200, 150)) -> Image.Image:
    return Image.new("RGB", size, colour)


def scene() -> Image.Image:
    """Two blue boxes on an orange ground, with some noise as paint."""
    pixels = np.full((300, 400, 3), (214, 120, 40), np.int16)
    pixels[60:220, 40:160] = (30, 90, 190)
    pixels[120:260, 300:340] = (20, 60, 120)
    pixels += np.random.default_rng(0).integers(-12, 12, pixels.shape, dtype=np.int16)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def test_rules_cover_the_seven_root_dimensions_of_the_painting_criteria() -> None:
    criteria = read_yaml(PAINTING.read_text(encoding="utf-8"))
    roots = {criteria.root_of(rule.key).key for rule in RULES}
    assert roots == {dimension.key for dimension in criteria.dimensions}
    assert len(RULES) == len(RELATIONS) == 36


def test_relations_are_those_of_the_painting_criteria() -> None:
    criteria = read_yaml(PAINTING.read_text(encoding="utf-8"))
    assert {key: criteria.pair(key).relation for key in RELATIONS} == RELATIONS


def test_exclusive_groups_are_those_of_the_painting_criteria() -> None:
    criteria = read_yaml(PAINTING.read_text(encoding="utf-8"))
    groups = []
    waiting = list(criteria.dimensions)
    while waiting:
        dimension = waiting.pop()
        waiting += dimension.dimensions
        if dimension.exclusive:
            groups.append({pair.key for pair in dimension.pairs} & RELATIONS.keys())
    assert {frozenset(group) for group in groups if len(group) > 1} == set(EXCLUSIVE)


def test_every_rule_leaves_a_band_in_which_it_proposes_nothing() -> None:
    for rule in RULES:
        assert rule.positive, rule.key
        first = rule.positive[0]
        for other in rule.negative[:1]:
            if other.measure == first.measure and other.side != first.side:
                gap = first.threshold - other.threshold
                assert (gap > 0) == (first.side == "above"), rule.key


def test_every_condition_names_a_measure() -> None:
    known = measured.measure_image(scene()).keys()
    for rule in RULES:
        for condition in rule.positive + rule.negative:
            assert condition.measure in known


def test_a_finding_tells_what_it_rests_on() -> None:
    for finding in label_image(scene()):
        rule = next(rule for rule in RULES if rule.key == finding.key)
        side = rule.positive if finding.polarity == "positive" else rule.negative
        assert (finding.measure, finding.threshold) == (side[0].measure, side[0].threshold)
        assert (finding.value > finding.threshold) == (side[0].side == "above")
        assert 0.5 < finding.confidence < 1
        assert finding.reference == rule.reference


def test_orange_and_blue() -> None:
    found = labels(scene())
    assert ("warm-cool-contrast", "positive") in found
    assert ("limited-palette", "positive") in found
    assert ("cool-dominance", "positive") not in found


def test_a_mirrored_picture_is_symmetric_and_exactly_so_is_mechanical() -> None:
    half = scene().crop((0, 0, 200, 300))
    whole = Image.new("RGB", (400, 300))
    whole.paste(half, (0, 0))
    whole.paste(half.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (200, 0))
    assert {("bilateral-symmetry", "positive"), ("bilateral-symmetry", "negative")} <= labels(whole)
    assert ("bilateral-symmetry", "positive") not in labels(scene())


def test_blur_turns_clear_edges_into_blurred_ones() -> None:
    sharp = scene()
    assert ("clear-edges", "positive") in labels(sharp)
    soft = sharp.filter(ImageFilter.GaussianBlur(5))
    assert {("clear-edges", "negative"), ("soft-transitions", "positive")} <= labels(soft)


def test_light_and_dark_keys() -> None:
    gradient = np.linspace(0, 40, 400)[None, :, None] + np.zeros((300, 400, 3))
    light = Image.fromarray((200 + gradient).astype(np.uint8))
    dark = Image.fromarray((10 + gradient).astype(np.uint8))
    assert ("luminous-high-key", "positive") in labels(light)
    assert ("controlled-low-key", "positive") in labels(dark)
    assert ("wide-tonal-range", "negative") in labels(dark)


def test_says_the_same_twice() -> None:
    assert label_image(scene()) == label_image(scene())


def test_size_of_the_file_changes_little() -> None:
    small, large = labels(scene().resize((512, 384))), labels(scene().resize((1600, 1200)))
    assert len(small ^ large) <= 3


def test_transparency_lies_on_grey() -> None:
    clear = Image.new("RGBA", (80, 60), (255, 0, 0, 0))
    assert measured.plain_rgb(clear).getpixel((5, 5)) == (119, 119, 119)


def test_sixteen_bits_keep_their_tones() -> None:
    values = (np.linspace(0, 65535, 400)[None, :] + np.zeros((300, 400))).astype(np.uint16)
    assert measured.measure_image(Image.fromarray(values))["tonal extent"] > 85


def test_a_plain_grey_picture_gets_no_colour_and_no_paint() -> None:
    roots = {
        "visible-brushwork",
        "limited-palette",
        "analogous-harmony",
        "warm-dominance",
        "clear-edges",
    }
    assert not {key for key, _ in labels(plain((119, 119, 119)))} & (roots - {"visible-brushwork"})


def test_tiny_pictures_say_nothing_about_paint_and_borders() -> None:
    tiny = scene().resize((32, 24))
    keys = {key for key, _ in labels(tiny)}
    assert not keys & {
        "visible-brushwork", "rich-impasto-texture", "even-surface-grain", "varied-stroke-direction",
        "clear-edges", "lost-and-found-edges", "edge-hierarchy", "soft-transitions",
    }  # fmt: skip


MODES = [
    "1",
    "L",
    "P",
    "LA",
    "PA",
    "RGB",
    "RGBA",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "I;16",
    "RGBX",
    "La",
    "RGBa",
]


@settings(max_examples=80, deadline=None)
@given(
    mode=st.sampled_from(MODES),
    width=st.one_of(st.integers(1, 70), st.sampled_from([300, 2500])),
    height=st.one_of(st.integers(1, 70), st.sampled_from([160])),
    seed=st.integers(0, 5),
)
def test_no_decodable_picture_breaks_it(mode: str, width: int, height: int, seed: int) -> None:
    image = random_image(mode, width, height, seed)
    values = measured.measure_image(image)
    assert all(math.isfinite(value) for value in values.values())
    found = label_image(image)
    by_key: dict[str, set[str]] = {}
    for finding in found:
        by_key.setdefault(finding.key, set()).add(finding.polarity)
    for key, polarities in by_key.items():
        if RELATIONS[key] == "opposed":
            assert len(polarities) == 1
        else:
            assert "positive" in polarities
    for group in EXCLUSIVE:
        assert len(group & by_key.keys()) <= 1


def random_image(mode: str, width: int, height: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    if mode == "F":
        values = rng.normal(0, 1000, (height, width)).astype(np.float32)
        values[0, 0] = [np.nan, np.inf, 0][seed % 3]
        return Image.fromarray(values)
    if mode in {"I", "I;16"}:
        kind = np.int32 if mode == "I" else np.uint16
        return Image.fromarray(rng.integers(0, 60000, (height, width)).astype(kind))
    bands = len(Image.new(mode, (1, 1)).getbands())
    # One flat picture in every six.
    data = (
        rng.integers(0, 256, width * height * bands, dtype=np.uint8)
        if seed
        else np.zeros(width * height * bands, np.uint8)
    )
    if mode == "1":
        return Image.frombytes("L", (width, height), data.tobytes()).convert("1")
    if mode in {"P", "PA"}:
        return (
            Image.frombytes("L", (width, height), data[: width * height].tobytes())
            .convert("P")
            .convert(mode)
        )
    return Image.frombytes(mode, (width, height), data.tobytes())


def test_agent_and_painter_do_not_know_each_other() -> None:
    for module in (measured, measures, rules):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        imported = [
            name
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        ]
        assert not [name for name in imported if name.startswith("app")]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_rules_explain_themselves(rule: rules.Rule) -> None:
    assert rule.reference
    assert rule.explanation.endswith(".")
