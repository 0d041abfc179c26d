"""What the attributes of the working criteria say now, kept from one edit to the next."""

from collections.abc import Iterator

from app.criteria.models import Node
from app.criteria.snapshots import Kept, Snapshot
from taxonomy.changes import Texts, Written, texts_written
from taxonomy.tree import POLARITIES, Side

_kept: Kept[tuple[Snapshot, Texts]] = Kept()


def texts_now(project_id: int, snapshot: Snapshot) -> Texts:
    """The texts of a state of a project's criteria. Of the state asked for before only what changed is taken
    anew: an edit asks each time, and there may be thousands of attributes.
    """
    before = _kept.get(project_id)
    if before is None:
        texts = _all_texts(snapshot)
    elif before[0] is snapshot:
        return before[1]
    else:
        texts = _rewritten(*before, snapshot)
    _kept.put(project_id, (snapshot, texts))
    return texts


def _all_texts(snapshot: Snapshot) -> Texts:
    written = {
        side: text for node in snapshot.nodes if node.kind == "pair" for side, text in _said(node)
    }
    return texts_written(written, _retired(snapshot))


def _rewritten(before: Snapshot, texts: Texts, snapshot: Snapshot) -> Texts:
    # A row that did not change is the same object.
    gone = [node for key, node in before.by_id.items() if snapshot.by_id.get(key) is not node]
    came = [node for key, node in snapshot.by_id.items() if before.by_id.get(key) is not node]
    now: dict[Side, Written | None] = {}
    now |= {side: None for node in gone if node.kind == "pair" for side, _ in _said(node)}
    now |= {side: text for node in came if node.kind == "pair" for side, text in _said(node)}
    is_same_place = {_place(node) for node in gone} == {_place(node) for node in came}
    return texts.rewritten(now, texts.retired if is_same_place else _retired(snapshot))


def _place(node: Node) -> tuple[int, int | None, bool]:
    """What retirement of attributes depends on."""
    return (node.id, node.parent_id, node.retired)


def _said(node: Node) -> Iterator[tuple[Side, Written]]:
    yield (
        Side(node.key, "positive"),
        Written(node.positive_name or "", node.positive_definition or ""),
    )
    yield (
        Side(node.key, "negative"),
        Written(node.negative_name or "", node.negative_definition or ""),
    )


def _retired(snapshot: Snapshot) -> set[Side]:
    """The attributes of pairs that are retired or stand below something retired."""
    retired = {node.id for node in snapshot.nodes if node.retired}
    if not retired:
        return set()

    def is_out(node: Node | None) -> bool:
        while node is not None and node.id not in retired:
            node = snapshot.by_id.get(node.parent_id) if node.parent_id is not None else None
        return node is not None

    return {
        Side(node.key, polarity)
        for node in snapshot.nodes
        if node.kind == "pair" and is_out(node)
        for polarity in POLARITIES
    }
