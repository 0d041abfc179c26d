"""The pairs of a ready pair dataset, a page at a time, and the pictures that they name.

Read straight from the folder (format: docs/pairs.md). A page is found by where its first line begins in
`pairs.jsonl`, in bytes, so that the last page of a million pairs costs what the first one does.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from pydantic import BaseModel, StringConstraints, ValidationError

from app.datasets.models import PairDataset
from app.datasets.pairing import folder_of
from app.errors import Invalid, NotFound
from app.images import storage
from app.images.decoding import ImageRefused, decode, derivatives
from method.manifests import MANIFEST, Split
from method.pair_folder import IMAGES, PAIRS

PAGE = 12
PICTURE = r"^[0-9a-f]{64}\.(jpg|png|webp)$"
MAX_LINE_BYTES = 1024 * 1024
BLOCK_BYTES = 256 * 1024

Kind = Literal["thumb", "display"]
File = Annotated[str, StringConstraints(pattern=PICTURE)]


@dataclass(frozen=True, slots=True)
class PairImage:
    """One side of a pair: what its source calls it, and its file below `images/`."""

    image_id: str
    file: str


@dataclass(frozen=True, slots=True)
class ImagePair:
    """Two pictures for one prompt, of which the winner is preferred.

    `other_prompt` is what the loser was made for where that is another, similar prompt, and
    `similarity` (0 to 1) how near the two are.
    """

    pair_id: str
    prompt: str
    winner: PairImage
    loser: PairImage
    reason: str
    other_prompt: str | None
    similarity: float | None


@dataclass(frozen=True, slots=True)
class PairPage:
    """Some pairs in the order of the file. `before` and `after` lead on from here, where there is more."""

    pairs: list[ImagePair]
    before: int | None = None
    after: int | None = None


class _Line(BaseModel):
    pair_id: str
    prompt: str
    winner: File
    loser: File
    winner_id: str
    loser_id: str
    reason: dict[str, Any] | str


def read_page(
    pairs: PairDataset,
    split: Split,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> PairPage:
    """Pairs of a split: the first ones, or those next to a place that another page has named.

    Raises Conflict where the pair dataset is not ready, NotFound where its folder is gone, Invalid for
    a place where no pair begins and for a damaged line.
    """
    folder = folder_of(pairs)
    if not pairs.counts.get(split):
        return PairPage([])
    with _inside(folder, split, PAIRS).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        given = before if before is not None else after or 0
        _check_place(file, given, size)
        start = given if before is None else _go_back(file, given, limit)
        file.seek(start)
        lines = [line for _ in range(limit) if (line := file.readline(MAX_LINE_BYTES))]
        end = file.tell()
    return PairPage(
        [_pair_of(line, f"{split}/{PAIRS}") for line in lines],
        before=start or None,
        after=end if end < size else None,
    )


def _check_place(file: BinaryIO, place: int, size: int) -> None:
    if place:
        file.seek(min(place, size) - 1)
    if place > size or (place and file.read(1) != b"\n"):
        raise Invalid(
            "No image pair begins there.", field="after", hint="Begin with the first page."
        )


def _go_back(file: BinaryIO, end: int, limit: int) -> int:
    """Where the last `limit` lines before `end` begin."""
    start, read = end, b""
    while start > 0 and read.count(b"\n") <= limit:
        step = min(BLOCK_BYTES, start)
        start -= step
        file.seek(start)
        read = file.read(step) + read
    lines = read.splitlines(keepends=True)
    return end - sum(map(len, lines[-limit:]))


def _pair_of(line: bytes, place: str) -> ImagePair:
    try:
        row = _Line.model_validate_json(line)
    except ValidationError as error:
        raise Invalid(
            f"An image pair in {place} cannot be read: the file was changed or is damaged.",
            field="pairs",
            hint="Make another pair dataset.",
        ) from error
    other_prompt, similarity = _nearness(row.reason)
    return ImagePair(
        pair_id=row.pair_id,
        prompt=row.prompt,
        winner=PairImage(row.winner_id, row.winner),
        loser=PairImage(row.loser_id, row.loser),
        reason=in_words(row.reason),
        other_prompt=other_prompt,
        similarity=similarity,
    )


def _nearness(reason: dict[str, Any] | str) -> tuple[str | None, float | None]:
    match reason:
        case {"prompts": {"loser": str(prompt)}, "similarity": float(similarity)}:
            return prompt, similarity
    return None, None


def in_words(reason: dict[str, Any] | str) -> str:
    """Why the winner of a pair won, in a sentence. Rules and words: docs/pairs.md."""
    match reason:
        case str():
            return reason
        case {"negative": {"winner": int(won), "loser": int(lost)}} if won != lost:
            return f"{_many(won, 'negative attribute')} against {lost}"
        case {
            "negative": {"winner": int(both)},
            "positive": {"winner": int(won), "loser": int(lost)},
        }:
            equal = f"{_many(both, 'negative attribute')} each"
            return f"{_many(won, 'positive attribute')} against {lost}; {equal}"
        case {"votes": {"winner": int(won), "loser": int(lost)}}:
            return f"{_many(won, 'vote')} against {lost}"
    return "; ".join(f"{name}: {value}" for name, value in reason.items())


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


# Pictures -----------------------------------------------------------------------------------------


def find_picture(pairs: PairDataset, file: str) -> Path:
    """The file of a picture by its bare name; only what the manifest lists. Raises NotFound."""
    folder = folder_of(pairs)
    # The pattern comes first: nothing else of a stranger's text ever becomes part of a path.
    if not re.fullmatch(PICTURE, file) or not _is_listed(folder, file):
        raise NotFound("There is no such picture in this pair dataset.")
    return _inside(folder, IMAGES, file)


def _is_listed(folder: Path, file: str) -> bool:
    """Whether the manifest names a picture. Looked up as text: parsing the lines of a million pictures
    for each one that a page shows would take seconds.
    """
    wanted = f'"{IMAGES}/{file}"'.encode()
    kept = b""
    with _inside(folder, MANIFEST).open("rb") as manifest:
        while block := manifest.read(BLOCK_BYTES):
            if wanted in kept + block:
                return True
            kept = block[-len(wanted) :]
    return False


def _inside(folder: Path, *names: str) -> Path:
    """A regular file of the folder, reached without links."""
    path = folder.resolve().joinpath(*names)
    if path.resolve() != path or not path.is_file():
        raise NotFound(
            f"{'/'.join(names)} is missing: the folder of this pair dataset is gone or was changed.",
            hint="Make another pair dataset.",
        )
    return path


def read_shown(path: Path, kind: Kind) -> bytes:
    """The `thumb` or `display` of a picture that was found, encoded anew without any metadata.

    Raises Invalid where the file is no longer what its name says, or cannot be decoded.
    """
    sha256 = path.stem
    try:
        # Where the picture is an image of the project, the pages have it already.
        return storage.get_made(kind, sha256)
    except NotFound:
        data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Invalid("This picture was changed after the pair dataset was made.", field="file")
    try:
        made = derivatives(decode(data).image)
    except ImageRefused as error:
        raise Invalid(f"This picture cannot be shown. {error.reason}", field="file") from error
    return made.display if kind == "display" else made.thumb
