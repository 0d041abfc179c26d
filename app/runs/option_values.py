"""Values of options: from a form or from JSON to their types, and back to text."""

import math
from collections.abc import Mapping
from typing import Any


def as_text(value: object) -> str:
    """A value as a form field shows it; lists have one item a line."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case list() | tuple():
            return "\n".join(as_text(each) for each in value)
    return str(value)


def read_value(part: Mapping[str, Any], value: object) -> Any:
    """A typed or a JSON value as the type that this part of the schema names, within its bounds.

    Raises ValueError with a sentence for people.
    """
    kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
    if value is None:
        if "null" in kinds:
            return None
        raise ValueError("Please fill this in.")
    readers = {
        "integer": _read_integer,
        "number": _read_number,
        "boolean": _read_boolean,
        "string": _read_string,
    }
    if kinds[0] == "array":
        return _read_list(part, value)
    read = readers[kinds[0]](value)
    if "enum" in part and read not in part["enum"]:
        raise ValueError(f"This has to be one of {', '.join(part['enum'])}.")
    _check_bounds(part, read)
    return read


def _read_integer(value: object) -> int:
    sentence = "This has to be a whole number."
    if isinstance(value, str):
        try:
            return int(value.strip())
        except ValueError:
            raise ValueError(sentence) from None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(sentence)


def _read_number(value: object) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise ValueError("This has to be a number.")


def _read_boolean(value: object) -> bool:
    words = {"true": True, "false": False, True: True, False: False}
    if not isinstance(value, bool | str) or value not in words:
        raise ValueError("This has to be true or false.")
    return words[value]


def _read_string(value: object) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError("This has to be text.")
    return value.strip()


def _read_list(part: Mapping[str, Any], value: object) -> list[Any]:
    if isinstance(value, str):
        value = [line.strip() for line in value.splitlines() if line.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError("This has to be a list.")
    if len(value) < part.get("minItems", 0):
        raise ValueError(f"Please give at least {part['minItems']}.")
    if len(value) > part.get("maxItems", math.inf):
        raise ValueError(f"Please give at most {part['maxItems']}.")
    read = []
    for number, each in enumerate(value, start=1):
        try:
            read.append(read_value(part["items"], each))
        except ValueError as error:
            raise ValueError(f"Number {number}: {error}") from None
    return read


def _check_bounds(part: Mapping[str, Any], value: Any) -> None:
    if isinstance(value, str):
        if len(value) < part.get("minLength", 0):
            raise ValueError("Please fill this in.")
        if len(value) > part.get("maxLength", math.inf):
            raise ValueError(f"This has more than {part['maxLength']} characters.")
        return
    if "exclusiveMinimum" in part and value <= part["exclusiveMinimum"]:
        raise ValueError(f"This has to be more than {part['exclusiveMinimum']}.")
    if "minimum" in part and value < part["minimum"]:
        raise ValueError(f"This has to be at least {part['minimum']}.")
    if "maximum" in part and value > part["maximum"]:
        raise ValueError(f"This has to be at most {part['maximum']}.")
