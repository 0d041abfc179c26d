"""One label as a file says it, checked as far as that goes without a database."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from app.labels.models import STATES
from app.web.unstorable import has_odd_characters

# Where a file says which image.
OF_IMAGE = ("sha256", "source_id", "file")
# Where a label says something; "attribute" is another word for "name".
FIELDS = (
    *(
        "key",
        "polarity",
        "name",
        "attribute",
        "path",
        "state",
        "source",
        "agent",
        "measure",
        "value",
    ),
    *("threshold", "confidence", "evidence", "decided_by", "decided_at"),
)
SOURCES = ("agent", "person", "criteria")
POLARITIES = ("", "positive", "negative")
LONGEST_EVIDENCE = 600
LONGEST_NAME = 300
# Clocks differ.
AHEAD = timedelta(days=1)
# A date before this is one that a program writes where it knows none.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class NamedImage(NamedTuple):
    """How a file names an image: by the SHA-256 of its file, by an id of its source, or by its name."""

    sha256: str = ""
    source_id: str = ""
    name: str = ""

    @property
    def words(self) -> str:
        """As people read it."""
        return self.name or self.source_id or self.sha256[:16]


class NamedAttribute(NamedTuple):
    """How a file names an attribute: by key and polarity, or by its name, with the names above it or without."""

    key: str = ""
    polarity: str = ""
    name: str = ""
    path: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """As people read it; the same words are the same question."""
        if self.key:
            return f"{self.key}/{self.polarity}" if self.polarity else self.key
        named = " / ".join((*self.path, self.name))
        return f"{named} ({self.polarity})" if self.polarity else named


class FileLabel(NamedTuple):
    """A label of a file. `agent` is the name of who proposed it, `decided_by` a name or e-mail address, both
    empty where the file says nothing; `decided_at` is in ISO 8601, with its offset.
    """

    line: int
    image: NamedImage
    attribute: NamedAttribute
    state: str
    source: str
    agent: str
    measure: str | None
    value: float | None
    threshold: float | None
    confidence: float | None
    evidence: str | None
    decided_by: str
    decided_at: str | None


class Problem(NamedTuple):
    """A line that makes no sense, and why."""

    line: int
    reason: str


class Wrong(Exception):
    """A value that makes no sense; the message says why."""


def read_row(line: int, image: NamedImage, said: Mapping[str, Any]) -> FileLabel | Problem:
    """One label from its fields by name, as JSON or the cells of a table hold them."""
    try:
        return _read(line, image, said)
    except Wrong as wrong:
        return Problem(line, str(wrong))


def _refuse_odd(image: NamedImage, said: Mapping[str, Any]) -> None:
    """Raise Wrong for a text that can neither be kept nor looked up, nor quoted in a reason."""
    path = said.get("path")
    texts = [*image, *(path if isinstance(path, list) else ()), *map(said.get, FIELDS)]
    # Looked at together, as next to no line has one.
    if not has_odd_characters(" ".join([each for each in texts if isinstance(each, str)])):
        return
    for field, value in (*zip(OF_IMAGE, image, strict=True), *((f, said.get(f)) for f in FIELDS)):
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, str) and has_odd_characters(each):
                raise Wrong(f"holds a character in {field} that cannot be kept.")


def _read(line: int, image: NamedImage, said: Mapping[str, Any]) -> FileLabel:
    _refuse_odd(image, said)
    if not any(image):
        raise Wrong("names no image: it needs sha256, source_id or file.")
    get = said.get
    state = get("state")
    if state not in STATES:
        raise Wrong(f"has the state “{_shown(state)}”; it is one of {', '.join(STATES)}.")
    agent = _text(get("agent"), "agent") or ""
    source = get("source") or ("agent" if agent else "person")
    if source not in SOURCES:
        raise Wrong(f"has the source “{_shown(source)}”; it is one of {', '.join(SOURCES)}.")
    if source == "agent" and not agent:
        raise Wrong("is of an agent and does not say which: it needs agent.")
    confidence = _number(get("confidence"), "confidence")
    if confidence is not None and not 0 <= confidence <= 1:
        raise Wrong(f"has the confidence {confidence}, which is not between 0 and 1.")
    evidence = _text(get("evidence"), "evidence", LONGEST_EVIDENCE)
    return FileLabel(
        line,
        image,
        _attribute(said),
        state,
        source,
        agent if source == "agent" else "",
        _text(get("measure"), "measure"),
        _number(get("value"), "value"),
        _number(get("threshold"), "threshold"),
        confidence,
        evidence,
        _text(get("decided_by"), "decided_by") or "",
        _moment(get("decided_at")) if state != "proposed" else None,
    )


def _attribute(said: Mapping[str, Any]) -> NamedAttribute:
    key = _text(said.get("key"), "key") or ""
    polarity = said.get("polarity") or ""
    if polarity not in POLARITIES:
        raise Wrong(f"has the polarity “{_shown(polarity)}”; it is positive or negative.")
    if key and polarity:
        return NamedAttribute(key, polarity)
    if key:
        raise Wrong(f"names the pair {key} and not which side: it needs polarity.")
    name = _text(said.get("name") or said.get("attribute"), "name") or ""
    if not name:
        raise Wrong("names no attribute: it needs key and polarity, or name.")
    return NamedAttribute("", polarity, name, _path(said.get("path")))


def _path(value: Any) -> tuple[str, ...]:
    parts = value.split("/") if isinstance(value, str) else value or ()
    if not isinstance(parts, list | tuple) or not all(isinstance(each, str) for each in parts):
        raise Wrong("has a path that is no list of names.")
    return tuple(each.strip() for each in parts if each.strip())


def _text(value: Any, field: str, longest: int = LONGEST_NAME) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Wrong(f"has something in {field} that is no text.")
    if len(value) > longest:
        raise Wrong(f"has {len(value)} characters in {field}; {longest} are kept.")
    return value


def _number(value: Any, field: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Wrong(f"has “{_shown(value)}” in {field}, which is no finite number.")
    return number


def _moment(value: Any) -> str | None:
    if value is None or value == "":
        return None
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Wrong(
            f"has “{_shown(value)}” in decided_at, which is no moment (ISO 8601)."
        ) from error
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at > datetime.now(UTC) + AHEAD:
        raise Wrong(f"was decided in the future, {_shown(value)}.")
    if at < EARLIEST:
        raise Wrong(f"was decided before {EARLIEST.year}, {_shown(value)}.")
    return at.astimezone(UTC).isoformat()


def _shown(value: object) -> str:
    return str(value)[:60]
