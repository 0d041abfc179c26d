"""Brings the rows of listings and the files that were found together."""

import unicodedata
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from app.images import fetching
from app.images.contents import Contents, Entry, Names, Refusal, image_limit
from app.images.decoding import ImageRefused
from app.images.listings import Row


def _plain(path: str) -> str:
    # macOS stores names decomposed; a listing made elsewhere spells them composed.
    return unicodedata.normalize("NFC", path.replace("\\", "/").removeprefix("./"))


class _Shelf:
    """The found files, to be looked up the way listings name them."""

    def __init__(self, paths: list[str]) -> None:
        self.by_path = {_plain(path): path for path in paths}
        self.by_name: dict[str, list[str]] = {}
        for path in self.by_path:
            self.by_name.setdefault(PurePosixPath(path).name, []).append(path)

    def find(self, location: str, listing: str) -> list[str]:
        """Paths that a location may mean: beside the listing, from the top, or by its ending."""
        wanted = _plain(location)
        beside = _plain(str(PurePosixPath(listing).parent / wanted))
        for exact in (beside, wanted):
            if exact in self.by_path:
                return [self.by_path[exact]]
        same_name = self.by_name.get(PurePosixPath(wanted).name, [])
        return [self.by_path[each] for each in same_name if each.endswith(f"/{wanted}")]


@dataclass(frozen=True)
class _Placed:
    listing: str
    row: Row


def apply_listings(contents: Contents, *, only_listed: bool = False) -> None:
    """Give the found files their prompts and metadata, add images by URL, report rows that fit nothing.

    With `only_listed` files that no row names are left out. Names become tidy and unique.
    """
    shelf = _Shelf(list(contents.entries))
    placed: dict[str, _Placed] = {}
    by_url: list[Row] = []
    for name, listing in contents.listings.items():
        for line, reason in listing.problems:
            contents.refuse(f"{name}, line {line}", f"The row {reason}.")
        for row in listing.rows:
            if row.location.lower().startswith(("http://", "https://")):
                by_url.append(row)
                continue
            problem = _place(row, name, shelf, placed)
            if problem:
                contents.refuse(f"{name}, line {row.line}", problem)
    found = [
        _described(entry, placed.get(path))
        for path, entry in contents.entries.items()
        if path in placed or not only_listed
    ]
    _name_all(contents, found + [_by_url(row) for row in by_url])


def _place(row: Row, listing: str, shelf: _Shelf, placed: dict[str, _Placed]) -> str | None:
    paths = shelf.find(row.location, listing)
    shown = row.location[:200]
    if not paths:
        return f"There is no file “{shown}”."
    if len(paths) > 1:
        return f"“{shown}” could be any of {len(paths)} files; give its folder too."
    before = placed.get(paths[0])
    if before is not None:
        return f"“{shown}” was named before, in line {before.row.line} of {before.listing}."
    placed[paths[0]] = _Placed(listing, row)
    return None


def _described(entry: Entry, placed: _Placed | None) -> Entry:
    if placed is None:
        return entry
    return replace(entry, prompt=placed.row.prompt, details=dict(placed.row.details))


def _by_url(row: Row) -> Entry:
    details = {**row.details, "url": fetching.shown_url(row.location)}
    return Entry(
        url_name(row.location), partial(_read_url, row.location), None, row.prompt, details
    )


def url_name(url: str) -> str:
    """The name of the file a URL ends in."""
    return PurePosixPath(unquote(urlsplit(url).path)).name or "download"


def _read_url(url: str) -> bytes:
    try:
        return fetching.fetch(url, limit_bytes=image_limit())
    except fetching.NotFetched as error:
        raise ImageRefused(error.reason) from error


def _name_all(contents: Contents, entries: list[Entry]) -> None:
    names = Names()
    named = [replace(entry, name=names.give(entry.name)) for entry in entries]
    contents.entries = {entry.name: entry for entry in named}
    contents.refusals = [Refusal(names.give(each.name), each.reason) for each in contents.refusals]
