"""The one folding that every search stands on: what people type and what is written meet as words.

Case, accents (composed or not), apostrophes, hyphens, white space, full-width forms and ligatures do
not count. `word_list` makes the words that a text is found by, `read_query` what has to start some of
them. The database holds the same words, so a search there and a search in memory find the same.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

# Letters that no Unicode decomposition turns into plain ones.
PLAIN_LETTERS = str.maketrans(
    {
        "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h",
        "ŧ": "t", "ŋ": "ng", "ɨ": "i", "ƀ": "b", "ɓ": "b", "ɗ": "d", "ƒ": "f", "ǥ": "g", "ƙ": "k",
        "ɲ": "n", "ƿ": "w", "ʉ": "u", "ƶ": "z", "ə": "e", "ɛ": "e", "ɔ": "o", "ĸ": "k", "ȷ": "j",
        "ⱥ": "a", "ȼ": "c", "ɇ": "e", "ɉ": "j", "ɍ": "r", "ɏ": "y", "ـ": "",
    }
)  # fmt: skip

# Where some write the letter with its mark and others spell it out: Dürer, Duerer.
_SPELT_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "Å": "Aa", "Ø": "Oe"}
)  # fmt: skip
# One sign for all that are typed for one another. Some of these are letters or accents to Unicode.
_SIGNS = str.maketrans(
    dict.fromkeys("’‘‛ʼʻʽʹʾʿˈ′‵´`＇`׳", "'") | dict.fromkeys("“”„‟«»″‶〝〞〟＂״", '"') | {"−": "-"}
)

MAX_WORD = 100
MAX_JOINED_PARTS = 8
# Classes of marks that are part of a letter and no accent on it: nukta, kana voicing, virama, vowels.
_KEPT_MARKS = frozenset({0, 7, 8, 9, 84, 91, 103, 107, 118, 122, 129, 130, 132})
# Scripts that are written without spaces: each two neighbouring characters are a word.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff"
    "\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUNS = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_FIGURES = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_KATAKANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
# Words are folded, so capitals are free to mark a whole name: N…E.
_START, _END = "N", "E"
# A soft break: a place inside a chunk where a word may begin, as in StarryNight.
_SOFT = "\x02"
_CONTROL = re.compile("[\x00\x01\x03-\x1f\x7f]")
_CAPITAL = re.compile("(?<=[a-z])(?=[A-Z])")


def fold(text: str) -> str:
    """The text in plain small letters: no case, accents, widths or unseen characters; signs stay."""
    return _spellings(text)[0].replace(_SOFT, "")


def _fold(text: str) -> str:
    """The text folded, with a soft break wherever a capital follows a small letter."""
    if text.isascii():  # most texts are; the rules below come to the same
        return _CONTROL.sub(" ", _CAPITAL.sub(_SOFT, text).translate(_SIGNS).lower())
    spread = unicodedata.normalize("NFKD", "".join(_seen(text.translate(_SIGNS))))
    plain = unicodedata.normalize("NFKD", spread.casefold()).translate(PLAIN_LETTERS)
    bare = "".join(
        "-" if unicodedata.category(c) == "Pd" else c
        for c in plain
        if unicodedata.combining(c) in _KEPT_MARKS
    )
    return unicodedata.normalize("NFC", bare).translate(_KATAKANA)


def _seen(text: str) -> Iterator[str]:
    small = False
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Cs") or character == "\u200b":
            yield " "
        elif category != "Cf":
            if small and category == "Lu":
                yield _SOFT
            yield character
        small = category == "Ll" or (small and category == "Mn")


def _spellings(text: str) -> tuple[str, ...]:
    """A text folded, and folded with its umlauts spelt out where it has any."""
    composed = unicodedata.normalize("NFC", text.replace(_SOFT, " "))
    return tuple(dict.fromkeys((_fold(composed), _fold(composed.translate(_SPELT_OUT)))))


@lru_cache(maxsize=4096)
def _is_sign(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


@lru_cache(maxsize=4096)
def _is_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"


def _pieces(chunk: str, *, soft: bool) -> list[str]:
    """The runs of letters and digits of a chunk; `soft` also splits where figures meet letters."""
    spaced = "".join(c if _is_word(c) else (" " if c != _SOFT or soft else "") for c in chunk)
    if soft:
        spaced = _FIGURES.sub(" ", spaced)
    return spaced.split()


def _chunks(folded: str) -> Iterator[tuple[bool, str]]:
    """What stands between white space, split where a script without spaces begins or ends."""
    for chunk in folded.split():
        for run in _RUNS.findall(chunk):
            yield _IS_UNSPACED.match(run) is not None, run


@lru_cache(maxsize=16_384)
def word_list(text: str) -> tuple[str, ...]:
    """The words that a text is found by, each once, in order.

    A compound is found by its parts and as one from each part on: `Pointe-du-Raz` by `pointe`, `du`,
    `raz`, `pointeduraz` and `duraz`. Signs are words of one character.
    """
    words: dict[str, None] = {}
    for folded in _spellings(text):
        words.update(dict.fromkeys(_written(folded)))
        words.update(dict.fromkeys(c for c in folded if _is_sign(c)))
    return tuple(words)


def _written(folded: str) -> Iterator[str]:
    for is_unspaced, chunk in _chunks(folded):
        parts = _pieces(chunk, soft=True)
        if is_unspaced:
            for part in parts:
                yield from (part[at : at + 2] for at in range(len(part)))
            continue
        for at, part in enumerate(parts):
            yield part[:MAX_WORD]
            if at + 1 < len(parts):
                yield "".join(parts[at : at + MAX_JOINED_PARTS])[:MAX_WORD]


def _whole(folded: str) -> str:
    return "".join(c for c in folded if _is_word(c))[: 2 * MAX_WORD]


@lru_cache(maxsize=16_384)
def name_words(text: str) -> tuple[str, ...]:
    """The words of a name, and one more for each spelling that stands for the whole of it."""
    wholes = (_whole(folded) for folded in _spellings(text))
    return (*word_list(text), *(f"{_START}{whole}{_END}" for whole in wholes if whole))


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for. Each token is a choice of terms that all have to start a word.

    `whole` is all of it in one, which a name may begin with or be.
    """

    tokens: tuple[tuple[tuple[str, ...], ...], ...]
    whole: str

    def __bool__(self) -> bool:
        return bool(self.tokens)

    @property
    def name_start(self) -> str:
        """The word that stands for a whole name begins with this where the name begins with the query."""
        return _START + self.whole

    @property
    def name_itself(self) -> str:
        """The word that stands for a name which is the query."""
        return _START + self.whole + _END


