"""What a job says of itself: anybody in the project reads it, so it names no place of the server."""

import re

LONGEST = 2000
TRACEBACK = "Traceback (most recent call last)"
# A path from the root, as a word of its own or in quotes; the slashes of addresses and fractions are none.
ABSOLUTE = re.compile(
    r"(?<![\w.:/~…])/(?!/)[^\s'\"“”‘’`<>|,;:()\[\]{}]*[^\s'\"“”‘’`<>|,;:()\[\]{}.]"
)


def for_people(text: str) -> str:
    """A message without a stack trace, and with the last part only of each path of the server.

    The log of the worker, and a run's own for its leads, have all of it.
    """
    if TRACEBACK in text:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        text = lines[-1]
    return ABSOLUTE.sub(lambda found: _last_part(found[0]), text)[:LONGEST]


def _last_part(path: str) -> str:
    return f"…/{path.rstrip('/').rpartition('/')[2]}"
