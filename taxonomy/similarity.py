"""Names so alike that a reader takes one for the other."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

ARTICLES = frozenset({"a", "an", "the"})

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_LINKS = ARTICLES | frozenset({"of", "in", "with", "and"})
# Shorter words that differ in one letter are usually different words: tone, zone.
_SHORTEST_TYPO = 5

Form: TypeAlias = tuple[str, ...]


def near_duplicates(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The positions of names that are like an earlier one, each with that earlier position.

    Alike are names that differ by a plural, a hyphen or an article, by the order of two words, or
    by one letter inside a long word. Names equal but for capitals are left out: compared is the
    first of them. Each name is looked up under a few forms, so the time grows with the number of
    names and not with its square.
    """
    by_form: dict[Form, int] = {}
    by_typo: dict[Form, list[tuple[str, int]]] = defaultdict(list)
    first: set[str] = set()
    for position, name in enumerate(names):
        words = words_of(name)
        if not words or name.casefold() in first:
            continue
        first.add(name.casefold())
        other = _look_up(by_form, _forms(words), position)
        other_by_typo = _look_up_typo(by_typo, words, position)
        if other is None:
            other = other_by_typo
        if other is not None:
            yield position, other


def words_of(name: str) -> list[str]:
    """The words of a name in lower case, split at spaces, hyphens and marks."""
    return _WORD.findall(name.casefold())


def singular(word: str) -> str:
    """The word without the s of an English plural."""
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _forms(words: list[str]) -> Iterator[Form]:
    plain = [singular(word) for word in words if word not in ARTICLES]
    yield ("joined", "".join(plain))
    # "Variety of shapes" is "Shape variety"; with more words the order carries the meaning
    # ("warm light on cool shadow").
    main = [word for word in plain if word not in _LINKS]
    if len(main) == 2:
        yield ("two words", *sorted(main))


def _look_up(known: dict[Form, int], forms: Iterable[Form], position: int) -> int | None:
    earlier = [known.setdefault(form, position) for form in forms]
    return next((found for found in earlier if found != position), None)


def _look_up_typo(
    known: dict[Form, list[tuple[str, int]]], words: list[str], position: int
) -> int | None:
    """An earlier name of which one long word differs by one letter, its first letter being equal.

    The first letter is kept because it so often turns the meaning: symmetry, asymmetry. Words one
    edit apart become equal when one letter is left out of each, or of one of them.
    """
    found = None
    for i, word in enumerate(words):
        if len(word) < _SHORTEST_TYPO or not word.isalpha():
            continue
        for shortened in {word} | {word[:j] + word[j + 1 :] for j in range(1, len(word))}:
            bucket = known[*words[:i], "", shortened, "", *words[i + 1 :]]
            if found is None:
                found = next((at for near, at in bucket if _one_edit_apart(near, word)), None)
            bucket.append((word, position))
    return found


def _one_edit_apart(one: str, two: str) -> bool:
    """Whether one letter is added, left out, replaced or swapped with its neighbour."""
    if one == two:
        return False
    start = 0
    while start < min(len(one), len(two)) and one[start] == two[start]:
        start += 1
    one, two = one[start:], two[start:]
    if len(one) == len(two):
        return one[1:] == two[1:] or (one[:2] == two[1::-1] and one[2:] == two[2:])
    return one[1:] == two or one == two[1:]