def read_query(text: str) -> Query:
    """What a text in a search box asks for. Signs count only where there is nothing else."""
    spellings = _spellings(text)
    tokens = [list(_tokens(folded)) for folded in spellings]
    # Spelling a letter out changes no boundary, so the tokens of all spellings stand side by side.
    choices = [tuple(dict.fromkeys(sum(each, ()))) for each in zip(*tokens, strict=True)]
    if not choices:
        choices = [((sign,),) for sign in spellings[0] if _is_sign(sign)]
    return Query(tuple(dict.fromkeys(choices)), _whole(spellings[0]))


def _tokens(folded: str) -> Iterator[tuple[tuple[str, ...], ...]]:
    for is_unspaced, chunk in _chunks(folded):
        parts = _pieces(chunk, soft=False)
        if is_unspaced:
            for part in parts:
                pairs = [part[at : at + 2] for at in range(len(part) - 1)]
                yield (tuple(pairs or [part]),)
        elif parts:
            joined = ("".join(parts)[:MAX_WORD],)
            apart = tuple(part[:MAX_WORD] for part in parts)
            yield tuple(dict.fromkeys((joined, apart)))


# Ranking ---------------------------------------------------------------------------------------

RANKS = ("itself", "start", "name", "place", "text")


@dataclass(frozen=True, slots=True)
class Findable:
    """Something that can be found: by its names, by where it belongs, by what is said about it."""

    names: tuple[str, ...]
    places: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def hay(self) -> "Hay":
        """Its words, ready to be searched."""
        return Hay(
            _line(word for name in self.names for word in name_words(name)),
            _line(word for place in self.places for word in word_list(place)),
            _line(word for text in self.texts for word in word_list(text)),
        )


