"""A small tree without faults, to plant one in."""

from dataclasses import replace

from taxonomy.tree import (
    Attribute,
    Criteria,
    Dimension,
    ImageContent,
    ImageStyle,
    Pair,
    Relation,
    Side,
    StyleReading,
    Translation,
    Words,
)
from tests.taxonomy.strategies import change_node


def pair(key: str, positive: str, negative: str, relation: Relation = "opposed") -> Pair:
    return Pair(
        key, relation, Attribute(positive, f"{positive}."), Attribute(negative, f"{negative}.")
    )


def small_tree() -> Criteria:
    geometry = Dimension(
        "geometry",
        "Geometric composition",
        "A simple figure holds the masses.",
        exclusive=True,
        pairs=(
            pair("circular", "Circular composition", "Circle closed on itself", "flaw"),
            pair("radial", "Radial composition", "Ambiguous center", "flaw"),
        ),
    )
    composition = Dimension(
        "composition",
        "Composition",
        "How the picture is laid out.",
        dimensions=(geometry,),
        pairs=(pair("balance", "Visual equilibrium", "Lopsided masses"),),
    )
    edges = Dimension(
        "edges",
        "Edge Relationship",
        "How forms end.",
        pairs=(
            pair("clear-edges", "Clear edges", "Blurred edges"),
            pair("lost-edges", "Lost and found contours", "Cut-out contours"),
        ),
    )
    return Criteria("Painting", dimensions=(composition, edges))


def zh(name: str) -> Words:
    return Words((Translation("zh-Hans", name),))


def telling_tree() -> Criteria:
    """The small tree, saying something in every field beside names and definitions."""
    tree = replace(
        small_tree(),
        content=(ImageContent("hands", "Hands"),),
        styles=(ImageStyle("impressionism", "Impressionism"),),
    )
    tree = change_node(
        tree, "edges", lambda node: replace(node, needs=("hands",), words=zh("边缘"))
    )
    blurred = Attribute(
        "Blurred edges",
        "Blurred.",
        Words((Translation("zh-Hans", "模糊的边缘"),), ("Smeared edges",)),
        "smeared edges",
        (StyleReading("impressionism", "positive"),),
        (Side("balance", "positive"),),
    )
    clear = Attribute("Clear edges", "Clear.", zh("明确的边缘"))
    return change_node(tree, "clear-edges", lambda p: replace(p, positive=clear, negative=blurred))
