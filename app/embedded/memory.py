"""How much memory PostgreSQL takes for its pages: as much as the machine can spare.

128 MB, which initdb writes, hold the indexes of some 300,000 labels. Beyond that each page that is changed
pushes another one out, and a publication that merges 100,000 labels takes a quarter more (`bench.merging`).
"""

import os
import re
from pathlib import Path

LEAST, MOST = 128 * 2**20, 2**30
SHARE = 16
"""One part in so many of the memory: training and Chromium want the rest, and the system keeps files in it, too."""
# What initdb writes where a machine has more than that. Whoever owns the machine may have written another.
FROM_INITDB = "128MB"
_SETTING = re.compile(r"^\s*shared_buffers\s*[=\s]\s*'?([^'#\n]*?)'?\s*(?:#.*)?$", re.MULTILINE)


def page_memory(data: Path) -> str | None:
    """`shared_buffers` for a server of this data directory, as PostgreSQL reads it; None where its owner chose."""
    for name in ("postgresql.auto.conf", "postgresql.conf"):
        file = data / name
        said = _SETTING.findall(file.read_text(errors="replace")) if file.exists() else []
        if said:
            if said[-1].replace(" ", "") != FROM_INITDB:
                return None
            break
    return f"{share_of(memory_of_machine()) >> 20}MB"


def share_of(memory: int) -> int:
    """Bytes of so many that PostgreSQL keeps pages in."""
    return max(LEAST, min(MOST, memory // SHARE))


def memory_of_machine() -> int:
    """Bytes that this machine has, or that a container may use of them."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [physical]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(file).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(limits)
