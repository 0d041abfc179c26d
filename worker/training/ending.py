"""How several processes of a run end: the first one that ends says why, and the others follow it.

When one fails, the others find their connections broken, which says nothing about the reason. So whoever ends
asks, at the launcher's store, which all processes reach, who was first. Those who were not end with the first
one's code and without a word: whichever end the launcher sees first, it is the right one.
"""

import os
from datetime import timedelta

KEY = "morelli/end"
SECONDS = 5.0


def are_several() -> bool:
    """Whether a launcher has started this process beside others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def agree(code: int) -> tuple[int, bool]:
    """Ask to end with this exit code. Returns the code to end with, and whether to say why."""
    if not are_several():
        return code, True
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not in its __all__

    mine = f"{os.environ['RANK']} {code}"
    try:
        store = TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=SECONDS),
        )
        first = store.compare_set(KEY, "", mine).decode()
    except (RuntimeError, OSError):
        # The launcher is gone, or the process that held its place: nobody else will speak.
        return code, True
    return int(first.split()[1]), first == mine


def leave(code: int) -> None:
    """End this process now; of several, without what libraries do at exit, which waits for the others."""
    if are_several():
        os._exit(code)
    raise SystemExit(code)
