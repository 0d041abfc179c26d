"""The JSON Schema of a config, which the launch form is made from. Needs no torch.

`python -m worker.presets` writes it to `app/runs/training_schema.json`; a field's description is the
docstring under it.
"""

import ast
import inspect
import textwrap
import types
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from method.training.config import Config, Length, Range
from method.training.config_reading import is_required, plain, without_none


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the config file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Training run",
        **_object_schema(Config),
    }


@cache
def _field_docs(kind: type) -> dict[str, str]:
    """The docstring under each field of a dataclass."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    docs: dict[str, str] = {}
    for statement, following in zip(tree.body, tree.body[1:], strict=False):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                docs[name] = " ".join(text.split())
    return docs


def _object_schema(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    docs = _field_docs(kind)
    properties: dict[str, Any] = {}
    for option in fields(kind):
        schema = {"title": option.name.replace("_", " ").capitalize()}
        schema |= _schema(hints[option.name])
        if option.name in docs:
            schema["description"] = docs[option.name]
        if option.default is not MISSING:
            schema["default"] = plain(option.default)
        properties[option.name] = schema
    return {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split()),
        "properties": properties,
        "required": [option.name for option in fields(kind) if is_required(option)],
        "additionalProperties": False,
    }


def _schema(kind: Any) -> dict[str, Any]:
    if get_origin(kind) is Annotated:
        inner, *limits = get_args(kind)
        schema = _schema(inner)
        for limit in limits:
            schema |= _limit_schema(limit, schema["type"])
        return schema
    if is_dataclass(kind):
        return _object_schema(kind)
    if get_origin(kind) in (Union, types.UnionType):
        schema = _schema(without_none(kind))
        return schema | {"type": [schema["type"], "null"]}
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _schema(get_args(kind)[0])}
    return {"type": {bool: "boolean", int: "integer", float: "number", str: "string"}[kind]}


def _limit_schema(limit: object, kind: str) -> dict[str, Any]:
    match limit:
        case Range(low, high, open_low):
            low_key = "exclusiveMinimum" if open_low else "minimum"
            return {k: v for k, v in ((low_key, low), ("maximum", high)) if v is not None}
        case Length(low, high):
            unit = "Items" if kind == "array" else "Length"
            return {k: v for k, v in ((f"min{unit}", low), (f"max{unit}", high)) if v is not None}
    return {}
