"""What the measured agent sees in a picture, as lines and areas to lay over it; the handler of jobs of kind `measures`.

Everything is drawn from the planes that the rules are decided on (`looking`), none of it is worked out for show.
Coordinates run from 0 to 1000 along the long side of the whole picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.database import Json
from app.errors import Invalid, NotFound, Unavailable
from app.images.decoding import ImageRefused
from app.images.measuring import make_drawing
from app.images.tiling import why_not
from worker.agents.looking import MEASURES, ONE_RIM, Look, measure
from worker.agents.measured import VERSION, Seen, decide, see
from worker.agents.measures.planes import squint
from worker.agents.rules import RULES, Condition
from worker.ledger import JobFailed, Work

MOST_MARKS = 1500
LONG = 1000.0


def run(work: Work) -> Json:
    """Draw the measures of the image that the job's spec names; returns how many bytes that takes."""
    try:
        return {"bytes": make_drawing(work.transaction, int(work.spec["image_id"]), draw)}
    except Unavailable as error:
        raise JobFailed("infrastructure", error.message, again=True) from error
    except (NotFound, Invalid, ImageRefused) as error:
        raise JobFailed("data", why_not(error)) from error


def draw(image: Image.Image) -> Json:
    """The layers of one picture, its palette and what each rule found."""
    seen = see(image)
    look = Look(seen.rgb, ONE_RIM)
    frame = _Frame(seen)
    return {
        "version": VERSION,
        "width": round(frame.width, 1),
        "height": round(frame.height, 1),
        "layers": _layers(look, frame),
        "palette": _palette(look),
        "rules": _rules(seen.rgb),
    }


class _Frame:
    """From places on a plane, without border and rim, to places on the picture."""

    def __init__(self, seen: Seen) -> None:
        left, top, right, bottom = seen.inside
        width, height = seen.rgb.width / (right - left), seen.rgb.height / (bottom - top)
        long = max(width, height)
        self.width, self.height = LONG * width / long, LONG * height / long
        self._left, self._across = left, right - left
        self._top, self._down = top, bottom - top

    def border(self) -> str:
        """The outline of the picture inside its even border; empty where it has none."""
        if (self._across, self._down) == (1.0, 1.0):
            return ""
        left, top = self.width * self._left, self.height * self._top
        across, down = self.width * self._across, self.height * self._down
        return f"M{left:.1f} {top:.1f}h{across:.1f}v{down:.1f}h{-across:.1f}z"

    def x(self, share: float) -> float:
        """From a share of the width inside border and rim."""
        inside = ONE_RIM + share * (1 - 2 * ONE_RIM)
        return round(self.width * (self._left + inside * self._across), 1)

    def y(self, share: float) -> float:
        """From a share of the height inside border and rim."""
        inside = ONE_RIM + share * (1 - 2 * ONE_RIM)
        return round(self.height * (self._top + inside * self._down), 1)


def _layers(look: Look, frame: _Frame) -> list[Json]:
    hard, soft = _marks(look, frame)
    lean = _middle_of_weight(look)
    return [
        _layer("masses", "Masses: borders of five steps of value, squinted", _masses(look, frame)),
        _layer(
            "calm",
            "Calm: where the local contrast is below 3.5 L*",
            _outline(look.detail < 3.5, frame),
        ),
        _layer("hard", "Hard borders, narrower than 2 thousandths of the long side", hard),
        _layer("soft", "Soft borders, wider than 5 thousandths", soft),
        _layer(
            "weight",
            "Middle of the visual weight; dashed, the middle of the picture",
            _upright(lean, frame),
        ),
        _layer("middle", "", _upright(0.5, frame)),
        _layer("border", "Even border, left out of everything", frame.border()),
    ]


def _layer(key: str, name: str, path: str) -> Json:
    return {"key": key, "name": name, "path": path}


def _masses(look: Look, frame: _Frame) -> str:
    calm = squint(look.lightness)
    steps = np.digitize(calm, np.unique(np.percentile(calm, [20, 40, 60, 80])))
    return _borders_of(steps, frame)


def _outline(mask: npt.NDArray[np.bool_], frame: _Frame) -> str:
    return _borders_of(mask.astype(np.intp), frame)


def _borders_of(steps: npt.NDArray[np.intp], frame: _Frame) -> str:
    """Lines between neighbouring cells of different steps, as the path of an SVG."""
    rows, columns = steps.shape
    path = []
    for row, column in np.argwhere(np.diff(steps, axis=1) != 0):
        x = frame.x((column + 1) / columns)
        path.append(f"M{x} {frame.y(row / rows)}V{frame.y((row + 1) / rows)}")
    for row, column in np.argwhere(np.diff(steps, axis=0) != 0):
        y = frame.y((row + 1) / rows)
        path.append(f"M{frame.x(column / columns)} {y}H{frame.x((column + 1) / columns)}")
    return "".join(path)


def _marks(look: Look, frame: _Frame) -> tuple[str, str]:
    """Dots on the hard and on the soft borders, an even sample where there are many."""
    found = look.borders
    if found is None:
        return "", ""
    height, width = look.fine_lightness.shape
    dots = []
    for chosen in (found.widths < 2.0, found.widths > 5.0):
        places = found.places[chosen]
        places = places[:: max(1, -(-len(places) // MOST_MARKS))]
        dots.append("".join(f"M{frame.x(x / width)} {frame.y(y / height)}h.1" for y, x in places))
    return dots[0], dots[1]


def _middle_of_weight(look: Look) -> float:
    columns = look.attention.sum(axis=0)
    total = float(columns.sum())
    if total <= 0:
        return 0.5
    middle = float((columns * (np.arange(columns.size) + 0.5)).sum()) / total
    return middle / int(columns.size)


def _upright(share: float, frame: _Frame) -> str:
    return f"M{frame.x(share)} 0V{round(frame.height, 1)}"


def _palette(look: Look) -> list[Json]:
    """The colors of the picture in white light by sector of hue, and its greys, largest share first."""
    hue = np.degrees(np.arctan2(look.lab[..., 2], look.lab[..., 1])) % 360
    chroma = np.hypot(look.lab[..., 1], look.lab[..., 2])
    sector = np.where(chroma > 8, (hue // 30).astype(int), 12)
    colors = []
    for each in range(13):
        inside = sector == each
        if inside.mean() >= 0.005:
            red, green, blue = look.pixels[inside].mean(axis=0).round().astype(int)
            name = "neutral" if each == 12 else f"hue {each * 30} to {each * 30 + 30}°"
            colors.append(
                {
                    "color": f"#{red:02x}{green:02x}{blue:02x}",
                    "share": round(float(inside.mean()), 3),
                    "name": name,
                }
            )
    return sorted(colors, key=lambda each: -float(str(each["share"])))


def _rules(rgb: Image.Image) -> list[Json]:
    """Each rule's conditions with the value found, and whether the side is proposed."""
    values = measure(rgb, MEASURES)
    found = {(each.key, each.polarity) for each in decide(values)}
    return [
        {
            "key": rule.key,
            "polarity": polarity,
            "proposed": (rule.key, polarity) in found,
            "explanation": rule.explanation,
            "conditions": [_condition(each, values.get(each.measure)) for each in side],
        }
        for rule in RULES
        for polarity, side in (("positive", rule.positive), ("negative", rule.negative))
        if side
    ]


def _condition(condition: Condition, value: float | None) -> Json:
    return {
        "measure": condition.measure,
        "sign": ">" if condition.side == "above" else "<",
        "threshold": condition.threshold,
        "value": None if value is None else round(value, 3),
        "holds": value is not None and condition.holds({condition.measure: value}),
    }
