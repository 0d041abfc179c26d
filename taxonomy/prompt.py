"""The text of a labelled image: the one place where attributes become words for a model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from taxonomy.tree import POLARITIES, Criteria, Polarity

TEMPLATE_ID = "comma-list/1"
SEPARATOR = ", "
# What may stand before each list when polarity is marked in the text; no attribute may bear it.
POLARITY_MARKERS: dict[Polarity, str] = {"positive": "positive:", "negative": "negative:"}


@dataclass(frozen=True, slots=True)
class Conditions:
    """The texts a model is conditioned on for one image, in the paper's sets.

    `content` is y, `positive` (y, A_pos), `negative` (A_neg) without y, `content_negative` (y, A_neg), `all`
    (y, A_pos, A_neg) and `null` the empty text.
    """

    content: str
    positive: str
    negative: str
    content_negative: str
    all: str
    null: str


@dataclass(frozen=True, slots=True)
class Style:
    """How the lists are written. `polarity_markers`: each with its marker before it, if not empty."""

    polarity_markers: bool = False


PLAIN = Style()


def conditions(
    prompt: str, positive: Sequence[str], negative: Sequence[str], style: Style = PLAIN
) -> Conditions:
    """The condition texts of an image (equations 3 and 10-11, template `comma-list/1`).

    The names stand in the order given, which is tree order when they come from
    `wordings_of`. White space around the prompt is dropped; an empty part leaves no comma.
    """
    content = prompt.strip()
    good = _write_list(positive, "positive", style)
    bad = _write_list(negative, "negative", style)
    return Conditions(
        content=content,
        positive=_join(content, good),
        negative=bad,
        content_negative=_join(content, bad),
        all=_join(content, good, bad),
        null="",
    )


def wordings_of(criteria: Criteria, sides: Iterable[tuple[str, Polarity]]) -> list[str]:
    """What a text encoder is told of attributes, in tree order: the prompt wording of each where it has
    one, and else its name.

    Retired pairs, and pairs below a retired dimension, are left out, because retired criteria stay
    out of new datasets. A key that is no pair's raises KeyError.
    """
    wanted = set(sides)
    for key, _ in wanted:
        criteria.pair(key)
    return [
        pair.attribute(polarity).prompt_wording
        for pair in criteria.active_pairs()
        for polarity in POLARITIES
        if (pair.key, polarity) in wanted
    ]


def _write_list(names: Sequence[str], polarity: Polarity, style: Style) -> str:
    written = _join(*names)
    if written and style.polarity_markers:
        return f"{POLARITY_MARKERS[polarity]} {written}"
    return written


def _join(*parts: str) -> str:
    return SEPARATOR.join(part for part in parts if part)
