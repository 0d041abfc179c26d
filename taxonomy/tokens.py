"""How many tokens of CLIP's text encoder words take, and how many attributes fit a prompt.

Byte pair encoding (Sennrich et al. 2016) over bytes, as CLIP (Radford et al. 2021) does it. The merges are the
model's own and come from its files; where there are none, the number is estimated and says so.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from taxonomy.prompt import SEPARATOR
from taxonomy.tree import POLARITIES, Criteria

# Of 77 places two are for the beginning and the end.
WINDOW = 75
# What a description of an image commonly takes before the attributes.
DESCRIPTION = 20
# CLIP's own file has 48 894 merges; a model for tests has far fewer, and says nothing about CLIP.
FEWEST_MERGES = 40_000
_END = "</w>"
_PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)
# English words longer than this are seldom one token; an estimate, no more.
_LONG = 8


@dataclass(frozen=True, slots=True)
class Count:
    """A number of tokens, and whether it is only estimated."""

    tokens: int
    is_estimate: bool


@dataclass(frozen=True)
class Tokenizer:
    """Counts tokens by a model's merges, best first; without any it estimates."""

    merges: Sequence[tuple[str, str]] = ()

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    def count(self, text: str) -> Count:
        """The tokens of a text, without those for its beginning and end."""
        pieces = _PIECES.findall(" ".join(text.lower().split()))
        if not self.merges:
            return Count(sum(_estimate(piece) for piece in pieces), is_estimate=True)
        return Count(sum(self._count(piece) for piece in pieces), is_estimate=False)

    @cached_property
    def _known(self) -> dict[str, int]:
        """Pieces that were counted: a tree says the same words again and again."""
        return {}

    def _count(self, piece: str) -> int:
        if piece not in self._known:
            self._known[piece] = len(self._split(piece))
        return self._known[piece]

    def _split(self, piece: str) -> list[str]:
        units = [_SHOWN[byte] for byte in piece.encode("utf-8")]
        units[-1] += _END
        while len(units) > 1:
            best = min(pairwise(units), key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            units = _merged(units, best)
        return units


def _merged(units: list[str], pair: tuple[str, str]) -> list[str]:
    found: list[str] = []
    for unit in units:
        if found and (found[-1], unit) == pair:
            found[-1] += unit
        else:
            found.append(unit)
    return found


def _estimate(piece: str) -> int:
    if not piece.isascii():
        return len(piece.encode("utf-8")) // 2 + 1
    return 1 + len(piece) // (_LONG + 1) if piece.isalpha() else 1


def _shown_bytes() -> dict[int, str]:
    """The character that stands for each byte in a file of merges: itself where it is printed, else one
    from beyond the first 256, in order.
    """
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printed]
    shown = {byte: chr(byte) for byte in printed}
    return shown | {byte: chr(256 + place) for place, byte in enumerate(others)}


_SHOWN = _shown_bytes()


def read_merges(lines: Iterable[str]) -> list[tuple[str, str]]:
    """The merges of a model's `merges.txt`, whose first line may name a version."""
    pairs = (line.split() for line in lines if not line.startswith("#version"))
    return [(each[0], each[1]) for each in pairs if len(each) == 2]


@dataclass(frozen=True, slots=True)
class Fit:
    """How many attributes of a tree fit a prompt, after a description of an image."""

    mean_tokens: float
    attributes: int
    is_estimate: bool


def fit(criteria: Criteria, tokenizer: Tokenizer) -> Fit | None:
    """How many attributes of middling length fit one window; None for a tree without attributes."""
    counts = [
        tokenizer.count(pair.attribute(polarity).prompt_wording + SEPARATOR)
        for pair in criteria.active_pairs()
        for polarity in POLARITIES
    ]
    if not counts:
        return None
    mean = sum(each.tokens for each in counts) / len(counts)
    return Fit(mean, int((WINDOW - DESCRIPTION) / mean), counts[0].is_estimate)
