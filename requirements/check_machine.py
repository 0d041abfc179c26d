"""Say what cannot be had on this machine before anything is installed on it.

    python requirements/check_machine.py [web]

Without `web` training is asked for as well. Written so that any Python 3 can read it.
"""

import platform
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
MACHINES = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64", "x86_64")}
# What PostgreSQL, Valkey and PyTorch were built against.
OLDEST_GLIBC = (2, 28)


def problem(training):
    """What stands in the way here, in a sentence, or None."""
    system, machine = platform.system(), platform.machine()
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return (
            "Morelli needs Python 3.11 to 3.14, and this is {}. "
            "Name another one: make PYTHON=python3.12".format(platform.python_version())
        )
    if machine not in MACHINES.get(system, ()):
        return (
            "Morelli runs on Linux (x86-64, ARM) and macOS, and this is {} on {}: PostgreSQL and Valkey "
            "have no package for it. On Windows use WSL.".format(system, machine)
        )
    library, version = platform.libc_ver()
    if system == "Linux" and library != "glibc":
        return "Morelli needs a Linux with glibc; PostgreSQL has no package for this one (Alpine?)."
    if system == "Linux" and tuple(map(int, version.split(".")[:2])) < OLDEST_GLIBC:
        return "Morelli needs glibc 2.28 or newer (Debian 10, Ubuntu 20.04), and this is {}.".format(version)
    if training and (system, machine) == ("Darwin", "x86_64"):
        return (
            "PyTorch has no package for Macs with Intel processors, so training cannot be had here. "
            "Everything else can: make install-web, then .venv/bin/morelli up"
        )
    return None


if __name__ == "__main__":
    found = problem("web" not in sys.argv[1:])
    sys.exit(found)
