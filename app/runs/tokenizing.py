"""CLIP's tokenizer from a base model that is here, to count the tokens of words."""

import logging
from functools import lru_cache
from pathlib import Path

from app.runs.base_models import find_base_models
from taxonomy.tokens import FEWEST_MERGES, Tokenizer, read_merges

log = logging.getLogger("morelli.runs")
MERGES = Path("tokenizer") / "merges.txt"
# CLIP's has half a megabyte.
MAX_BYTES = 5_000_000


def find_tokenizer() -> Tokenizer:
    """That of the first base model with CLIP's own merges; where there is none, one that estimates."""
    for model in find_base_models():
        path = model.folder / MERGES
        try:
            state = path.stat()
        except OSError:
            continue
        if state.st_size <= MAX_BYTES and (found := _read(path, state.st_mtime_ns)) is not None:
            return found
    return Tokenizer()


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> Tokenizer | None:
    del changed  # a part of the key: a file that was changed is read anew
    try:
        merges = read_merges(path.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        log.warning("a model's merges cannot be read (%s)", type(error).__name__)
        return None
    return Tokenizer(merges) if len(merges) >= FEWEST_MERGES else None
