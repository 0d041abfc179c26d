"""Reads configs from YAML and plain values, and writes them."""

import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from method.places import expand, expand_text
from method.training.config import PLACE, Config, Length, OneOf, Range
from method.training.failures import InvalidConfig
from method.training.strict_yaml import read_yaml

LONGEST_SHOWN = 200
"""Characters of a wrong value in a message."""


def load_config(path: Path | str) -> Config:
    """Read a YAML file. Relative paths in it are meant from the current folder.

    Raises InvalidConfig, which names the file and the field.
    """
    try:
        path = expand(path)
        values = read_yaml(path)
    except IsADirectoryError as error:
        raise InvalidConfig(f"{path}: is a folder; name the YAML file in it") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidConfig(f"{path}: cannot be read: {reason}") from error
    except InvalidConfig as error:
        raise InvalidConfig(f"{path}: {error}") from error
    try:
        return from_dict(values)
    except InvalidConfig as error:
        raise InvalidConfig(f"{path}: {error}") from error


def from_dict(values: object) -> Config:
    """Make a Config of plain values. Raises InvalidConfig naming the field, e.g. "lora.rank: ..."."""
    config = _expanded(_read_config(values), "")
    assert isinstance(config, Config)
    return config


def read_saved(values: Mapping[str, Any]) -> Config:
    """A config that was kept as plain values, maybe by an earlier version: options that are new take their
    defaults, those that are gone are left out, and places stay as they are written.

    Raises InvalidConfig.
    """
    return _read_config(_known(Config, values))


def _read_config(values: object) -> Config:
    config = read_value(Config, values)
    assert isinstance(config, Config)
    return config


def _known(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    hints = hints_of(kind)
    return {
        name: _known(hints[name], value)
        if is_dataclass(hints[name]) and isinstance(value, Mapping)
        else value
        for name, value in values.items()
        if name in hints
    }


def to_dict(config: Config) -> dict[str, Any]:
    """The plain values; `from_dict` of them is the same config."""
    return plain(asdict(config))  # type: ignore[no-any-return]  # a dict goes in, a dict comes out


def write_yaml(config: Config) -> str:
    """The whole config as YAML, every default spelled out."""
    return yaml.dump(
        to_dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


class _Dumper(yaml.SafeDumper):
    """Quotes the line breaks of Unicode so that they are read as they were: PyYAML folds them to spaces."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """A string's node."""
        style = '"' if re.search("[\x85\u2028\u2029]", text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def plain(value: Any) -> Any:
    """The value with tuples as lists, as YAML and JSON know them."""
    match value:
        case dict():
            return {key: plain(inner) for key, inner in value.items()}
        case tuple() | list():
            return [plain(inner) for inner in value]
    return value


def _at(place: str, message: str) -> InvalidConfig:
    return (
        InvalidConfig(f"{place}: {message}", {place: message}) if place else InvalidConfig(message)
    )


def read_value(kind: Any, value: object, place: str = "") -> Any:
    """Check `value` against the type of a config or an option and return it as that type.

    Raises InvalidConfig, which names the place where one is given.
    """
    if get_origin(kind) is Annotated:
        inner, *limits = get_args(kind)
        value = read_value(inner, value, place)
        for limit in limits:
            _check_limit(limit, value, place)
        return value
    if is_dataclass(kind):
        return _read_object(kind, value, place)
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else read_value(without_none(kind), value, place)
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind), value, place)
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise _at(place, f"must be a list; got {_shown(value)}")
        return tuple(
            read_value(get_args(kind)[0], each, f"{place}[{at}]" if place else f"item {at + 1}")
            for at, each in enumerate(value)
        )
    return _read_scalar(kind, value, place)


def _read_object(kind: Any, value: object, place: str) -> Any:
    if not isinstance(value, Mapping):
        raise _at(place, f"must be a mapping of options; got {_shown(value)}")
    hints = hints_of(kind)
    prefix = f"{place}." if place else ""
    for key in value:
        if key not in hints:
            name = key if isinstance(key, str) else _shown(key)
            raise _at(f"{prefix}{name}", f"unknown option; known here: {', '.join(hints)}")
    for option in fields(kind):
        if option.name not in value and is_required(option):
            raise _at(f"{prefix}{option.name}", "is missing")
    read = {key: read_value(hints[key], value[key], f"{prefix}{key}") for key in value}
    return kind(**read)


def _one_of(allowed: Iterable[object], value: object, place: str) -> object:
    if value not in (known := tuple(allowed)):
        raise _at(place, f"must be one of {', '.join(map(str, known))}; got {_shown(value)}")
    return value


def _read_scalar(kind: type, value: object, place: str) -> object:
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
    }
    if kind is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            # YAML 1.1 reads 1e-4 as text: it wants a dot. People do not.
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        if isinstance(value, str) and not _is_plain(value):
            raise _at(place, "must be text without NUL or halves of characters (surrogates)")
        return value
    raise _at(place, f"must be {names[kind]}; got {_shown(value)}")


def _expanded(part: Any, prefix: str) -> Any:
    """The part of a config with ~ and variables put into its places on this machine."""
    kind: Any = type(part)
    hints, new = hints_of(kind), {}
    for name, value in ((each.name, getattr(part, each.name)) for each in fields(part)):
        if is_dataclass(value):
            new[name] = _expanded(value, f"{prefix}{name}.")
        elif value is not None and PLACE in get_args(without_none(hints[name])):
            try:
                new[name] = expand_text(value)
            except ValueError as error:
                raise _at(f"{prefix}{name}", str(error)) from error
    return replace(part, **new) if new else part


def _is_plain(text: str) -> bool:
    """Whether files and their names can hold the text."""
    return not re.search("[\0\ud800-\udfff]", text)


def _shown(value: object) -> str:
    """The value in a message: not more than a line of it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # Python writes out no whole number of thousands of digits, and no list nested as deeply.
        return f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _check_limit(limit: object, value: Any, place: str) -> None:
    match limit:
        case OneOf(meanings):
            _one_of(meanings, value, place)
        case Range(low, high, open_low):
            if low is not None and (value <= low if open_low else value < low):
                raise _at(
                    place,
                    f"must be {'more than' if open_low else 'at least'} {low}; got {_shown(value)}",
                )
            if high is not None and value > high:
                raise _at(place, f"must be at most {high}; got {_shown(value)}")
        case Length(low, high):
            unit = "characters" if isinstance(value, str) else "items"
            if len(value) < low:
                raise _at(place, f"must have at least {low} {unit}; got {len(value)}")
            if high is not None and len(value) > high:
                raise _at(place, f"must have at most {high} {unit}; got {len(value)}")


@cache
def hints_of(kind: Any) -> Mapping[str, Any]:
    """The types of a class's fields, with their bounds."""
    return get_type_hints(kind, include_extras=True)


def without_none(kind: Any) -> Any:
    """The type of an option that may be empty, without the empty one; any other type as it is."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    (inner,) = (part for part in get_args(kind) if part is not types.NoneType)
    return inner


def is_required(option: Any) -> bool:
    """Whether a config has to state this field."""
    return option.default is MISSING and option.default_factory is MISSING
