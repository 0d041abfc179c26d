"""Each measure on a picture whose answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from worker.agents.measures import colour, composition, edges, planes, shapes, space, surface, value

Floats = npt.NDArray[np.float32]


def grey(values: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(values, np.float32)


def ramp(low: float, high: float, height: int = 120, width: int = 160) -> Floats:
    return grey(np.broadcast_to(np.linspace(low, high, width), (height, width)))


def speckle(spread: float, height: int = 120, width: int = 160, middle: float = 50.0) -> Floats:
    return grey(np.random.default_rng(5).normal(middle, spread, (height, width)))


def lab(lightness: Floats, a: float = 0.0, b: float = 0.0) -> Floats:
    return np.stack([lightness, np.full_like(lightness, a), np.full_like(lightness, b)], axis=-1)


def hued(*degrees: float, chroma: float = 40.0) -> Floats:
    """Upright bands of equal width, one for each hue angle, at L* 50."""
    picture = np.empty((60, 30 * len(degrees), 3), np.float32)
    picture[..., 0] = 50
    for index, degree in enumerate(degrees):
        picture[:, 30 * index : 30 * index + 30, 1] = chroma * np.cos(np.radians(degree))
        picture[:, 30 * index : 30 * index + 30, 2] = chroma * np.sin(np.radians(degree))
    return picture


def dark_spot(x: float, y: float, radius: int = 10, height: int = 120, width: int = 160) -> Floats:
    picture = np.full((height, width), 80, np.float32)
    across, down = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    picture[np.hypot((across - x) * width, (down - y) * height) < radius] = 10
    return picture


def stripes(turn: float, height: int = 160, width: int = 160, period: float = 24.0) -> Floats:
    """Waves whose crests run at `turn` degrees from level (y counts downward)."""
    y, x = np.mgrid[0:height, 0:width]
    across = -x * np.sin(np.radians(turn)) + y * np.cos(np.radians(turn))
    return grey(50 + 30 * np.sin(2 * np.pi * across / period))


def rings(height: int = 160, width: int = 160) -> Floats:
    y, x = np.mgrid[0:height, 0:width]
    return grey(50 + 30 * np.sin(np.hypot(x - width / 2, y - height / 2) / 5))


def test_lab_of_known_colours() -> None:
    pixels = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], np.uint8)
    converted = planes.to_lab(pixels)
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]]
    assert converted[0] == pytest.approx(np.array(expected), abs=0.05)
    assert planes.to_lightness(pixels) == pytest.approx(converted[..., 0], abs=1e-3)


def test_tonal_extent() -> None:
    assert value.tonal_extent(value.lightness_levels(ramp(0, 100))) == pytest.approx(96, abs=1)
    assert value.tonal_extent(value.lightness_levels(ramp(40, 60))) == pytest.approx(19.2, abs=0.5)


def test_lightness_levels() -> None:
    assert value.lightness_levels(ramp(0, 100))[25] == pytest.approx(25, abs=1)


def test_squinted_contrast_sees_masses_and_not_marks() -> None:
    halves = np.full((120, 160), 20, np.float32)
    halves[:, 80:] = 80
    assert value.squinted_contrast(halves) > 25
    assert value.squinted_contrast(speckle(30)) < 6


def test_midtone_layers() -> None:
    assert value.midtone_layers(ramp(20, 80)) > 0.95
    assert value.midtone_layers(grey(np.where(ramp(0, 1) > 0.5, 95.0, 5.0))) == 0


def test_light_direction() -> None:
    assert value.light_direction(ramp(20, 80)) > 0.8
    there_and_back = np.concatenate([ramp(20, 80, width=80), ramp(80, 20, width=80)], axis=1)
    assert value.light_direction(there_and_back) < 0.05
    from_above = ramp(20, 80).T.copy()
    assert value.light_direction(from_above) < 0.05


def test_mirror_symmetry() -> None:
    half = ndimage.gaussian_filter(speckle(40, 120, 80), 4)
    mirrored = lab(np.concatenate([half, half[:, ::-1]], axis=1))
    assert composition.mirror_symmetry(mirrored) == pytest.approx(1, abs=1e-3)
    assert composition.mirror_symmetry(lab(ramp(10, 90))) < -0.5


def test_bands_across_the_picture_are_not_symmetry() -> None:
    assert composition.mirror_symmetry(lab(ramp(10, 90).T.copy())) == 0


def test_attention_goes_to_the_odd_spot() -> None:
    spot = composition.focal_spot(composition.saliency(lab(dark_spot(0.3, 0.6))))
    assert (spot.x, spot.y) == pytest.approx((0.3, 0.6), abs=0.05)
    assert spot.share > 0.6
    everywhere = composition.focal_spot(composition.saliency(lab(speckle(20))))
    assert everywhere.share < 0.25


def test_an_even_picture_has_no_focal_spot() -> None:
    assert composition.focal_spot(np.full((20, 30), 1 / 600, np.float32)) == (0.5, 0.5, 0.0)


def test_distances_of_a_spot() -> None:
    crossing = composition.Spot(1 / 3, 2 / 3, 1.0)
    assert composition.centre_distance(crossing) == pytest.approx(np.hypot(1 / 6, 1 / 6))
    assert composition.centre_distance(composition.Spot(0.5, 0.5, 1.0)) == 0


def test_sideways_lean() -> None:
    weight = np.zeros((10, 100), np.float32)
    weight[:, 75] = 1
    assert composition.sideways_lean(weight) == pytest.approx(0.255)
    assert composition.sideways_lean(np.ones((10, 100), np.float32)) == pytest.approx(0)
    assert composition.sideways_lean(np.zeros((10, 100), np.float32)) == 0


def test_detail_and_calm() -> None:
    half_busy = np.full((160, 160), 50, np.float32)
    half_busy[:, 80:] = stripes(90, 160, 80, period=8)
    detail = composition.detail_map(half_busy)
    assert composition.detail_cover(detail) == pytest.approx(0.5, abs=0.05)
    assert composition.calm_area(detail) == pytest.approx(0.5, abs=0.05)
    assert composition.calm_area(composition.detail_map(stripes(90, period=8))) == 0


@pytest.mark.parametrize(("turn", "expected"), [(0, 0), (90, 1), (45, 2), (-45, 2)])
def test_direction_shares(turn: float, expected: int) -> None:
    shares = composition.direction_shares(*composition.structure(stripes(turn)))
    assert shares[expected] > 0.85
    assert sum(share < 0.1 for share in shares) == 2


def test_counter_slant() -> None:
    assert composition.counter_slant(stripes(45)) < 0.1
    both = np.concatenate([stripes(45), stripes(-45)], axis=1)
    assert composition.counter_slant(both) > 0.7


def test_row_share() -> None:
    assert composition.row_share(ramp(10, 90).T.copy()) == pytest.approx(1, abs=1e-3)
    assert composition.row_share(ramp(10, 90)) < 1e-3


def test_column_rhythm() -> None:
    assert composition.column_rhythm(stripes(90)) > 0.7
    assert composition.column_rhythm(stripes(0)) == 0


def test_ring_likeness() -> None:
    assert composition.ring_likeness(rings()) > 0.9
    assert composition.ring_closure(rings()) > 0.98
    assert composition.ring_likeness(stripes(90)) < 0.7


def test_colourfulness_of_grey_and_of_primaries() -> None:
    pixels = np.zeros((60, 60, 3), np.uint8)
    assert colour.colourfulness(pixels) == 0
    for channel in range(3):
        pixels[channel * 20 : channel * 20 + 20, :, channel] = 255
    assert colour.colourfulness(pixels) > 120


def test_mean_chroma() -> None:
    assert colour.mean_chroma(hued(30, 200, chroma=25)) == pytest.approx(25, abs=0.01)


def test_temperature() -> None:
    assert colour.temperature_shares(hued(50, 80, 30, 250)) == pytest.approx((0.75, 0.25))
    assert colour.temperature_shares(hued(50, 250, chroma=3)) == (0, 0)
    assert colour.temperature_spread(hued(65, 245)) == pytest.approx(80, abs=1)
    assert colour.temperature_spread(hued(65, 65)) == pytest.approx(0, abs=0.01)


def test_hue_number_and_sector() -> None:
    one = colour.hue_histogram(hued(62))
    assert colour.hue_number(one) == pytest.approx(1)
    assert colour.hue_sector(one) == pytest.approx(1)
    six = colour.hue_histogram(hued(5, 65, 125, 185, 245, 305))
    assert colour.hue_number(six) == pytest.approx(6)
    assert colour.hue_sector(six) == pytest.approx(2 / 6)


def test_a_grey_picture_has_no_hue() -> None:
    none = colour.hue_histogram(hued(62, chroma=2))
    assert colour.hue_number(none) == 0
    assert colour.hue_sector(none) == 0
    assert colour.hue_opposition(none) == (0, 0)


def test_hue_opposition() -> None:
    weaker, both = colour.hue_opposition(colour.hue_histogram(hued(60, 60, 60, 240)))
    assert (weaker, both) == pytest.approx((0.25, 1.0))
    assert colour.hue_opposition(colour.hue_histogram(hued(60, 100)))[0] == pytest.approx(0)


def test_value_share() -> None:
    assert colour.value_share(lab(ramp(10, 90), 20, 20)) == pytest.approx(1)
    assert colour.value_share(hued(30, 210)) == pytest.approx(0)


def blurred_discs(blur: float) -> Floats:
    picture = np.full((384, 512), 75, np.float32)
    y, x = np.mgrid[0:384, 0:512]
    for cx, cy in ((130, 120), (360, 140), (250, 280)):
        picture[np.hypot(x - cx, y - cy) < 60] = 20
    return grey(ndimage.gaussian_filter(picture, blur)) if blur else picture


def test_borders_measure_their_blur() -> None:
    typical = [edges.typical_width(edges.borders(blurred_discs(b)).widths) for b in (0.5, 2, 4)]
    # In thousandths of a long side of 512 pixels, 2 pixels are 3.9.
    assert typical[0] < 1.8
    assert typical[1] == pytest.approx(3.9, abs=0.5)
    assert typical[2] == pytest.approx(7.8, abs=1.2)


def test_width_shares_and_spread() -> None:
    hard = edges.borders(blurred_discs(0.5)).widths
    soft = edges.borders(blurred_discs(4)).widths
    assert edges.width_shares(hard)[0] > 0.9
    assert edges.width_shares(soft)[1] > 0.9
    assert edges.width_spread(np.concatenate([hard, soft])) > edges.width_spread(hard) + 0.5


def test_changing_contours() -> None:
    hard, soft = blurred_discs(0.5), blurred_discs(4)
    # From hard on the left of each disc to soft on its right.
    weight = np.zeros((384, 512))
    for cx in (130, 250, 360):
        weight[:, cx - 60 : cx + 60] = np.linspace(0, 1, 120)
    lost_and_found = hard * (1 - weight) + soft * weight
    assert edges.changing_contours(edges.borders(grey(lost_and_found))) > 0.6
    assert edges.changing_contours(edges.borders(hard)) < 0.1
    assert edges.changing_contours(edges.borders(soft)) < 0.1


def test_no_borders_in_a_plain_or_tiny_picture() -> None:
    for picture in (np.full((200, 200), 50, np.float32), blurred_discs(0)[:30, :30]):
        widths = edges.borders(picture).widths
        assert edges.typical_width(widths) == 0
        assert edges.width_shares(widths) == (0, 0)


def test_surface_tells_strokes_from_grain_and_from_smooth_paint() -> None:
    noise = np.random.default_rng(3).normal(0, 30, (384, 512))
    strokes = surface.surface(grey(50 + ndimage.gaussian_filter(noise, (1, 9)) * 3))
    grain = surface.surface(grey(50 + ndimage.gaussian_filter(noise, 1)))
    smooth = surface.surface(ramp(20, 80, 384, 512))
    assert smooth.strength < 0.3 < grain.strength
    assert strokes.coherence > 0.5 > 0.3 > grain.coherence
    assert strokes.one_way > 0.8
    assert grain.unevenness < 0.3
    assert strokes.relief > 4 * grain.relief * grain.coherence


def test_surface_of_patches_is_uneven_and_turned_strokes_are_not_one_way() -> None:
    noise = np.random.default_rng(3).normal(0, 30, (384, 512))
    grain = ndimage.gaussian_filter(noise, 1)
    patchy = grain * (np.repeat(np.arange(8) % 2, 64)[None, :] + 0.02)
    found = surface.surface(grey(50 + patchy))
    assert found.unevenness > 3 * surface.surface(grey(50 + grain)).unevenness
    level, upright = ndimage.gaussian_filter(noise, (1, 9)), ndimage.gaussian_filter(noise, (9, 1))
    both = np.where(np.arange(512)[None, :] < 256, level, upright) * 3
    assert surface.surface(grey(50 + both)).one_way < 0.2


def test_finest_share_tells_grain_from_what_was_enlarged() -> None:
    noise = np.random.default_rng(3).normal(50, 20, (384, 512))
    grain = surface.finest_share(grey(noise))
    painted = surface.finest_share(grey(ndimage.gaussian_filter(noise, 0.5)))
    enlarged = surface.finest_share(grey(ndimage.zoom(noise[::4, ::4], 4)))
    assert grain > painted > surface.LEAST_FINEST_SHARE > enlarged
    assert surface.finest_share(grey(np.full((50, 60), 50))) == 0


def test_haze() -> None:
    hills = np.repeat(np.linspace(80, 20, 10), 16)[:, None] + np.zeros((160, 200))
    contrast = np.linspace(0.5, 15, 160)[:, None] * np.sin(np.arange(200))[None, :]
    hazy = grey(hills + contrast)
    assert space.distance_haze(hazy) > 25
    assert space.haze_steps(hazy) == 4
    assert space.contrast_fall(hazy) < 0.9
    assert space.distance_haze(hazy[::-1].copy()) < -15
    assert space.haze_steps(hazy[::-1].copy()) == 0


def test_figure_contrast() -> None:
    picture = lab(dark_spot(0.5, 0.5, 36))
    assert space.figure_contrast(picture, composition.saliency(picture)) > 1.5
    even = lab(speckle(10))
    assert space.figure_contrast(even, np.ones(even.shape[:2], np.float32)) < 0.5


def test_mass_share() -> None:
    assert shapes.mass_share(stripes(90, period=120)) > 0.7
    assert shapes.mass_share(speckle(20)) < 0.05


def test_shapes_of_one_size_do_not_vary() -> None:
    squares = np.full((160, 160), 80, np.float32)
    for y in range(12, 160, 40):
        for x in range(12, 160, 40):
            squares[y : y + 18, x : x + 18] = 20
    varied = np.full((160, 160), 80, np.float32)
    for y, x, tall, wide in (
        (5, 5, 60, 12),
        (20, 40, 20, 90),
        (80, 20, 70, 60),
        (80, 100, 10, 10),
        (110, 120, 40, 14),
    ):
        varied[y : y + tall, x : x + wide] = 20
    same, different = shapes.shapes(squares), shapes.shapes(varied)
    assert different.outline_spread > same.outline_spread + 0.2
    assert shapes.shapes(np.full((50, 50), 50, np.float32)).size_spread == 0
