"""What a fault of a criteria tree is: its code, how serious it is, where, and what to do."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from taxonomy.tree import Dimension, Node

Severity: TypeAlias = Literal["error", "warning"]

# Every code, and whether it stops a publication.
SEVERITIES: dict[str, Severity] = {
    "alternative-clash": "warning",
    "bad-exclusion": "error",
    "bad-key": "error",
    "bad-name": "error",
    "duplicate-key": "error",
    "duplicate-name": "error",
    "exclusive-single": "warning",
    "flaw-undefined": "error",
    "incomplete-language": "warning",
    "mapping-clash": "warning",
    "missing-definition": "warning",
    "missing-name": "error",
    "missing-negative": "error",
    "missing-positive": "error",
    "negated-name": "warning",
    "no-attributes": "error",
    "no-web-address": "warning",
    "own-language": "warning",
    "own-link": "warning",
    "prompt-clash": "error",
    "replaced-in-use": "error",
    "similar-name": "warning",
    "successor-cycle": "error",
    "successor-kind": "error",
    "too-deep": "error",
    "translation-clash": "warning",
    "unknown-content": "error",
    "unknown-style": "error",
    "unknown-successor": "error",
    "untidy-name": "warning",
    "valueless-exclusion": "warning",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. `key` is the node's, or "" for the whole tree; `message` says what to do."""

    code: str
    severity: Severity
    key: str
    message: str


def problem(code: str, key: str, message: str) -> Problem:
    """A fault of this code, with its severity."""
    return Problem(code, SEVERITIES[code], key, message)


def title(node: Node) -> str:
    """What a node is called in a sentence."""
    if isinstance(node, Dimension):
        return f"“{node.name}”" if node.name.strip() else f"the dimension {node.key}"
    names = [name for name in (node.positive.name, node.negative.name) if name.strip()]
    return f"“{' / '.join(names)}”" if names else f"the pair {node.key}"


def upper(text: str) -> str:
    """The text as a sentence begins."""
    return text[:1].upper() + text[1:]
