"""Brings the rows of listings and the files that were found together."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from app.images import fetching
from app.images.companions import apply_companions
from app.images.contents import Contents, Entry, Names, Refusal, image_limit, natural
from app.images.decoding import ImageRefused
from app.images.listings import Row

ABSOLUTE = re.compile(r"^(/|[A-Za-z]:/|file:/)")


def _plain(path: str) -> str:
    # macOS stores names decomposed; a listing made elsewhere spells them composed.
    plain = unicodedata.normalize("NFC", path.replace("\\", "/"))
    while plain.startswith("./"):
        plain = plain[2:]
    return plain


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


class Shelf:
    """The found files, to be looked up the way listings name them."""

    def __init__(self, paths: list[str]) -> None:
        self.by_path: dict[str, list[str]] = {}
        self.by_name: dict[str, list[str]] = {}
        self.by_stem: dict[str, list[str]] = {}
        for path in paths:
            plain = _plain(path)
            self.by_path.setdefault(plain, []).append(path)
            name = PurePosixPath(plain.partition("\0")[0]).name
            self.by_name.setdefault(_folded(name), []).append(path)
            self.by_stem.setdefault(_folded(name.rpartition(".")[0]), []).append(path)

    def find(self, location: str, listing: str) -> list[str]:
        """Paths that a location may mean: as it is spelt, then in other capitals, beside the listing,
        from the top, or by its ending; at last without the folders of another machine.
        """
        wanted = _plain(location)
        beside = _plain(str(PurePosixPath(listing).parent / wanted))
        for exact in (beside, wanted):
            if exact in self.by_path:
                return self.by_path[exact][:1]
        name = PurePosixPath(wanted).name
        found = self.by_name.get(_folded(name), [])
        for same in (_plain, lambda path: _folded(_plain(path))):
            ends = [p for p in found if f"/{same(p)}".endswith(f"/{same(wanted)}")]
            if ends:
                return _the_nearest(ends, beside)
        if "." not in name:
            stems = [
                path
                for path in self.by_stem.get(_folded(name), [])
                if _folded(f"/{_plain(path).rpartition('.')[0]}").endswith(_folded(f"/{wanted}"))
            ]
            if stems:
                return stems
        return _elsewhere(found, wanted)


def _elsewhere(found: list[str], wanted: str) -> list[str]:
    """Files of a name whose folders differ: lists name places of the machine they were made on, and
    files that were chosen one by one come without folders.
    """
    shared = {path: _shared_parts(_plain(path), wanted) for path in found}
    most = max(shared.values(), default=0)
    likely = [path for path in found if shared[path] == most]
    if most > 1 or ABSOLUTE.match(wanted):
        return likely
    return [path for path in likely if "/" not in path]


def _shared_parts(path: str, wanted: str) -> int:
    pairs = zip(
        reversed(PurePosixPath(_folded(path)).parts),
        reversed(PurePosixPath(_folded(wanted)).parts),
        strict=False,
    )
    number = 0
    for one, other in pairs:
        if one != other:
            break
        number += 1
    return number


def _the_nearest(paths: list[str], beside: str) -> list[str]:
    same = [path for path in paths if _folded(_plain(path)) == _folded(beside)]
    return same or paths


@dataclass(frozen=True)
class _Placed:
    listing: str
    row: Row


def apply_listings(contents: Contents, *, only_listed: bool = False) -> None:
    """Give the found files their prompts and metadata, add images by URL, report rows that fit nothing.

    With `only_listed` files that no row names are left out. Names become tidy and unique; files come in
    the order in which people number them.
    """
    shelf = Shelf(list(contents.entries))
    placed: dict[str, _Placed] = {}
    by_url: list[Row] = []
    for name, listing in contents.listings.items():
        for each in listing.notes:
            contents.note(name, each)
        for line, reason in listing.problems:
            contents.refuse(f"{name}, line {line}", f"The row {reason}.")
        named = Counter(_folded(PurePosixPath(_plain(row.location)).name) for row in listing.rows)
        for row in listing.rows:
            if row.location.lower().startswith(("http://", "https://")):
                by_url.append(row)
                continue
            problem = _place(row, name, shelf, placed, named)
            if problem:
                contents.refuse(f"{name}, line {row.line}", problem)
    contents.entries = {
        path: _described(entry, placed.get(path))
        for path, entry in sorted(contents.entries.items(), key=lambda each: natural(each[0]))
        if path in placed or not only_listed
    }
    apply_companions(contents)
    _name_all(contents, [*contents.entries.values(), *map(_by_url, by_url)])


def _place(
    row: Row, listing: str, shelf: Shelf, placed: dict[str, _Placed], named: Counter[str]
) -> str | None:
    paths = shelf.find(row.location, listing)
    shown = row.location[:200]
    if not paths:
        return f"There is no file “{shown}”."
    wanted = _plain(row.location)
    is_elsewhere = not _folded(f"/{_plain(paths[0]).partition(chr(0))[0]}").endswith(
        _folded(f"/{wanted}")
    )
    # Without its folders a name may be two pictures' of the list.
    if is_elsewhere and "/" in wanted and named[_folded(PurePosixPath(wanted).name)] > 1:
        return f"There is no file “{shown}”, and its name alone stands in several rows."
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
    read = partial(_read_url, row.location)
    return Entry(url_name(row.location), read, None, row.prompt, details, url=row.location)


def url_name(url: str) -> str:
    """The name of the file a URL ends in."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return "download"
    return PurePosixPath(unquote(path)).name or "download"


def _read_url(url: str, check: Callable[[], None]) -> bytes:
    try:
        return fetching.fetch(url, limit_bytes=image_limit(), check=check)
    except fetching.NotFetched as error:
        raise ImageRefused(error.reason) from error


def _name_all(contents: Contents, entries: list[Entry]) -> None:
    names = Names()
    named = [replace(entry, name=names.give(entry.name)) for entry in entries]
    contents.entries = {entry.name: entry for entry in named}
    contents.refusals = [Refusal(names.give(each.name), each.reason) for each in contents.refusals]
    contents.notes = [Refusal(names.give(each.name), each.reason) for each in contents.notes]
