from __future__ import annotations

import ast
import colorsys
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from taxonomy.formats.yaml import read_yaml
from taxonomy.shipped import painting_criteria
from taxonomy.tree import POLARITIES, Attribute, Criteria, Dimension, Pair, Relation
from worker.agents import looking, measured, measures, rules, trimming, withdrawn
from worker.agents.looking import MEASURES
from worker.agents.measured import label_image
from worker.agents.rules import RULES, SHIPPED, Rule, ties_of
from worker.agents.withdrawn import WITHDRAWN

PAINTING = Path(measured.__file__).parents[2] / "taxonomy" / "painting.yaml"
RELATIONS = {rule.key: rule.relation for rule in RULES}


def labels(image: Image.Image) -> set[tuple[str, str]]:
    return {(finding.key, finding.polarity) for finding in label_image(image)}


def of_colour(image: Image.Image) -> set[tuple[str, str]]:
    """The labels below the root dimension of color."""
    criteria = painting_criteria()
    return {side for side in labels(image) if criteria.root_of(side[0]).key == "color-relationship"}


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
    assert len(RULES) == len(RELATIONS)


def test_without_criteria_the_ties_of_the_painting_criteria_hold() -> None:
    ties = ties_of(read_yaml(PAINTING.read_text(encoding="utf-8")))
    assert {key: ties.relations[key] for key in RELATIONS} == RELATIONS == SHIPPED.relations
    assert set(ties.exclusive) == set(SHIPPED.exclusive)


def tree(relation: Relation, *keys: str, exclusive: bool = False) -> Criteria:
    pairs = tuple(Pair(key, relation, Attribute("Good"), Attribute("Bad")) for key in keys)
    return Criteria("C", dimensions=(Dimension("d", "D", exclusive=exclusive, pairs=pairs),))


def test_an_edited_project_s_exclusive_dimensions_hold() -> None:
    found = labels(scene())
    rivals = [key for key, polarity in sorted(found) if polarity == "positive"][:2]
    ties = ties_of(tree("opposed", *rivals, exclusive=True))
    kept = {(each.key, each.polarity) for each in label_image(scene(), ties)}
    assert len(found - kept) == 1
    assert len({key for key, polarity in kept if polarity == "positive"} & set(rivals)) == 1


def test_an_edited_project_s_relations_hold() -> None:
    grey = plain((119, 119, 119))
    key = "strong-light-dark-contrast"
    assert (key, "negative") in labels(grey)
    ties = ties_of(tree("flaw", key))
    assert key not in {each.key for each in label_image(grey, ties)}  # a flaw needs its positive


def test_no_side_is_both_proposed_and_withdrawn() -> None:
    proposed = {(rule.key, side) for rule in RULES for side in POLARITIES if rule.side(side)}
    gone = {(side.key, side.polarity) for side in WITHDRAWN}
    assert len(gone) == len(WITHDRAWN)
    assert not proposed & gone


def test_every_withdrawn_side_says_why_it_went() -> None:
    criteria = read_yaml(PAINTING.read_text(encoding="utf-8"))
    for side in WITHDRAWN:
        assert criteria.pair(side.key)
        assert side.reason.endswith(".")
        assert side.conditions


def test_every_rule_leaves_a_band_in_which_it_proposes_nothing() -> None:
    for rule in RULES:
        assert rule.positive or rule.negative, rule.key
        for first, other in zip(rule.positive[:1], rule.negative[:1], strict=False):
            if other.measure == first.measure and other.side != first.side:
                gap = first.threshold - other.threshold
                assert (gap > 0) == (first.side == "above"), rule.key


def test_every_condition_names_a_measure() -> None:
    known = measured.measure_image(scene()).keys()
    assert known == MEASURES.keys()
    asked = [rule.positive + rule.negative for rule in RULES]
    asked += [side.conditions for side in WITHDRAWN]
    assert {condition.measure for side in asked for condition in side} == known


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


def grainy(picture: Image.Image) -> Image.Image:
    """As a sharp file shows it: with grain of paint and weave."""
    noise = np.random.default_rng(1).normal(0, 5, (picture.height, picture.width, 1))
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


