"""Texts that lie beside pictures: `a.txt`, `a.caption` or `a.json` beside `a.png`, as training sets have them."""

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from app.database import Json
from app.images.contents import Contents, Entry
from app.images.listings import MAX_CELL, MAX_COLUMNS, compose_prompt
from method.items import Failed, attempt
from method.saved_texts import UnreadableText, fault_in, one_line, read_text

MAX_BYTES = 1024 * 1024
PROMPT_KEYS = ("prompt", "caption", "text", "description", "tags")
TELL = 20


class TextRefused(Exception):
    """A text from which no prompt is taken; the message says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Said:
    """What a companion says of its picture."""

    prompt: str
    details: Json
    note: str = ""


def apply_companions(contents: Contents) -> None:
    """Give pictures without a prompt the one of the text beside them; the other texts are noted."""
    by_place: dict[str, list[str]] = {}
    for path in contents.entries:
        for place in {_place(path), _place(str(PurePosixPath(path).with_suffix("")))}:
            by_place.setdefault(place, []).append(path)
    lonely: list[str] = []
    passed_over: list[str] = []
    for name, read in sorted(contents.texts.items(), key=lambda each: each[0]):
        found = by_place.get(_place(name.rpartition(".")[0]), [])
        if not found:
            lonely.append(name)
            continue
        said = attempt(read_companion, (name, read), lambda each: each[0])
        if isinstance(said, Failed):
            contents.refuse(name, said.reason)
            continue
        if said.note:
            contents.note(name, said.note)
        if any(_says_another(contents.entries[path], said) for path in found):
            passed_over.append(name)
        for path in found:
            contents.entries[path] = _with(contents.entries[path], said)
    _note_lonely(contents, lonely)
    _note_passed_over(contents, passed_over)


def _place(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _says_another(entry: Entry, said: Said) -> bool:
    return bool(said.prompt) and entry.prompt not in ("", said.prompt)


def _with(entry: Entry, said: Said) -> Entry:
    # A list was made for the whole and wins over the text of one picture.
    return replace(entry, prompt=entry.prompt or said.prompt, details=said.details | entry.details)


def read_companion(companion: tuple[str, Callable[[], bytes]]) -> Said:
    """What a text says of its picture, by its name and what reads it. Raises TextRefused."""
    name, read = companion
    data = read()
    if len(data) > MAX_BYTES:
        raise TextRefused("It is too long for the prompt of one picture.")
    try:
        saved = read_text(data)
    except UnreadableText as error:
        raise TextRefused(error.reason) from error
    is_json = name.lower().endswith(".json")
    said = _of_json(saved.text) if is_json else Said(one_line(saved.text), {})
    for text in (said.prompt, *map(str, said.details.values())):
        fault = fault_in(text)
        if fault:
            raise TextRefused(f"It {fault}, so its prompt was not taken.")
    if len(said.prompt) > MAX_CELL:
        raise TextRefused(f"It has more than {MAX_CELL} characters, so its prompt was not taken.")
    if not said.prompt:
        return replace(said, note="It says nothing that could be the prompt of the picture.")
    return replace(said, note=" ".join(filter(None, (saved.note, said.note))))


def _of_json(text: str) -> Said:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TextRefused("It is not JSON, so its prompt was not taken.") from error
    if isinstance(found, str):
        return Said(one_line(found), {})
    if not isinstance(found, dict):
        raise TextRefused("It is no JSON object, so its prompt was not taken.")
    values = {
        str(name).strip().lower()[:100]: _in_words(value)
        for name, value in found.items()
        if _in_words(value)
    }
    asked = next((name for name in PROMPT_KEYS if name in values), None)
    prompt = values.pop(asked) if asked else compose_prompt(values)
    kept = {name: value for name, value in values.items() if name and len(value) <= MAX_CELL}
    kept = dict(list(kept.items())[:MAX_COLUMNS])
    left = ", ".join([name for name in values if name not in kept][:5])
    note = f"Not all of it was taken: too much, or longer than {MAX_CELL} characters ({left})."
    return Said(prompt, kept, note if left else "")


def _in_words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(filter(None, map(_in_words, value)))
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return one_line(str(value))
    return ""


def _note_passed_over(contents: Contents, names: list[str]) -> None:
    for name in names[:TELL]:
        contents.note(
            name,
            "A list, or another text beside the picture, says another prompt, so this one was not taken.",
        )
    if len(names) > TELL:
        contents.note(
            f"{len(names) - TELL} more texts",
            "A list, or another text beside their pictures, says other prompts.",
        )


def _note_lonely(contents: Contents, names: list[str]) -> None:
    by_kind: dict[str, list[str]] = {}
    for name in names:
        by_kind.setdefault(PurePosixPath(name).suffix.lower(), []).append(name)
    for kind, each in by_kind.items():
        for name in each[:TELL]:
            contents.note(
                name,
                "No picture of this name lies beside it, so it was not read. "
                "Prompts come in as one text of the picture's name each, or as a CSV.",
            )
        if len(each) > TELL:
            contents.note(
                f"{len(each) - TELL} more {kind} files",
                "No pictures of their names lie beside them.",
            )
