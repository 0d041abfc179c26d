"""Pairs from Parquet files in Pick-a-Pic's layout: two JPEGs, a caption and who won, a row each.

Columns jpg_0, jpg_1 (bytes, or a struct of bytes and path), label_0 (1: the first won, 0: the second,
0.5: neither) and caption; image_0_uid, image_1_uid, best_image_uid and has_label where they are there.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from method.files import hash_file
from worker.pairs.building import (
    BrokenImage,
    Built,
    CannotBuild,
    DecidedPair,
    Images,
    Side,
    finish,
    unfinished,
)

NEEDED = ("jpg_0", "jpg_1", "label_0", "caption")
WELCOME = ("image_0_uid", "image_1_uid", "best_image_uid", "has_label")
SIDES = (0, 1)
# Few, because the pictures of a batch lie in memory together.
ROWS_PER_BATCH = 32
BUFFER_BYTES = 1 << 20

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Vote:
    """One row: for its caption somebody preferred one picture to the other."""

    caption: str
    winner: Side
    loser: Side


class _Votes:
    """All votes, by caption and pair: the same two pictures may have been judged more than once."""

    def __init__(self) -> None:
        self._wins: dict[tuple[str, str, str], list[int]] = {}
        self._splits: dict[tuple[str, str, str], str] = {}
        self._sides: dict[str, Side] = {}
        self._files: dict[str, str] = {}

    def add(self, vote: _Vote, split: str) -> None:
        first, second = sorted((vote.winner.file, vote.loser.file))
        key = (vote.caption, first, second)
        # The file read first decides, so that no pair stands in two splits.
        self._splits.setdefault(key, split)
        self._wins.setdefault(key, [0, 0])[vote.winner.file != first] += 1
        for side in (vote.winner, vote.loser):
            self._keep_id(side)

    def decide(self, dropped: Counter[str]) -> Iterator[DecidedPair]:
        """The pairs with a majority; rows that make no pair of their own are counted."""
        for (caption, *files), (first, second) in self._wins.items():
            if first == second:
                dropped["as_many_votes_against"] += first + second
                continue
            dropped["same_pair_again"] += first + second - 1
            winner, loser = (self._sides[f] for f in (files if first > second else files[::-1]))
            reason = {"votes": {"winner": max(first, second), "loser": min(first, second)}}
            split = self._splits[caption, files[0], files[1]]
            yield DecidedPair(split, caption, winner, loser, reason)

    def _keep_id(self, side: Side) -> None:
        """A picture has the first id it came with, unless that is another picture's."""
        if side.file not in self._sides:
            taken = self._files.setdefault(side.image_id, side.file) != side.file
            self._sides[side.file] = Side(side.file, side.file) if taken else side


def from_pick_a_pic(source: Path, out: Path, *, name: str, say: Callable[[str], None]) -> Built:
    """Build a pair dataset from a Parquet file or a folder of them, read a few rows at a time.

    A file whose name begins with validation or test goes to that split, any other to train. Rows
    with a broken image are left out and named in `problems`. Raises CannotBuild.
    """
    files = _find(source)
    votes = _Votes()
    dropped: Counter[str] = Counter()
    problems: list[str] = []
    num_rows = 0
    with unfinished(out, name) as making, ThreadPoolExecutor(max_workers=4) as pool:
        images = Images(making / "images")
        for path in files:
            for rows in _read_batches(path):
                num_rows += len(rows)
                for vote in _read_votes(rows, images, pool, dropped, problems):
                    votes.add(vote, _split_of(path))
            say(f"Read {path.name}: {num_rows} rows so far.")
        return finish(
            making,
            out,
            images,
            list(votes.decide(dropped)),
            name=name,
            source="import",
            made_from={
                "layout": "pick-a-pic",
                "files": [{"name": path.name, "sha256": hash_file(path)} for path in files],
            },
            counts={"candidates": num_rows, "dropped": dropped},
            problems=problems,
        )


