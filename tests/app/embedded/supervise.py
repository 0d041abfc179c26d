"""A process that starts the servers of a home, says so, and waits to be ended.

python supervise.py HOME [stay|fork]
"""

import os
import sys
import time
from pathlib import Path

from app import embedded


def main() -> None:
    home, how = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "stay"
    with embedded.start(home, durable=False):
        forked = os.fork() if how == "fork" else None
        if forked != 0:
            print("ready", forked or "", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
