"""Say what cannot be had on this machine before anything is installed on it.

    python requirements/check_machine.py [web]

Without `web` training is asked for as well. Any Python since 3.6 can read it.
"""

import platform
import sys
from typing import Optional, Tuple  # noqa: UP035  # Python 3.6

OLDEST, NEWEST = (3, 11), (3, 14)
MACHINES = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64", "x86_64")}
# What PostgreSQL, Valkey and PyTorch were built against.
OLDEST_GLIBC = (2, 28)


def problem(
    python: str,
    system: str,
    machine: str,
    library: Tuple[str, str],  # noqa: UP006
    *,
    training: bool,
) -> Optional[str]:  # noqa: UP045
    """What stands in the way on such a machine, in a sentence, or None."""
    if not OLDEST <= numbers(python) <= NEWEST:
        return (
            f"Morelli needs Python 3.11 to 3.14, and this is {python}. "
            "Name another one: make PYTHON=python3.12"
        )
    if machine not in MACHINES.get(system, ()):
        return (
            f"Morelli runs on Linux (x86-64, ARM) and macOS, and this is {system} on {machine}: "
            "PostgreSQL and Valkey have no package for it. On Windows use WSL."
        )
    if system == "Linux" and library[0] != "glibc":
        return "Morelli needs a Linux with glibc: PostgreSQL has no package for this one (Alpine?)."
    if system == "Linux" and numbers(library[1]) < OLDEST_GLIBC:
        return f"Morelli needs glibc 2.28 or newer (Debian 10, Ubuntu 20.04); this is {library[1]}."
    if training and (system, machine) == ("Darwin", "x86_64"):
        return (
            "PyTorch has no package for Macs with Intel processors, so training cannot be had here. "
            "All else can, with a C compiler: make install-web, then .venv/bin/morelli up"
        )
    return None


def numbers(version: str) -> Tuple[int, ...]:  # noqa: UP006
    """The first two numbers of a version."""
    return tuple(int(part) for part in version.split(".")[:2])


if __name__ == "__main__":
    sys.exit(
        problem(
            platform.python_version(),
            platform.system(),
            platform.machine(),
            platform.libc_ver(),
            training="web" not in sys.argv[1:],
        )
    )