def _find(source: Path) -> list[Path]:
    files = sorted(source.rglob("*.parquet")) if source.is_dir() else [source]
    if not files:
        raise CannotBuild(f"{source}: holds no .parquet file")
    if not source.exists():
        raise CannotBuild(f"{source}: is not there")
    return files


def _split_of(path: Path) -> str:
    found = re.match(r"(train|validation|test)(?![a-z])", path.name)
    return found[1] if found else "train"


def _read_batches(path: Path) -> Iterator[list[tuple[str, Row]]]:
    """The rows of a file with their places, a few at a time; in memory is a page of each column."""
    number = 0
    try:
        with parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
            names = file.schema_arrow.names
            missing = [column for column in NEEDED if column not in names]
            if missing:
                raise CannotBuild(f"{path}: has no column {', '.join(missing)}")
            columns = [column for column in (*NEEDED, *WELCOME) if column in names]
            # Several threads would hold several row groups.
            batches = file.iter_batches(ROWS_PER_BATCH, columns=columns, use_threads=False)
            for batch in batches:
                rows = batch.to_pylist()
                yield [(f"{path.name}, row {number + i}", row) for i, row in enumerate(rows, 1)]
                number += len(rows)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CannotBuild(f"{path}: cannot be read after row {number}: {error}") from error


def _read_votes(
    rows: list[tuple[str, Row]],
    images: Images,
    pool: ThreadPoolExecutor,
    dropped: Counter[str],
    problems: list[str],
) -> Iterator[_Vote]:
    """The votes in these rows, their pictures written; what is no vote is counted and named."""
    usable = []
    for place, row in rows:
        winner = _winner(row)
        if isinstance(winner, str):
            dropped[winner] += 1
        else:
            usable.append((place, row, winner))
    contents = [_content(row[f"jpg_{side}"]) for _, row, _ in usable for side in SIDES]
    names = list(pool.map(lambda content: _check(images, content), contents))
    for index, (place, row, winner) in enumerate(usable):
        both = slice(2 * index, 2 * index + 2)
        broken = [
            f"{place}: jpg_{side} is left out: {name}"
            for side, name in zip(SIDES, names[both], strict=True)
            if isinstance(name, BrokenImage)
        ]
        if broken:
            problems += broken
            dropped["broken_image"] += 1
            continue
        files = [str(name) for name in names[both]]
        if files[0] == files[1]:
            dropped["same_picture"] += 1
            continue
        for file, content in zip(files, contents[both], strict=True):
            images.write(file, content)
        sides = [_side(row, side, files[side]) for side in SIDES]
        yield _Vote(row["caption"].strip(), sides[winner], sides[1 - winner])


def _winner(row: Row) -> int | str:
    """Which of the two pictures won, 0 or 1, or why the row is of no use."""
    label = row["label_0"]
    if not isinstance(row["caption"], str) or not row["caption"].strip():
        return "without_caption"
    if row.get("has_label") is False or label not in (0, 0.5, 1):
        return "without_label"
    if label == 0.5:
        return "tie"
    winner = 0 if label == 1 else 1
    ids = [row.get(f"image_{side}_uid") for side in SIDES]
    if row.get("best_image_uid") is not None and row["best_image_uid"] == ids[1 - winner]:
        return "contradictory_label"
    return winner


def _content(cell: object) -> bytes:
    """The bytes of a picture; none where the cell is empty, or names a file that is not in it."""
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    return content if isinstance(content, bytes) else b""


def _check(images: Images, content: bytes) -> str | BrokenImage:
    if not content:
        return BrokenImage("there is no picture in this cell")
    try:
        return images.check(content)
    except BrokenImage as error:
        return error


def _side(row: Row, side: int, file: str) -> Side:
    uid = row.get(f"image_{side}_uid")
    return Side(uid if isinstance(uid, str) and uid.strip() else file, file)
