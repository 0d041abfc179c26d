"""Aspect-ratio buckets: which sizes there are, and which one a picture gets."""

import math
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.training.buckets import LEAST_AREA, make_buckets, nearest_bucket

resolutions = st.integers(2, 256).map(lambda units: units * 8)
steps = st.sampled_from((8, 16, 24, 64, 100, 512))
aspects = st.floats(1, 8)
sides = st.integers(1, 20_000)
by_examples = settings(deadline=None, max_examples=100)


def test_the_buckets_of_sdxl() -> None:
    lying = ((1088, 960), (1152, 896), (1216, 832), (1280, 768), (1344, 768), (1408, 704))
    upright = tuple((height, width) for width, height in reversed(lying))
    assert make_buckets(1024, 64, 2.0, 8) == (*upright, (1024, 1024), *lying)


def test_sides_suit_the_model_as_well() -> None:
    assert make_buckets(96, 8, 3.0, 16) == (
        (64, 144),
        (64, 128),
        (80, 112),
        (96, 96),
        (112, 80),
        (128, 64),
        (144, 64),
    )


def test_below_the_step_only_the_model_decides() -> None:
    assert make_buckets(64, 512, 1.5, 16) == ((64, 64),)
    assert make_buckets(64, 512, 2.0, 8) == make_buckets(64, 8, 2.0, 8)
    assert len(make_buckets(64, 8, 2.0, 8)) == 5


@by_examples
@given(resolutions, steps, aspects)
def test_all_are_about_as_large_as_the_square(resolution: int, step: int, aspect: float) -> None:
    buckets = make_buckets(resolution, step, aspect, 8)
    area = resolution**2
    grid = math.lcm(step, 8) if resolution >= math.lcm(step, 8) else 8
    assert (resolution, resolution) in buckets
    for width, height in buckets:
        assert LEAST_AREA * area <= width * height <= area
        assert max(width, height) <= aspect * min(width, height)
        if width != height:
            assert width % grid == height % grid == 0


@by_examples
@given(resolutions, steps, aspects)
def test_they_go_from_tall_to_wide_and_each_has_its_mirror_image(
    resolution: int, step: int, aspect: float
) -> None:
    buckets = make_buckets(resolution, step, aspect, 8)
    for (width, height), (next_width, next_height) in pairwise(buckets):
        assert width <= next_width and height >= next_height
        assert width * next_height < next_width * height
    assert buckets == tuple((height, width) for width, height in reversed(buckets))


@by_examples
@given(resolutions, aspects)
def test_no_size_that_fits_the_grid_is_larger(resolution: int, aspect: float) -> None:
    for width, height in make_buckets(resolution, 8, aspect, 8):
        if width > height:
            assert width * (height + 8) > resolution**2


@by_examples
@given(resolutions, aspects, sides, sides)
def test_a_picture_gets_the_bucket_of_its_shape(
    resolution: int, aspect: float, width: int, height: int
) -> None:
    buckets = make_buckets(resolution, 8, aspect, 8)
    found = nearest_bucket((width, height), buckets)
    assert nearest_bucket((height, width), buckets) == (found[1], found[0])
    distance = abs(math.log(width / height) - math.log(found[0] / found[1]))
    for each in buckets:
        assert distance <= abs(math.log(width / height) - math.log(each[0] / each[1])) + 1e-9
    assert nearest_bucket((width, width), buckets) == (resolution, resolution)


def test_a_panorama_gets_the_longest_and_every_bucket_its_own_shape() -> None:
    buckets = make_buckets(1024, 64, 2.0, 8)
    assert nearest_bucket((9000, 300), buckets) == (1408, 704)
    assert nearest_bucket((300, 9000), buckets) == (704, 1408)
    assert [nearest_bucket((3 * w, 3 * h), buckets) for w, h in buckets] == list(buckets)
    assert nearest_bucket((9000, 300), ((512, 512),)) == (512, 512)
