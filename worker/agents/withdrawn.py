"""The sides that the agent proposed once and proposes no more, with what real paintings said of them and why they went.

Kept as data so that the page on the agent is checked against them, and so that a side whose measure gets better can be
judged anew (`python -m bench.agent_accuracy`). What `conditions` say is how the side was last decided.
"""

from __future__ import annotations

from dataclasses import dataclass

from taxonomy.tree import Polarity
from worker.agents.rules import Condition, above, below


@dataclass(frozen=True)
class Withdrawn:
    """A side, how it was decided, the verdicts on its proposals, and why it is not proposed."""

    key: str
    polarity: Polarity
    appears: int
    does_not_appear: int
    cannot_tell: int
    reason: str
    conditions: tuple[Condition, ...]


def _gone(
    key: str,
    polarity: Polarity,
    verdicts: tuple[int, int, int],
    reason: str,
    *conditions: Condition,
) -> Withdrawn:
    return Withdrawn(key, polarity, *verdicts, reason, conditions)


WITHDRAWN: tuple[Withdrawn, ...] = (
    _gone(
        "focal-point-composition",
        "positive",
        (7, 0, 1),
        "Right, but eight of 38 proposals come or go when the picture is cropped by 2 %: where the window of most attention ends is decided by little.",
        above("focal share", 0.34),
    ),
    _gone(
        "visual-balance",
        "positive",
        (4, 0, 0),
        "14 of 50 proposals come or go when the picture is cropped by 2 %; so fine a balance is the frame's and not the painter's.",
        below("sideways lean", 0.008),
    ),
    _gone(
        "lost-and-found-edges",
        "positive",
        (1, 0, 0),
        "26 of 33 proposals come or go when the picture is cropped by 2 %, 19 when it is saved again: which points make one contour hangs on single pixels.",
        above("changing contours", 0.19),
        above("hard edges", 0.3),
        below("median L*", 50),
    ),
    _gone(
        "brushwork-in-evidence",
        "positive",
        (11, 10, 3),
        "Fine detail of the motif (foliage, crowds, lace, gold) has the scale and contrast of brush marks.",
        above("stroke strength", 2),
        below("texture unevenness", 1),
    ),
    _gone(
        "polished-finish",
        "negative",
        (5, 4, 7),
        "A soft reproduction of any paint is smooth.",
        below("stroke strength", 0.75),
    ),
    _gone(
        "rich-impasto-texture",
        "positive",
        (6, 13, 5),
        "Relief is told from fine detail by raking light only; at 512 pixels neither is there.",
        above("ridge contrast", 1.6),
        above("stroke strength", 2.3),
        below("texture unevenness", 0.85),
    ),
    _gone(
        "even-surface-grain",
        "negative",
        (0, 12, 1),
        "Clear sky over a crowd is glassy beside gritty, and rightly so: the motif decides, not the surface.",
        above("texture unevenness", 1.75),
        above("stroke strength", 0.4),
    ),
    _gone(
        "varied-stroke-direction",
        "positive",
        (0, 1, 2),
        "The directions are those of the motif's details.",
        below("stroke one-way", 0.14),
        above("stroke strength", 1.2),
        above("stroke coherence", 0.3),
    ),
    _gone(
        "varied-stroke-direction",
        "negative",
        (0, 3, 0),
        "Rain, grass, water and planks run one way in any hand.",
        above("stroke one-way", 0.72),
        above("stroke strength", 0.8),
        above("stroke coherence", 0.25),
    ),
    _gone(
        "clear-light-direction",
        "positive",
        (6, 4, 7),
        "A dark wall on one side makes the same gradient as a lamp on the other.",
        above("light direction", 0.105),
        above("squinted contrast", 6),
    ),
    _gone(
        "clear-light-direction",
        "negative",
        (0, 1, 1),
        "That the sideways mean vanishes is no evidence of several lights: light from the front or from above has none.",
        below("light direction", 0.006),
        above("squinted contrast", 20),
        above("detail cover", 0.6),
    ),
    _gone(
        "luminous-high-key",
        "negative",
        (0, 0, 0),
        "Never proposed on 240 paintings, so never judged.",
        below("squinted contrast", 7.5),
        above("darkest L*", 45),
    ),
    _gone(
        "layered-midtones",
        "negative",
        (0, 7, 6),
        "A candle or a white collar before a dark ground skips no step that the eye misses.",
        below("midtone layers", 0.34),
        above("tonal extent", 60),
    ),
    _gone(
        "bilateral-symmetry",
        "positive",
        (4, 7, 2),
        "A light middle with dark corners, or a frame, is symmetrical whatever stands in it.",
        above("mirror symmetry", 0.36),
    ),
    _gone(
        "bilateral-symmetry",
        "negative",
        (0, 0, 0),
        "Rests on the positive side.",
        above("mirror symmetry", 0.93),
    ),
    _gone(
        "focal-point-composition",
        "negative",
        (6, 6, 6),
        "The map of attention knows no faces and no gestures; it is scattered where the eye is not.",
        below("focal share", 0.19),
        above("detail cover", 0.5),
    ),
    _gone(
        "visual-balance",
        "negative",
        (3, 10, 3),
        "A light mass, a look or a path balances dark masses; the measure weighs contrast alone.",
        above("sideways lean", 0.055),
    ),
    _gone(
        "off-center-placement",
        "negative",
        (3, 5, 0),
        "The accent is found by contrast and is the subject in about half of the pictures.",
        below("centre distance", 0.085),
        above("focal share", 0.24),
    ),
    _gone(
        "pictorial-richness",
        "negative",
        (0, 10, 2),
        "Emptiness can be meant (fog, sky, gold ground); whether it is without tension is not measured.",
        below("detail cover", 0.28),
        above("calm area", 0.45),
    ),
    _gone(
        "horizontal-composition",
        "negative",
        (0, 5, 0),
        "Sea and sky are level bands that an upright crosses somewhere small.",
        above("row share", 0.84),
        above("level structure", 0.6),
    ),
    _gone(
        "vertical-composition",
        "positive",
        (12, 4, 8),
        "A third could not be decided: uprights of walls and doors behind figures count like figures.",
        above("upright structure", 0.42),
        below("level structure", 0.3),
    ),
    _gone(
        "vertical-composition",
        "negative",
        (0, 0, 0),
        "Rests on the positive side.",
        above("column rhythm", 0.42),
        above("upright structure", 0.5),
    ),
    _gone(
        "diagonal-composition",
        "positive",
        (5, 3, 8),
        "Half could not be decided: textures that slant count like the build of the picture.",
        above("slant structure", 0.29),
        below("counter slant", 0.55),
        below("level structure", 0.4),
    ),
    _gone(
        "diagonal-composition",
        "negative",
        (0, 0, 0),
        "Rests on the positive side.",
        below("counter slant", 0.06),
        above("slant structure", 0.5),
    ),
    _gone(
        "circular-composition",
        "positive",
        (0, 7, 1),
        "Any blob in the middle is as concentric as a ring; a textbook tondo is missed.",
        above("ring likeness", 0.665),
        above("ring closure", 0.92),
    ),
    _gone(
        "circular-composition",
        "negative",
        (0, 0, 0),
        "Rests on the positive side.",
        above("ring closure", 0.988),
        above("ring likeness", 0.75),
    ),
    _gone(
        "warm-dominance",
        "negative",
        (0, 1, 0),
        "Three proposals, all on gold or old varnish, and a warmer white balance makes more.",
        above("warm share", 0.93),
        below("cool share", 0.003),
        above("mean chroma", 26),
    ),
    _gone(
        "cool-dominance",
        "negative",
        (0, 0, 0),
        "One proposal on 240 paintings, gone with a warmer white balance.",
        above("cool share", 0.9),
        below("warm share", 0.005),
    ),
    _gone(
        "warm-cool-contrast",
        "negative",
        (0, 3, 3),
        "Gold grounds, monochromes and brown varnish have one temperature and glow.",
        below("temperature spread", 15),
        below("lesser temperature", 0.01),
    ),
    _gone(
        "complementary-contrast",
        "negative",
        (0, 0, 0),
        "Never proposed on 240 paintings, so never judged.",
        above("hue opposition", 0.4),
        above("mean chroma", 32),
    ),
    _gone(
        "analogous-harmony",
        "negative",
        (0, 0, 0),
        "One proposal on 240 paintings, gone with a cooler white balance.",
        below("temperature spread", 14),
        above("hue sector", 0.99),
        below("squinted contrast", 11),
    ),
    _gone(
        "clear-edges",
        "negative",
        (2, 14, 2),
        "It begins at a blur of one pixel, the softness of a slightly soft scan.",
        above("edge width", 1.9),
    ),
    _gone(
        "lost-and-found-edges",
        "negative",
        (0, 0, 0),
        "Hardly ever proposed on 240 paintings, so never judged; a sharpened scan traces every contour.",
        below("changing contours", 0.025),
        above("hard edges", 0.7),
        below("stroke strength", 1.9),
    ),
    _gone(
        "edge-hierarchy",
        "positive",
        (3, 1, 1),
        "17 of 23 with a second look at further paintings: not clearly above 0.7. Crowds and still depth of focus in the photograph spread widths too.",
        above("edge spread", 1.05),
        below("hard edges", 0.65),
        above("hard edges", 0.12),
    ),
    _gone(
        "edge-hierarchy",
        "negative",
        (1, 4, 2),
        "Half the size of the file doubles the proposals.",
        below("edge spread", 0.66),
    ),
    _gone(
        "foreground-background-separation",
        "negative",
        (1, 13, 4),
        "Subjects stand out by drawing, face or place where value and color do not.",
        below("figure contrast", 0.55),
    ),
    _gone(
        "shape-variety",
        "positive",
        (3, 0, 1),
        "28 of 39 proposals are gone when the picture is cropped by 2 % or saved again.",
        above("shape sizes", 1.22),
        above("shape outlines", 0.8),
    ),
    _gone(
        "shape-variety",
        "negative",
        (0, 9, 1),
        "Blots of like value are not the shapes one sees; it fired on abstract pictures of great variety.",
        below("shape sizes", 1),
        below("shape outlines", 0.7),
        above("shape number", 12),
    ),
)
