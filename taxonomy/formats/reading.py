"""Taking plain data apart: what stands where, and a sentence with the place of each fault."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from taxonomy.names import MAX_KEY_LENGTH, control_character, is_key
from taxonomy.tree import InvalidCriteria

MAX_NODES = 10_000
MAX_TEXT_LENGTH = 4_000
MAX_PROBLEMS = 500
# Of a list or mapping beside the nodes: alternative names, languages, styles.
MAX_ITEMS = 200

Path: TypeAlias = tuple[str | int, ...]
Fields: TypeAlias = dict[str, object]
Item = TypeVar("Item")


def place(path: Path, line: int | None = None) -> str:
    """A path for people, counted from 0: `dimensions[3].pairs[2].positive.name (line 41)`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return (text or "top of the file") + (f" (line {line})" if line else "")


@dataclass
class Faults:
    """The faults found so far, and what is needed to say where they are."""

    lines: Mapping[Path, int | str]
    problems: list[str] = field(default_factory=list)
    num_nodes: int = 0

    def is_full(self) -> bool:
        return len(self.problems) >= MAX_PROBLEMS

    def fault(self, path: Path, message: str) -> None:
        if self.is_full():
            return
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        where = self.lines.get(known)
        if isinstance(where, str):
            rest = place(path[len(known) :]) if len(path) > len(known) else ""
            self.problems.append(f"{where}: {rest} {message}" if rest else f"{where}: {message}")
        else:
            self.problems.append(f"{place(path, where)}: {message}")

    def refuse(self) -> None:
        """Raise InvalidCriteria where there are faults."""
        if self.problems:
            raise InvalidCriteria(self.problems)

    def count_node(self, path: Path) -> bool:
        self.num_nodes += 1
        if self.num_nodes == MAX_NODES + 1:
            self.fault(path, f"there are more than {MAX_NODES} dimensions and pairs; split them.")
        return self.num_nodes <= MAX_NODES


def read_fields(
    reading: Faults, path: Path, data: object, allowed: tuple[str, ...]
) -> Fields | None:
    """The fields of a mapping, unknown ones reported; None when it is no mapping at all."""
    if not isinstance(data, dict):
        known = ", ".join(allowed)
        reading.fault(path, f"must be a mapping with the fields {known}, not {kind_of(data)}.")
        return None
    for name in data:
        if name not in allowed and not reading.is_full():
            close = difflib.get_close_matches(str(name)[:40], allowed, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(allowed)}."
            reading.fault((*path, str(name)[:40]), f"unknown field; {hint}")
    return data


def read_text(
    reading: Faults, path: Path, fields: Fields | None, name: str, *, required: bool = False
) -> str:
    """A text, "" where there is none. The fault of a wrong one is noted."""
    value = (fields or {}).get(name)
    if value is not None:
        return _as_text(reading, (*path, name), value)
    if required and fields is not None:
        reading.fault((*path, name), "is missing.")
    return ""


def read_texts(reading: Faults, path: Path, fields: Fields | None, name: str) -> tuple[str, ...]:
    """A list of texts, none of them empty and none twice."""
    value = (fields or {}).get(name)
    path = (*path, name)
    if value is None:
        return ()
    if not isinstance(value, list):
        reading.fault(path, f"must be a list, not {kind_of(value)}.")
        return ()
    if len(value) > MAX_ITEMS:
        reading.fault(path, f"has {len(value)} items; {MAX_ITEMS} are allowed.")
        return ()
    texts: list[str] = []
    for number, item in enumerate(value):
        text = _as_text(reading, (*path, number), item)
        if text in texts:
            reading.fault((*path, number), f"“{text[:40]}” stands here twice; keep one.")
        elif item == "":
            reading.fault((*path, number), "is empty; take it out.")
        texts.append(text)
    return tuple(texts)


def read_mapping(
    reading: Faults, path: Path, fields: Fields | None, name: str
) -> list[tuple[str, object]]:
    """The items of a mapping whose names are free, in the order of the names."""
    value = (fields or {}).get(name)
    path = (*path, name)
    if value is None:
        return []
    if not isinstance(value, dict):
        reading.fault(path, f"must be a mapping, not {kind_of(value)}.")
        return []
    if len(value) > MAX_ITEMS:
        reading.fault(path, f"has {len(value)} fields; {MAX_ITEMS} are allowed.")
        return []
    return sorted((str(name), item) for name, item in value.items())


def _as_text(reading: Faults, path: Path, value: object) -> str:
    if not isinstance(value, str):
        reading.fault(path, f"must be text, not {kind_of(value)}; text can be put in quotes.")
        return ""
    if wrong := control_character(value):
        reading.fault(path, f"holds a control character ({wrong}); remove it.")
    if len(value) > MAX_TEXT_LENGTH:
        reading.fault(path, f"has {len(value)} characters; {MAX_TEXT_LENGTH} are allowed.")
    return value


def read_key(reading: Faults, path: Path, fields: Fields | None) -> str:
    before = len(reading.problems)
    key = read_text(reading, path, fields, "key", required=True)
    if fields is not None and len(reading.problems) == before and not is_key(key):
        reading.fault(
            (*path, "key"),
            "must be a-z, 0-9 and single hyphens between them, "
            f"at most {MAX_KEY_LENGTH} characters.",
        )
    return key


def read_flag(reading: Faults, path: Path, fields: Fields | None, name: str) -> bool:
    """True or false; false where nothing is said."""
    value = (fields or {}).get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    reading.fault((*path, name), f"must be true or false, not {kind_of(value)}.")
    return False


def read_list(
    reading: Faults,
    path: Path,
    fields: Fields | None,
    name: str,
    read: Callable[[Faults, Path, object], Item],
) -> tuple[Item, ...]:
    value = (fields or {}).get(name)
    here = (*path, name)
    if value is None:
        return ()
    if not isinstance(value, list):
        reading.fault(here, f"must be a list, not {kind_of(value)}.")
        return ()
    items = []
    for number, item in enumerate(value):
        if not reading.count_node((*here, number)):
            break
        items.append(read(reading, (*here, number), item))
    return tuple(items)


def kind_of(value: object) -> str:
    """What a value is, in words for people."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    others = {list: "a list", dict: "a mapping", type(None): "nothing"}
    return (names | others).get(type(value), "something else")
