"""How runs keep the sides of attribute pairs that they looked for and found: as numbers, a few bytes each.

A side is the id of its pair, with a minus sign where it is the negative one.
"""

from taxonomy.tree import Polarity


def number_of(node_id: int, polarity: str) -> int:
    """The number of a side."""
    return node_id if polarity == "positive" else -node_id


def side_of(number: int) -> tuple[int, Polarity]:
    """The pair and the polarity that a number stands for."""
    return abs(number), "positive" if number > 0 else "negative"
