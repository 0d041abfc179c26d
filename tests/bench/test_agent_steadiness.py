"""Which labels of the measured agent change in other files of a picture."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import agent_steadiness as steadiness
from bench.reproducing import DISTURBANCES, FILES, GRAY, OTHERS

Seen = Mapping[str, steadiness.Values]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    pixels = np.full((300, 400, 3), (214, 120, 40), np.int16)
    pixels[60:220, 40:160] = (30, 90, 190)
    pixels += np.random.default_rng(0).integers(-25, 25, pixels.shape, dtype=np.int16)
    path = tmp_path_factory.mktemp("pictures") / "boxes.png"
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    found = steadiness.measures_of(path)
    assert found is not None
    return found


def test_every_file_is_looked_at(seen: Seen) -> None:
    assert seen.keys() == {"", *DISTURBANCES, *FILES, *OTHERS}
    assert steadiness.labels_of(seen[""])


def test_what_changes_is_counted_by_side(seen: Seen) -> None:
    turned = steadiness.changes([seen], "lying, turned by EXIF")
    assert turned.labels == len(steadiness.labels_of(seen[""]))
    assert (turned.lost.total(), turned.gained.total()) == (0, 0)
    drawn = steadiness.changes([seen], "drawn in pencil")
    assert drawn.lost["warm-cool-contrast", "positive"] == 1
    assert drawn.percent(drawn.lost) > 0
    # Of one picture each side changes once: they come by name.
    first = min(drawn.lost | drawn.gained)
    assert drawn.worst().startswith(f"{first[0]} {first[1]} -{drawn.lost[first]} ")


def test_of_a_gray_photograph_no_color_is_asked(seen: Seen) -> None:
    asked = steadiness.changes([seen], GRAY)
    assert 0 < asked.labels < len(steadiness.labels_of(seen[""]))
    assert ("warm-cool-contrast", "positive") not in asked.lost


def test_moved_thresholds_tell_what_lies_near_them(seen: Seen) -> None:
    """Of pictures that are all alike nothing lies elsewhere than they do, so nothing is moved; what changes stays."""
    changed = steadiness.changes([seen], "drawn in pencil")
    lost, gained = steadiness.with_moved_thresholds([seen], "drawn in pencil")
    assert (lost, gained) == pytest.approx(
        (changed.percent(changed.lost), changed.percent(changed.gained))
    )
    assert steadiness.with_moved_thresholds([seen], "lying, turned by EXIF") == (0, 0)


def test_what_is_no_picture_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no picture")
    assert steadiness.measures_of(path) is None
