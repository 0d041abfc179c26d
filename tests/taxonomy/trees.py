"""A small tree without faults, to plant one in."""

from taxonomy.tree import Attribute, Criteria, Dimension, Pair, Relation


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
