"""YAML as people mean it: what a reader of YAML would drop or turn into something else is refused.

YAML 1.1 takes the last of two sections of one name, 010 for 8, and 1:30 for 90.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from method.saved_texts import SavedText, UnreadableText, read_text
from method.training.failures import InvalidConfig

INT, FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses what would be dropped or misread, with its line."""


def read_yaml(path: Path) -> Any:
    """The plain values of a file. Raises InvalidConfig with the line and what to do, without the file's
    name; OSError where it cannot be read.
    """
    try:
        text = read_text(path.read_bytes()).text
    except UnreadableText as error:
        raise InvalidConfig(f"cannot be read. {error.reason}") from error
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        raise InvalidConfig(_words(error)) from error
    except yaml.reader.ReaderError as error:
        line = len(SavedText(text[: error.position], "utf-8").lines())
        raise InvalidConfig(
            f"line {line}: holds a character that no text has (U+{ord(text[error.position]):04X}); "
            "take it out"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a date or a number that looks like one and is none, such as 2024-02-30.
        raise InvalidConfig(f"is not YAML: {' '.join(str(error).split())}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _words(error: yaml.MarkedYAMLError) -> str:
    text = f"is not YAML: {' '.join(str(error).split())}"
    if "'\\t'" in str(error):
        text += "; indent with spaces, YAML does not take tabs"
    return text


def _refuse(node: yaml.Node, message: str) -> InvalidConfig:
    line = node.start_mark.line + 1 if node.start_mark else 1
    return InvalidConfig(f"line {line}: {message}")


def _construct_mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> Any:  # noqa: FBT001
    """A mapping in which every name stands once."""
    seen: dict[object, int] = {}
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _refuse(key_node, "the name of an option must be text")
        # Compared as written: `1` and `"1"` would be two names, but nobody means two by them.
        name, line = str(key_node.value), key_node.start_mark.line + 1
        if name in seen and key_node.tag != "tag:yaml.org,2002:merge":
            raise _refuse(
                key_node,
                f"{name} stands here twice, first in line {seen[name]}; put both together, because only "
                "the last one would be read",
            )
        seen[name] = line
    loader.flatten_mapping(node)
    return yaml.constructor.BaseConstructor.construct_mapping(loader, node, deep=deep)


def _construct_map(loader: _Loader, node: yaml.MappingNode) -> Any:
    values: dict[Any, Any] = {}
    yield values
    values.update(_construct_mapping(loader, node, deep=True))


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> Any:
    text = str(loader.construct_scalar(node))
    if ":" in text or re.fullmatch(r"[-+]?0[0-9_]+", text):
        read = loader.construct_yaml_int(node)
        raise _refuse(
            node,
            f"{text} would be read as {read}; write a number without a leading 0 and without colons, or "
            f'put text in quotes: "{text}"',
        )
    return loader.construct_yaml_int(node)


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> Any:
    text = str(loader.construct_scalar(node))
    if ":" in text:
        raise _refuse(
            node, f'{text} would be read as a number of minutes; put it in quotes: "{text}"'
        )
    return loader.construct_yaml_float(node)


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_map)
_Loader.add_constructor(INT, _construct_int)
_Loader.add_constructor(FLOAT, _construct_float)