@dataclass(frozen=True, slots=True)
class Hay:
    """The words of something, one string each for names, places and texts."""

    names: str
    places: str
    texts: str


def _line(words: Iterable[str]) -> str:
    return f" {' '.join(words)} "


def rank(query: Query, hay: Hay) -> int | None:
    """How well something fits, 0 best, as a place in RANKS; None where it does not.

    The query is a name, starts one, every word of it starts a word of the names, of names and places,
    or of everything. What is only said about a thing therefore never beats its name.
    """
    if query.whole:
        if f" {query.name_itself} " in hay.names:
            return 0
        if f" {query.name_start}" in hay.names:
            return 1
    for place, where in enumerate(
        (hay.names, hay.names + hay.places, hay.names + hay.places + hay.texts), start=2
    ):
        if all(holds(where, token) for token in query.tokens):
            return place
    return None


def holds(line: str, token: tuple[tuple[str, ...], ...]) -> bool:
    """Whether words of a line start as one choice of a token asks."""
    return any(all(f" {term}" in line for term in terms) for terms in token)


# Marking ---------------------------------------------------------------------------------------


def find_marks(query: Query, text: str) -> tuple[tuple[int, int], ...]:
    """Where in a text the words that a query asks for begin, as the characters from and up to which to mark.

    What is marked is as much of each word as was asked for: of `Dürer` the `Dür` for `duer` and `dur` alike.
    """
    found: dict[int, int] = {}
    for token in query.tokens:
        for at, end in _marks_of(token, text):
            found[at] = max(end, found.get(at, 0))
    marks: list[tuple[int, int]] = []
    for at, end in sorted(found.items()):
        if not marks or at >= marks[-1][1]:
            marks.append((at, end))
    return tuple(marks)


def _marks_of(token: tuple[tuple[str, ...], ...], text: str) -> list[tuple[int, int]]:
    """Where the terms of the first choice that the text holds as a whole stand."""
    for terms in token:
        found = [_spans(term, text) for term in terms]
        if all(found):
            return [span for spans in found for span in spans]
    return []


def _spans(term: str, text: str) -> list[tuple[int, int]]:
    if text.isascii():  # most texts are, and thousands are marked at once
        return [found.span() for found in _pattern(term).finditer(text)]
    beginnings = (at for at in range(len(text)) if _begins(text, at))
    return [(at, at + reach) for at in beginnings if (reach := _reach(text, at, term))]


@lru_cache(maxsize=256)
def _pattern(term: str) -> re.Pattern[str]:
    """Words of a plain text that begin with the term, whatever signs stand within them."""
    letters = (f"[{c}{c.upper()}]" if c.isascii() and c.isalpha() else re.escape(c) for c in term)
    begins = "(?<![A-Za-z0-9])|(?<=[a-z])(?=[A-Z])|(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])"
    if not term[:1].isalnum():
        begins = ""
    signs = r"[^A-Za-z0-9\s]*"
    return re.compile(f"(?:{begins}){signs.join(letters)}")


def _begins(text: str, at: int) -> bool:
    """Whether a word may begin at this character; `_written` makes words of the same parts."""
    here, before = text[at], text[at - 1] if at else " "
    if not _is_word(here) or not _is_word(before) or _IS_UNSPACED.match(here):
        return True
    is_soft = before.islower() and here.isupper()
    return is_soft or before.isdigit() != here.isdigit() or _IS_UNSPACED.match(before) is not None


def _reach(text: str, at: int, term: str) -> int:
    """How many characters from here on are written so that they begin as the term does; 0 if none."""
    if not any(_overlap(each, term) for each in _bare(text[at])):
        return 0
    for end in range(at + 1, len(text) + 1):
        spellings = [each for each in _bare(text[at:end]) if _overlap(each, term)]
        if any(each.startswith(term) for each in spellings):
            return end - at
        if not spellings or text[end - 1].isspace():
            return 0
    return 0


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


@lru_cache(maxsize=16_384)
def _bare(text: str) -> tuple[str, ...]:
    """A few characters in their spellings, without the signs between letters."""
    folded = (each.replace(_SOFT, "") for each in _spellings(text))
    return tuple("".join(filter(_is_word, each)) or each for each in folded)
