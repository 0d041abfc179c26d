"""How several processes of a run end: the first one that ends says why, and the others follow it.

When one fails, the others find their connections broken, which says nothing about the reason. So whoever ends
leaves word at the launcher's store, which all processes reach. Those who were not the first end with the first
one's code and without a word of their own: whichever end the launcher sees first, it is the right one.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

KEY = "morelli/end"
PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class End:
    """How the first of several processes ended."""

    rank: int
    code: int
    sentence: str


def are_several() -> bool:
    """Whether a launcher has started this process beside others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def agree(code: int, sentence: str) -> tuple[int, bool]:
    """Ask to end like this. Returns the code to end with, and whether to say the sentence."""
    if not are_several():
        return code, True
    mine = End(int(os.environ["RANK"]), code, sentence)
    try:
        said = _store().compare_set(KEY, "", json.dumps(asdict(mine)))
    except (RuntimeError, OSError):
        # The launcher is gone, or the process that held its place: nobody else will speak.
        return code, True
    first = End(**json.loads(said))
    return first.code, first == mine


def first_end() -> End | None:
    """How another process ended, if one has and could say so."""
    if not are_several():
        return None
    try:
        store = _store()
        return End(**json.loads(store.get(KEY))) if store.check([KEY]) else None
    except (RuntimeError, OSError):
        return None


def leave(code: int) -> None:
    """End this process now; of several, without what libraries do at exit, which waits for the others."""
    if are_several():
        os._exit(code)
    raise SystemExit(code)


def _store() -> Any:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not in its __all__

    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(*place, is_master=False, timeout=PATIENCE)
