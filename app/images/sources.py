"""Where an import takes its files from: a folder, uploaded files, a ZIP, a CSV, or what a URL answers.

Everything that lies there comes in; a listing (CSV) adds prompts, metadata and images by URL.
"""

import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from app.database import Json
from app.errors import Invalid, WrongUse
from app.images import archives, companions, fetching, uploads
from app.images.contents import Contents, Entry, image_limit, natural, tidy_name
from app.images.decoding import ImageRefused
from app.images.knowing import Wishes
from app.images.listings import MAX_BYTES, read_listing
from app.images.matching import apply_listings, url_name
from app.settings import settings
from method import foreign_files
from method.items import Failed, attempt
from method.places import find_existing

TABLES = (".csv", ".tsv")
JSON_LINES = (".jsonl", ".ndjson")
LISTINGS = (*TABLES, *JSON_LINES)
# Texts that may belong to the picture of their name.
TEXTS = (".txt", ".caption", ".json")
# What commonly lies beside images and is meant for people or programs.
BESIDE = (".md", ".xml", ".xmp", ".yaml", ".yml", ".toml", ".ini", ".log", ".html", ".htm")
NEVER = ("__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r")


@dataclass(frozen=True)
class Source:
    """What an import's row (`kind`, `origin`) and its job (`spec`) say about where the files are."""

    kind: str
    origin: str
    spec: Json


def with_wishes(source: Source, wishes: Wishes) -> Source:
    """The source with what is asked for beside its files."""
    wished = {name: each for name, each in asdict(wishes).items() if each}
    return replace(source, spec={**source.spec, "wishes": wished}) if wished else source


def folder_source(path: str, *, within: list[Path] | None = None) -> Source:
    """A folder of this machine; `within` are the only folders it may lie in. Raises Invalid."""
    if within is not None and not within:
        raise Invalid(
            "No folder of the server is open for imports.",
            field="folder",
            hint="The operator opens some with MORELLI_IMPORT_FOLDERS.",
        )
    folder = find_existing(path, within)
    if folder is None or not folder.is_dir():
        places = ", ".join(map(str, within or []))
        hint = f"Folders open for imports: {places}." if places else "Check the path."
        raise Invalid("There is no such folder to import from.", field="folder", hint=hint)
    return Source("folder", tidy_name(str(folder)), {"kind": "folder", "path": str(folder)})


def path_source(path_or_url: str) -> Source:
    """Whatever the command line names: a folder, a ZIP, a CSV, one image, or a URL. Raises WrongUse."""
    if path_or_url.lower().startswith(("http://", "https://")):
        return url_source(path_or_url)
    path = find_existing(path_or_url)
    if path is not None and path.is_dir():
        return folder_source(path_or_url)
    if path is None or not path.is_file():
        raise WrongUse(f"There is no file or folder {path_or_url}.", hint="Check the path.")
    if not os.access(path, os.R_OK):
        raise WrongUse(f"{path_or_url} cannot be read: permission denied.")
    return Source(_kind_of([path.name]), tidy_name(str(path)), {"kind": "file", "path": str(path)})


def url_source(url: str) -> Source:
    """A CSV, a ZIP or one image somewhere else. Raises Invalid."""
    try:
        fetching.parse_url(url)
    except fetching.NotFetched as error:
        raise Invalid(error.reason, field="url") from error
    shown = fetching.shown_url(url)
    name = PurePosixPath(urlsplit(shown).path).name
    kind = _kind_of([name]) if "." in name else "csv"
    return Source(kind, shown, {"kind": "url", "url": url.strip(), "token": uploads.new_token()})


def upload_source(token: str, names: list[str]) -> Source:
    """Uploaded files, which lie in the upload folder called `token`. Raises Invalid for none."""
    if not names:
        raise Invalid("Please choose at least one file.", field="files")
    first = tidy_name(names[0])
    origin = first if len(names) == 1 else f"{first} and {len(names) - 1} more"
    return Source(_kind_of(names), origin, {"kind": "upload", "token": token})


