"""Which key gives which command where images are labelled and looked at, and what a person has made of it.

A command's name is what scripts and tables know it by; the keys that it has unless a person changed them stand here
once. Arrows, Escape, `?` and the digits of the root dimensions are the same for everyone.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from app.errors import Invalid

Keys: TypeAlias = tuple[str, ...]
Own: TypeAlias = Mapping[str, Sequence[str]]
"""What a person has changed: the keys of commands, by name."""
NAMED = ("Enter", "Space", "Backspace", "Delete", "Insert", "F2", "F4", "F8", "F9")
FIXED = "?123456789"
MOST = 4
"""Keys of one command."""


@dataclass(frozen=True)
class Command:
    """What a key does, in words, and the keys that it has unless they were changed."""

    name: str
    does: str
    keys: Keys


COMMANDS = (
    Command("confirm", "Confirm the label", ("y", "Enter")),
    Command("reject", "Reject the label", ("n", "x")),
    Command("doubt", "Unsure: cannot tell", ("i",)),
    Command("flip", "The opposite holds", ("o",)),
    Command("next_label", "Next label", ("j",)),
    Command("previous_label", "Previous label", ("k",)),
    Command("add", "Add a label", ("a", "/")),
    Command("undo", "Take back what you did last", ("u",)),
    Command("done", "Done, next image", ("d",)),
    Command("previous_image", "Previous image", ("[",)),
    Command("next_image", "Next image", ("]",)),
    Command("zoom", "Look closer and back", ("z",)),
    Command("larger", "Larger", ("+", "=")),
    Command("smaller", "Smaller", ("-",)),
    Command("fit", "Fit the image", ("0",)),
    Command("grey", "Values without colour", ("g",)),
    Command("squint", "Masses without detail", ("q",)),
    Command("mirror", "Mirror image", ("m",)),
    Command("lines", "Lines over the image", ("t",)),
    Command("fold", "Fold away what is decided", ("f",)),
    Command("compact", "Compact list", ("c",)),
    Command("suggestions", "Show or hide the agent's suggestions", ("s",)),
    Command("history", "History of the image", ("h",)),
)
BY_NAME = {each.name: each for each in COMMANDS}
DEFAULTS: Mapping[str, Keys] = {each.name: each.keys for each in COMMANDS}


def keys_of(own: Own) -> dict[str, Keys]:
    """The keys of each command, as a person has them who has changed these."""
    return {name: tuple(own.get(name, keys)) for name, keys in DEFAULTS.items()}


def meanings_of(own: Own) -> dict[str, str]:
    """For each key that was changed the key that scripts know its command by; "" where it has none now.

    Keys are spelt as browsers do: Space is a blank.
    """
    changed = {name: keys for name, keys in keys_of(own).items() if keys != DEFAULTS[name]}
    freed = {key: "" for name in changed for key in DEFAULTS[name]}
    given = {key: DEFAULTS[name][0] for name, keys in changed.items() for key in keys}
    return {(" " if key == "Space" else key): meant for key, meant in (freed | given).items()}


def read_keys(typed: str, *, field: str) -> Keys:
    """Keys as a person types them, apart by blanks: a character each, or a name such as Enter or F2.

    Raises Invalid, with `field`, where one is none that a command can have.
    """
    found: dict[str, None] = {}
    for word in unicodedata.normalize("NFKC", typed).split():
        found[_read(word, field)] = None
    if not found:
        raise Invalid("Please give it a key.", field=field)
    if len(found) > MOST:
        raise Invalid(f"A command has at most {MOST} keys.", field=field)
    return tuple(found)


def _read(word: str, field: str) -> str:
    named = {each.lower(): each for each in NAMED}.get(word.lower())
    if named:
        return named
    if len(word) != 1 or not word.isprintable():
        raise Invalid(
            f"“{word}” is no key that can be chosen: write a character, or one of {', '.join(NAMED)}.",
            field=field,
        )
    if word in FIXED:
        raise Invalid(f"“{word}” means the same for everyone and cannot be chosen.", field=field)
    return word.lower()


def agreed(wanted: Mapping[str, Keys]) -> dict[str, list[str]]:
    """What is to be kept of keys that a person wants for some commands: those that differ from what they are for
    everyone. Commands that are not named have the latter again.

    Raises Invalid, with the command as its field, where two would have the same key or a command is not known.
    """
    for name in wanted:
        if name not in DEFAULTS:
            raise Invalid(f"There is no command “{name}”.", field=name)
    keys = {**DEFAULTS, **wanted}
    owner: dict[str, str] = {}
    for name, own in keys.items():
        for key in own:
            if key in owner:
                # Said beside the one that was changed.
                is_new = keys[name] != DEFAULTS[name]
                field, other = (name, owner[key]) if is_new else (owner[key], name)
                raise Invalid(
                    f"“{key}” is the key of “{BY_NAME[other].does}” already. Choose another, or change that one too.",
                    field=field,
                )
            owner[key] = name
    return {name: list(own) for name, own in keys.items() if own != DEFAULTS[name]}
