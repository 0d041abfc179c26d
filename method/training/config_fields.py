"""Every option of a config by its dotted path, with its type, default and meaning: what the launch form and the
documentation are made from. The meaning is the docstring under the field.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args, get_origin

from method.training import config as config_module
from method.training.config import Config, OneOf
from method.training.config_reading import hints_of, is_required, read_value, without_none

WORDS = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, slots=True)
class Field:
    """One option. `path` is its dotted name, `section` the part of the config it stands in, if any."""

    path: str
    hint: Any
    """Its type, with bounds."""
    help: str
    """What it means."""
    default: Any = None
    is_needed: bool = False
    """Whether a config has to state it."""

    @property
    def section(self) -> str:
        """The part of the config it stands in; empty at the top."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def may_be_empty(self) -> bool:
        """Whether None is a value."""
        return without_none(self.hint) is not self.hint

    @property
    def kind(self) -> str:
        """integer, number, boolean, string or array."""
        bare = _bare(self.hint)
        if get_origin(bare) is tuple:
            return "array"
        return "string" if get_origin(bare) is Literal else WORDS[bare]

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words, where only some are."""
        bare = _bare(self.hint)
        if get_origin(bare) is Literal:
            return get_args(bare)
        return tuple(_meanings(self.hint))

    @property
    def item(self) -> "Field":
        assert self.kind == "array"
        return Field(self.path, get_args(_bare(self.hint))[0], self.help)

    def read(self, value: object) -> Any:
        """The value as this option's type, within its bounds. Raises InvalidConfig with the sentence alone."""
        return read_value(self.hint, value)

    def of(self, config: Config) -> Any:
        part = getattr(config, self.section) if self.section else config
        return getattr(part, self.name)


@cache
def all_fields() -> Mapping[str, Field]:
    """Every option by its dotted path, in the config's order."""
    return {field.path: field for field in _walk(Config, "")}


@cache
def sections() -> Mapping[str, str]:
    """What each part of a config is about; the empty name is the run itself."""
    hints = hints_of(Config)
    found = {"": _doc(Config)}
    return found | {
        each.name: _doc(hints[each.name])
        for each in fields(Config)
        if is_dataclass(hints[each.name])
    }


def changed(config: Config, values: Mapping[str, Any]) -> Config:
    """The config with other values, by dotted path. Raises InvalidConfig where they do not go together."""
    top: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        (parts.setdefault(section, {}) if section else top)[name] = value
    top |= {section: replace(getattr(config, section), **new) for section, new in parts.items()}
    return replace(config, **top)


def in_order(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of a config in the config's order, which databases do not keep; unknown ones come last."""
    places = {name: at for at, path in enumerate(all_fields()) for name in (path, _top(path))}

    def ordered(part: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        names = sorted(part, key=lambda name: (places.get(f"{prefix}{name}", len(places)), name))
        return {
            name: ordered(part[name], f"{prefix}{name}.")
            if isinstance(part[name], Mapping)
            else part[name]
            for name in names
        }

    return ordered(values, "")


def _top(path: str) -> str:
    return path.partition(".")[0]


def _walk(kind: Any, prefix: str) -> Iterator[Field]:
    hints, docs = hints_of(kind), _field_docs().get(kind.__name__, {})
    for each in fields(kind):
        hint = hints[each.name]
        if is_dataclass(hint):
            yield from _walk(hint, f"{prefix}{each.name}.")
            continue
        meanings = _meanings(hint)
        said = (docs.get(each.name, ""), *(f"{name}: {what}." for name, what in meanings.items()))
        is_needed = is_required(each)
        default = None if is_needed else each.default
        yield Field(f"{prefix}{each.name}", hint, " ".join(said), default, is_needed)


def _meanings(hint: Any) -> Mapping[str, str]:
    return next((each.meanings for each in get_args(hint)[1:] if isinstance(each, OneOf)), {})


def _bare(hint: Any) -> Any:
    """The type without bounds, and without None."""
    hint = without_none(hint)
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _doc(kind: Any) -> str:
    return " ".join((kind.__doc__ or "").split())


@cache
def _field_docs() -> Mapping[str, Mapping[str, str]]:
    """The docstring under each field, by class and field."""
    # The whole file is read once: to find the source of one class takes as long.
    tree = ast.parse(inspect.getsource(config_module))
    docs: dict[str, dict[str, str]] = {}
    for kind in tree.body:
        if not isinstance(kind, ast.ClassDef):
            continue
        for statement, following in pairwise(kind.body):
            match statement, following:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    docs.setdefault(kind.name, {})[name] = " ".join(text.split())
    return docs