def _kind_of(names: list[str]) -> str:
    lower = [name.lower() for name in names]
    if len(lower) == 1 and lower[0].endswith(".zip"):
        return "zip"
    return "csv" if any(name.endswith(LISTINGS) for name in lower) else "files"


@contextmanager
def open_source(spec: Json, check: Callable[[], None] = lambda: None) -> Iterator[Contents]:
    """List what is at a source; its entries can be read while the context is open.

    `check` is called while something is fetched and may raise to stop. Raises Invalid where the whole
    source cannot be used.
    """
    contents = Contents()
    with ExitStack() as stack:
        only_listed = False
        if spec["kind"] == "folder":
            _add_folder(contents, Path(spec["path"]))
        elif spec["kind"] == "file":
            only_listed = _add_file(contents, Path(spec["path"]), stack)
        else:
            if spec["kind"] == "url":
                _fetch_upload(spec["token"], spec["url"], check)
            _add_upload(contents, uploads.upload_folder(spec["token"]), stack)
        apply_listings(contents, only_listed=only_listed)
        yield contents


def _add_folder(contents: Contents, root: Path) -> None:
    root = root.resolve()
    if not root.is_dir():
        raise Invalid(f"The folder {tidy_name(str(root))} is not there any more.", field="folder")
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            found = sorted(os.scandir(folder), key=lambda each: natural(each.name))
        except OSError as error:
            name = folder.relative_to(root).as_posix()
            contents.refuse(name, f"The folder cannot be read ({error.strerror}).")
            continue
        seen = [each for each in found if not _is_hidden(each.name)]
        folders = [each for each in seen if each.is_dir(follow_symlinks=False)]
        for each in seen:
            if each not in folders:
                add = partial(_add_path, contents, root)
                done = attempt(add, Path(each.path), lambda path: path.relative_to(root).as_posix())
                if isinstance(done, Failed):
                    contents.refuse(done.name, done.reason)
        waiting.extend(Path(each.path) for each in reversed(folders))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in NEVER


def _add_path(contents: Contents, root: Path, path: Path) -> None:
    name = path.relative_to(root).as_posix()
    try:
        if path.is_symlink() and not path.resolve(strict=True).is_relative_to(root):
            contents.refuse(name, "It is a link that leads outside the folder.")
            return
        found = path.stat()
    except (OSError, RuntimeError) as error:
        contents.refuse(name, f"It cannot be read ({type(error).__name__}).")
        return
    if not stat.S_ISREG(found.st_mode):
        contents.refuse(name, "It is a link to a folder or a special file, not an image.")
    else:
        _sort_in(contents, name, partial(_read_path, path), found.st_size)


Read = Callable[[int], bytes]
"""Reads a file up to a limit of bytes. Raises ImageRefused."""


def _sort_in(contents: Contents, name: str, read: Read, size: int | None) -> None:
    """Put a file where its name says it belongs: lists, texts of pictures, things beside, pictures."""
    lower = name.lower()
    if lower.endswith(LISTINGS):
        _add_listing(contents, name, partial(read, MAX_BYTES))
    elif lower.endswith(TEXTS):
        contents.texts[name] = partial(read, companions.MAX_BYTES)
    elif lower.endswith(BESIDE):
        contents.note(name, "A file for people or programs; it was not read.")
    else:
        entry = Entry(name, partial(read, image_limit()), size)
        contents.entries[_free(contents, name)] = entry


