"""The words that an image is found by, as the database keeps them, and questions to them.

`taxonomy.folding` says what a word is and what ranks above what; here the same is said in SQL. A word
carries a weight: A for names (title, file), B for metadata (painter, year, ...), D for the prompt.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, case, cast, literal
from sqlalchemy.dialects.postgresql import TSQUERY

from app.database import Json
from app.images.models import Image
from taxonomy.folding import Findable, Query, name_words, word_list

MAX_WORDS = 5000
# What decoding noted about the file is no word that anyone looks for.
OWN_NOTES = ("file",)


def findable(name: str, prompt: str, details: Json) -> Findable:
    """What an image can be found by: title and file name, then its metadata, then the prompt."""
    path = PurePosixPath(name)
    title = details.get("title")
    names = [title] if isinstance(title, str) else []
    others = {key: value for key, value in details.items() if key not in ("title", *OWN_NOTES)}
    return Findable(
        tuple(dict.fromkeys((*names, name, path.name, path.stem))),
        tuple(_texts(others)),
        (prompt,),
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def search_words(name: str, prompt: str, details: Json) -> str:
    """The words of an image as a `tsvector`; every verb that writes one of the three writes this too."""
    found = findable(name, prompt, details)
    marks: dict[str, str] = {}
    for mark, texts, read in (
        ("1A", found.names, name_words),
        ("2B", found.places, word_list),
        ("3D", found.texts, word_list),
    ):
        for word in (word for text in texts for word in read(text)):
            if word in marks:
                marks[word] += "" if mark in marks[word] else f",{mark}"
            elif len(marks) < MAX_WORDS:
                marks[word] = mark
    return " ".join(f"{_quoted(word)}:{mark}" for word, mark in marks.items())


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _asks(query: Query, weights: str) -> str:
    """The query as a `tsquery` on words of these weights."""

    def term(word: str) -> str:
        # Words are prefixes; signs are one character long, so that a prefix is the whole.
        return f"{_quoted(word)}:*{weights}"

    tokens = []
    for token in query.tokens:
        choices = [" & ".join(term(word) for word in words) for words in token]
        tokens.append(f"({' | '.join(choices)})")
    return " & ".join(tokens)


def _holds(text: str, words: ColumnElement[str] | None = None) -> ColumnElement[bool]:
    column: ColumnElement[str] = Image.__table__.c.search if words is None else words
    return column.op("@@")(cast(literal(text), TSQUERY))


def _start(query: Query) -> str:
    return f"{_quoted(query.name_start)}:*A"


def is_found(query: Query, words: ColumnElement[str] | None = None) -> ColumnElement[bool]:
    """Whether an image is found by a query that is not empty; `words` are its own where they are another column."""
    return _holds(as_tsquery(query), words)


def as_tsquery(query: Query) -> str:
    """A query that is not empty, as the database asks for it."""
    everywhere = _asks(query, "")
    return f"({everywhere}) | {_start(query)}" if query.whole else everywhere


def place_of(query: Query) -> ColumnElement[int]:
    """How well a found image fits, 0 best: the places of `taxonomy.folding.RANKS`."""
    places = [(_holds(_asks(query, "A")), 2), (_holds(_asks(query, "AB")), 3)]
    if query.whole:
        itself = f"{_quoted(query.name_itself)}:A"
        places = [(_holds(itself), 0), (_holds(_start(query)), 1), *places]
    return case(*places, else_=4)
