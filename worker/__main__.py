"""`python -m worker JOB`: do one job here, in the foreground, and leave."""

import logging
import sys

from app.closing import close_what_we_write
from worker.ledger import run, take_back_from_dead
from worker.tasks import HANDLERS


def main() -> int:
    """Exit code 0 whether the job was done here or another worker has it."""
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        print("usage: python -m worker JOB", file=sys.stderr)
        return 2
    close_what_we_write()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    take_back_from_dead()
    run(int(sys.argv[1]), HANDLERS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
