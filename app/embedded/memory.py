"""How much memory PostgreSQL takes for its pages: as much as the machine can spare.

128 MB, which initdb writes, hold the indexes of some 300,000 labels. Beyond that each page that is changed
pushes another one out, and a publication that merges 100,000 labels takes a quarter more (`bench.merging`).
"""

import os
import subprocess
from pathlib import Path

LEAST, MOST = 128 * 2**20, 2**30
SHARE = 16
"""One part in so many of the memory: training and Chromium want the rest, and the system keeps files in it, too."""
# What initdb writes, in pages of 8 kB. Whoever owns the machine may have written another.
FROM_INITDB = "16384"


def page_memory(program: Path, data: Path) -> str | None:
    """`shared_buffers` for a server of this data directory, as PostgreSQL reads it; None where its owner chose.

    None, too, where its settings cannot be read: the server says why when it starts.
    """
    # First: then it may be asked by anybody, also by root.
    asked = [str(program), "-C", "shared_buffers", "-D", str(data)]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return f"{share_of(memory_of_machine()) >> 20}MB" if said == FROM_INITDB else None


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