def boxes() -> Image.Image:
    """A dark box and a blue one, so that the masses differ in value, too."""
    pixels = np.asarray(scene()).astype(int)
    pixels[60:220, 40:160] //= 4
    return Image.fromarray(pixels.astype(np.uint8))


def test_soft_paint_has_soft_transitions_and_no_clear_edges() -> None:
    assert ("clear-edges", "positive") in labels(boxes())
    soft = labels(grainy(boxes().filter(ImageFilter.GaussianBlur(5))))
    assert ("soft-transitions", "positive") in soft
    assert ("clear-edges", "positive") not in soft


@pytest.mark.parametrize("long", [60, 100])
def test_a_file_that_was_enlarged_says_nothing_of_edges_and_paint(long: int) -> None:
    """Its softness is the file's and not the painter's."""
    thumbnail = boxes().resize((long, 3 * long // 4), Image.Resampling.LANCZOS)
    found = labels(thumbnail.resize((1000, 750), Image.Resampling.BICUBIC))
    assert not {key for key, _ in found} & {"clear-edges", "soft-transitions", "even-surface-grain"}
    assert found


def speckled(size: int, low: int, high: int) -> Image.Image:
    """Squares of `size` pixels in random greys."""
    rng = np.random.default_rng(1)
    squares = rng.integers(low, high, (300 // size, 400 // size), dtype=np.uint8)
    return Image.fromarray(np.kron(squares, np.ones((size, size), np.uint8))).convert("RGB")


def test_small_lights_all_over_are_sprinkled_and_crammed_and_two_masses_are_not() -> None:
    crammed = {
        ("connected-light-pattern", "negative"),
        ("reserved-empty-space", "negative"),
        ("simplified-masses", "negative"),
    }
    assert crammed <= labels(speckled(10, 0, 255))
    halves = speckled(150, 0, 255)
    assert not crammed & labels(halves)


def test_a_night_in_which_nothing_can_be_told_apart_is_murky() -> None:
    night = plain((9, 9, 10), (400, 300))
    night.paste((60, 50, 40), (180, 130, 230, 190))
    murky = ("controlled-low-key", "negative")
    assert murky in labels(night)
    deep = np.asarray(speckled(10, 0, 70))  # as dark, and full of things
    assert murky not in labels(Image.fromarray(deep))
    # A head before a black wall stands clear of it.
    head = plain((2, 2, 2), (400, 300))
    head.paste((220, 190, 160), (80, 60, 320, 300))
    assert murky not in labels(head)


def test_hues_of_one_value_collapse_in_grey() -> None:
    rng = np.random.default_rng(2)
    hues = np.array([(176, 106, 90), (93, 133, 105), (112, 122, 167)], np.uint8)  # L* near 52
    squares = hues[rng.integers(0, 3, (10, 13))]
    flat = Image.fromarray(np.kron(squares, np.ones((30, 30, 1), np.uint8)))
    collapse = ("value-led-color", "negative")
    assert collapse in labels(flat)
    steps = squares // np.array([1, 2, 1])[rng.integers(0, 3, (10, 13))][..., None]
    assert collapse not in labels(
        Image.fromarray(np.kron(steps, np.ones((30, 30, 1), np.uint8)).astype(np.uint8))
    )


def test_a_horizon_in_the_middle_halves_the_picture_and_one_below_does_not() -> None:
    halved = ("asymmetric-picture-division", "negative")
    for height, said in ((150, True), (215, False)):
        view = plain((200, 210, 220), (400, 300))
        view.paste((70, 80, 40), (0, height, 400, 300))
        assert (halved in labels(view)) is said


def test_raw_colour_everywhere_is_garish_and_many_hues_are_a_paint_box() -> None:
    rng = np.random.default_rng(3)
    raw = np.array([(230, 30, 20), (20, 60, 200), (250, 200, 0), (0, 130, 60)], np.uint8)
    garish = np.kron(raw[rng.integers(0, 4, (6, 8))], np.ones((50, 50, 1), np.uint8))
    assert ("rich-saturation", "negative") in labels(Image.fromarray(garish))
    circle = [tuple(int(c * 200) for c in colorsys.hsv_to_rgb(n / 12, 0.8, 1)) for n in range(12)]
    box = np.kron(
        np.array(circle, np.uint8)[rng.integers(0, 12, (6, 8))], np.ones((50, 50, 1), np.uint8)
    )
    assert ("limited-palette", "negative") in labels(Image.fromarray(box))
    assert ("limited-palette", "negative") not in labels(scene())


def test_light_and_dark_keys() -> None:
    gradient = np.linspace(0, 40, 400)[None, :, None] + np.zeros((300, 400, 3))
    light = Image.fromarray((200 + gradient).astype(np.uint8))
    dark = Image.fromarray((10 + gradient).astype(np.uint8))
    assert ("luminous-high-key", "positive") in labels(light)
    assert ("controlled-low-key", "positive") in labels(dark)
    assert not {
        ("wide-tonal-range", "negative"),
        ("strong-light-dark-contrast", "negative"),
    } & labels(dark)


def test_gray_from_end_to_end_is_compressed_and_timid() -> None:
    gradient = np.linspace(110, 140, 400)[None, :, None] + np.zeros((300, 400, 3))
    found = labels(Image.fromarray(gradient.astype(np.uint8)))
    assert {("wide-tonal-range", "negative"), ("strong-light-dark-contrast", "negative")} <= found


def test_a_small_light_in_the_dark_is_not_timid() -> None:
    """A candle: the masses have little contrast by area, and all the contrast there is to the eye."""
    dark = plain((6, 5, 4), (400, 300))
    dark.paste((250, 225, 160), (180, 130, 230, 190))
    assert ("strong-light-dark-contrast", "negative") not in labels(dark)


def framed(picture: Image.Image, left: int, top: int) -> Image.Image:
    whole = Image.new("RGB", (picture.width + left, picture.height + top), (250, 250, 248))
    whole.paste(picture, (left, top))
    return whole


def bordered(picture: Image.Image, color: str, across: int, down: int) -> Image.Image:
    """On an even ground, as JPEG."""
    whole = Image.new("RGB", (picture.width + 2 * across, picture.height + 2 * down), color)
    whole.paste(picture, (across, down))
    out = BytesIO()
    whole.save(out, "JPEG", quality=85)
    return Image.open(out)


@pytest.mark.parametrize(
    ("color", "across", "down"),
    [("white", 60, 60), ("black", 0, 40), ("gray", 90, 0), ("#f4f1e8", 25, 70)],
)
def test_an_even_border_is_no_part_of_the_picture(color: str, across: int, down: int) -> None:
    """A mat, the bars of a video, the bed of a scanner."""
    shown = bordered(scene(), color, across, down)
    assert labels(shown) == labels(bordered(scene(), color, 0, 0)) != set()
    left, top, right, bottom = measured.see(shown).inside
    assert (left * shown.width, top * shown.height) == pytest.approx((across, down), abs=2)
    assert (right + left, bottom + top) == pytest.approx((1, 1), abs=0.01)


def test_a_mat_on_a_page_in_the_bed_of_a_scanner_goes_as_a_whole() -> None:
    mat = bordered(scene(), "white", 30, 30)
    assert (
        labels(bordered(mat, "#303030", 40, 0))
        == labels(mat)
        == labels(bordered(scene(), "white", 0, 0))
    )


def rising_from(ground: int) -> Image.Image:
    """A light figure on an even ground."""
    y, x = np.mgrid[0:300, 0:400]
    figure = np.hypot((x - 200) / 90, (y - 180) / 120) < 1
    pixels = np.full((300, 400, 3), ground, np.uint8)
    pixels[figure] = (200, 160, 120)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("ground", [0, 255])
def test_the_ground_of_a_figure_is_part_of_the_picture(ground: int) -> None:
    """A black ground, and the paper around a drawing: where it ends there is no straight edge."""
    assert measured.see(rising_from(ground)).inside == (0, 0, 1, 1)


def test_an_even_picture_is_no_border() -> None:
    assert measured.see(plain((90, 90, 90))).inside == (0, 0, 1, 1)


def test_a_rim_of_two_percent_makes_no_label() -> None:
    """A strip of the scanner's lid gives white to a picture that has none: not a matter of the painting."""
    ramp = np.linspace(4, 120, 400)[None, :, None] + np.zeros((300, 400, 3))
    picture = Image.fromarray(ramp.astype(np.uint8))
    wide = ("wide-tonal-range", "positive")
    assert wide not in labels(picture)
    assert wide not in labels(framed(picture, 5, 4))
    # And white that the picture has counts: a wall is never as even as paper.
    wall = np.asarray(framed(picture, 130, 6)).astype(int)
    wall[:, :130] -= np.random.default_rng(0).integers(0, 16, (306, 130, 1))
    assert wide in labels(Image.fromarray(wall.astype(np.uint8)))


def balanced(picture: Image.Image, red: float, blue: float) -> Image.Image:
    scaled = np.asarray(picture) * np.array([red, 1.0, blue])
    return Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("red", [0.96, 1.04])
def test_a_white_balance_changes_no_label_of_colour(red: float) -> None:
    assert of_colour(balanced(scene(), red, 2 - red)) == of_colour(scene()) != set()


def test_a_gray_photograph_says_nothing_of_color() -> None:
    gray = scene().convert("L")
    assert of_colour(gray) == set()
    assert labels(gray) & {(key, "positive") for key, side in labels(scene()) - of_colour(scene())}


@pytest.mark.parametrize("side", ["warm", "cool"])
def test_a_cast_makes_no_temperature_and_a_colour_does(side: str) -> None:
    """Grey in warm light is grey; what no light makes of grey is the painter's."""
    label = (f"{side}-dominance", "positive")
    for step, said in ((1.0, False), (1.1, False), (1.2, False), (2.0, True)):
        warmth = step if side == "warm" else 1 / step
        tint = (round(120 * warmth), 120, round(120 / warmth))
        assert (label in labels(plain(tint))) is said, step


def test_says_the_same_twice() -> None:
    assert label_image(scene()) == label_image(scene())


def test_size_of_the_file_changes_little() -> None:
    small, large = labels(scene().resize((512, 384))), labels(scene().resize((1600, 1200)))
    assert len(small ^ large) <= 3


def test_transparency_lies_on_white_as_on_pages() -> None:
    clear = Image.new("RGBA", (80, 60), (255, 0, 0, 0))
    assert measured.see(clear).rgb.getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bits_keep_their_tones() -> None:
    values = (np.linspace(0, 65535, 400)[None, :] + np.zeros((300, 400))).astype(np.uint16)
    eight = Image.fromarray((values // 256).astype(np.uint8))
    extent = measured.measure_image(eight)["tonal extent"]
    assert extent > 80
    assert measured.measure_image(Image.fromarray(values))["tonal extent"] == pytest.approx(
        extent, abs=1
    )


def test_a_plain_grey_picture_gets_no_colour_and_no_paint() -> None:
    roots = {
        "brushwork-in-evidence",
        "limited-palette",
        "analogous-harmony",
        "warm-dominance",
        "clear-edges",
    }
    assert not {key for key, _ in labels(plain((119, 119, 119)))} & (
        roots - {"brushwork-in-evidence"}
    )


def test_tiny_pictures_say_nothing_about_paint_and_borders() -> None:
    tiny = scene().resize((32, 24))
    keys = {key for key, _ in labels(tiny)}
    assert not keys & {
        "brushwork-in-evidence", "rich-impasto-texture", "even-surface-grain", "varied-stroke-direction",
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


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (12_000, 12), (2, 12_000), (3000, 2800)])
@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_no_shape_breaks_it(mode: str, size: tuple[int, int]) -> None:
    for seed in (0, 1, 2):
        label_image(random_image(mode, *size, seed))


@settings(max_examples=60, deadline=None)
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
    for group in SHIPPED.exclusive:
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
    # Two flat pictures in every six: all black or clear, and all white.
    data = (
        rng.integers(0, 256, width * height * bands, dtype=np.uint8)
        if seed > 1
        else np.full(width * height * bands, 255 * seed, np.uint8)
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
    files = [
        Path(str(module.__file__)) for module in (looking, measured, rules, trimming, withdrawn)
    ]
    for file in files + sorted(Path(str(measures.__file__)).parent.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
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
def test_rules_explain_themselves(rule: Rule) -> None:
    assert rule.reference
    assert rule.explanation.endswith(".")
