"""What a node of a tree says, as the columns of its row."""

from typing import Any

from app.criteria import models
from taxonomy.formats.details import said_of
from taxonomy.tree import Dimension, Node

_PAIR_COLUMNS = (
    "relation",
    "positive_name",
    "positive_definition",
    "negative_name",
    "negative_definition",
)


def columns_of(node: Node) -> dict[str, Any]:
    """Every column but those of its identity and its place."""
    if isinstance(node, Dimension):
        return {
            **dict.fromkeys(_PAIR_COLUMNS),
            "name": node.name,
            "definition": node.definition,
            "exclusive": node.exclusive,
            "details": said_of(node),
            "retired": node.retired,
        }
    return {
        "name": None,
        "definition": "",
        "exclusive": None,
        "relation": node.relation,
        "positive_name": node.positive.name,
        "positive_definition": node.positive.definition,
        "negative_name": node.negative.name,
        "negative_definition": node.negative.definition,
        "details": said_of(node),
        "retired": node.retired,
    }


def kind_of(node: Node) -> str:
    """What the column `kind` says of it."""
    return "dimension" if isinstance(node, Dimension) else "pair"


def unsaved_row(node: Node) -> models.Node:
    """The row of a node that is in no table yet, to be shown; its id 0 is that of none."""
    return models.Node(id=0, key=node.key, kind=kind_of(node), **columns_of(node))
