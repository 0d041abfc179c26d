"""What a measurement was made on."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

SERVERS = ("fastapi", "sqlalchemy", "psycopg")


def describe(packages: Sequence[str] = SERVERS) -> str:
    """Processor, cores, memory, system and the versions of the packages that matter, in one line each."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB\n"
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {versions}"
    )


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def processor_seconds(pid: int) -> float:
    """What a process has computed so far, in itself and in the kernel; 0 where that is not told."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processor_seconds_below(pid: int) -> float:
    """What all descendants of a process have computed so far: its servers, and their processes."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    total, waiting = 0.0, [*parents.get(pid, ())]
    while waiting:
        each = waiting.pop()
        waiting += parents.get(each, ())
        try:
            total += processor_seconds(each)
        except OSError:
            continue
    return total