def _read_path(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise ImageRefused(f"The file cannot be read ({error.strerror}).") from error


def _add_listing(contents: Contents, name: str, read: Callable[[], bytes]) -> None:
    as_json = name.lower().endswith(JSON_LINES)
    found = attempt(lambda each: read_listing(each(), lines_of_json=as_json), read, lambda _: name)
    if isinstance(found, Failed):
        contents.refuse(name, found.reason)
    else:
        contents.listings[name] = found


def _add_zip(contents: Contents, path: Path, stack: ExitStack, prefix: str) -> None:
    archive = stack.enter_context(archives.open_archive(path))
    if not archives.are_certain(archive.infolist()):
        contents.note(
            path.name if not prefix else prefix.removesuffix("/"),
            "The encoding of its file names cannot be told; they are spelt out byte by byte. "
            "Make the archive with names in UTF-8.",
        )
    for name, info in archives.entries(archive):
        done = attempt(partial(_add_entry, contents, archive, prefix), (name, info), str)
        if isinstance(done, Failed):
            contents.refuse(prefix + name, done.reason)


def _add_entry(
    contents: Contents,
    archive: zipfile.ZipFile,
    prefix: str,
    entry: tuple[str, zipfile.ZipInfo],
) -> None:
    name, info = entry
    parts = PurePosixPath(name).parts
    if any(_is_hidden(part) and part not in (".", "..") for part in parts):
        return
    problem = archives.problem_of(name, info)
    if problem:
        contents.refuse(prefix + (name or "a file without a name"), problem)
    else:
        _sort_in(contents, prefix + name, partial(_read_zip, archive, info), info.file_size)


def _read_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    return archives.read_entry(archive, info, limit_bytes=limit)


def _free(contents: Contents, path: str) -> str:
    # Archives and uploads may hold one name twice; both files are looked at.
    return path if path not in contents.entries else f"{path}\0{len(contents.entries)}"


def _add_named(
    contents: Contents, path: Path, name: str, stack: ExitStack, *, prefix: str = ""
) -> None:
    if not name.lower().endswith(".zip"):
        _sort_in(contents, name, partial(_read_path, path), path.stat().st_size)
        return
    try:
        _add_zip(contents, path, stack, prefix)
    except archives.ArchiveRefused as error:
        with path.open("rb") as file:
            found = foreign_files.describe(file.read(4096))
        what, hint = found or ("a ZIP archive", "")
        is_other = "ZIP" not in what
        contents.refuse(
            name,
            f"This is not a ZIP archive but {what}. {hint}".strip() if is_other else error.reason,
        )


def _add_file(contents: Contents, path: Path, stack: ExitStack) -> bool:
    """One file of the command line; for a CSV, the files beside it. Returns whether it is a CSV."""
    if not path.is_file():
        raise Invalid(f"The file {tidy_name(str(path))} is not there any more.", field="file")
    is_listing = path.name.lower().endswith(LISTINGS)
    if is_listing:
        _add_folder(contents, path.parent)
        for each in (contents.listings, contents.refusals, contents.texts, contents.notes):
            each.clear()
    _add_named(contents, path, path.name, stack)
    return is_listing


def _add_upload(contents: Contents, folder: Path, stack: ExitStack) -> None:
    names = uploads.read_names(folder)
    if names is None:
        raise Invalid(
            "The uploaded files are gone.", field="files", hint="Please upload them again."
        )
    for number, name in enumerate(names):
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if len(names) > 1 and any(_is_hidden(part) and part not in (".", "..") for part in parts):
            continue
        prefix = f"{name}/" if len(names) > 1 else ""
        add = partial(_add_named, contents, folder / str(number), stack=stack, prefix=prefix)
        done = attempt(lambda each: add(name=each), name, str)  # noqa: B023 - called at once
        if isinstance(done, Failed):
            contents.refuse(name, done.reason)


def _fetch_upload(token: str, url: str, check: Callable[[], None]) -> None:
    folder = uploads.make_upload_folder(token)
    if uploads.read_names(folder) is not None:
        return
    limit = settings().max_upload_mb * 1024 * 1024
    try:
        last = fetching.fetch_to(url, folder / "0", limit_bytes=limit, check=check)
    except fetching.NotFetched as error:
        raise Invalid(f"The address could not be fetched. {error.reason}", field="url") from error
    uploads.write_names(folder, [_name_by_content(last, folder / "0")])


def _name_by_content(url: str, path: Path) -> str:
    # Addresses end as they like, so here alone the bytes decide what the file is read as.
    name = url_name(url)
    stem = name.removesuffix(PurePosixPath(name).suffix) or name
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith((b"PK\3\4", b"PK\5\6")):
        return f"{stem}.zip"
    if start.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF")):
        return f"{name}.image" if name.lower().endswith((".zip", *LISTINGS)) else name
    return name if name.lower().endswith(LISTINGS) else f"{name}.csv"
