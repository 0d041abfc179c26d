"""The bytes of images behind one small interface: a local folder, or any S3-compatible store.

Every key is made here from a SHA-256; no file name of a person ever becomes part of a path.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from app.errors import Invalid, NotFound, Unavailable, disk_full, is_disk_full
from app.settings import settings
from method.files import sync

KINDS = {
    "original": "originals/{}/{}",
    "display": "display/{}/{}.jpg",
    "thumb": "thumbs/{}/{}.webp",
    "tiles": "tiles/{}/{}.tiles",
    "measures": "measures/{}/{}.json",
}
TYPES = {"display": "image/jpeg", "thumb": "image/webp"}
FORMAT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}


def key_of(kind: str, sha256: str) -> str:
    """Where the bytes of one kind (a key of `KINDS`) of an image lie."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError("a key is made from a SHA-256 in lower-case hexadecimal")
    return KINDS[kind].format(sha256[:2], sha256)


def open_store(url: str | None, options: dict[str, str], folder: Path) -> ObjectStore:
    """The store of these settings. Raises Invalid for an address it does not know."""
    if url is None:
        return LocalStore(prefix=folder, mkdir=True)
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(prefix=Path(unquote(parts.path)), mkdir=True)
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme == "s3":
        return _open_s3(url, options)
    raise Invalid(
        "MORELLI_STORAGE_URL has an address that is not understood.",
        field="MORELLI_STORAGE_URL",
        hint="Use s3://bucket/prefix or file:///folder, or leave it unset.",
    )


def _open_s3(url: str, options: dict[str, str]) -> ObjectStore:
    rest = {name: value for name, value in options.items() if name != "allow_http"}
    # Plain http is refused unless asked for, which a MinIO in the same network needs.
    plain = options.get("allow_http", "").lower() in ("1", "true", "yes")
    try:
        made: ObjectStore = S3Store.from_url(
            url,
            config=rest,  # type: ignore[arg-type]
            client_options={"allow_http": plain},
        )
    except (BaseError, ValueError) as error:
        # The first line names the option; the rest could repeat values.
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Invalid(
            f"The image storage cannot be opened. {said}",
            field="MORELLI_STORAGE_URL",
            hint="Check MORELLI_STORAGE_URL and MORELLI_STORAGE_OPTIONS.",
        ) from error
    return made


@lru_cache
def _store() -> ObjectStore:
    return open_store(
        settings().storage_url, settings().storage_options, settings().home / "images"
    )


def forget_store() -> None:
    """Open the store anew at the next use, after the settings have changed."""
    _store.cache_clear()


def put(key: str, data: bytes) -> None:
    """Keep bytes under a key. Whoever reads sees the whole object or none (temporary name, rename).

    Raises Unavailable where the store does not answer, DiskFull where it is full, Invalid where a folder
    stands in the file's place.
    """
    store = _store()
    try:
        obstore.put(store, key, data)
        if isinstance(store, LocalStore):
            _make_durable(Path(str(store.prefix)) / key)
    except (BaseError, OSError) as error:
        if is_disk_full(error):
            raise disk_full("The image") from error
        if isinstance(store, LocalStore) and (Path(str(store.prefix)) / key).is_dir():
            raise Invalid(
                "A folder stands in the storage where a file of this image belongs.",
                field="image",
                hint="Move the folder away.",
            ) from error
        raise _unavailable("kept") from error


def _make_durable(path: Path) -> None:
    # The store renames but does not fsync: after a power cut a committed row could name an empty file.
    for each in (path, path.parent):
        sync(each)


def get(key: str) -> bytes:
    """The bytes under a key. Raises NotFound or Unavailable."""
    try:
        return bytes(obstore.get(_store(), key).bytes())
    except FileNotFoundError as error:
        raise NotFound(
            "The bytes of this image are not in the storage.",
            hint="Restore the storage folder from a backup, or import the image again.",
        ) from error
    except (BaseError, OSError) as error:
        raise _unavailable("read") from error


def get_part(key: str, start: int, length: int) -> bytes:
    """So many of the bytes under a key, from `start` on. Raises NotFound, also where they are not all there, or
    Unavailable.
    """
    try:
        part = bytes(obstore.get_range(_store(), key, start=start, length=length))
    except FileNotFoundError:
        part = b""
    except (BaseError, OSError) as error:
        raise _unavailable("read") from error
    if len(part) != length:
        raise NotFound("These bytes of the image are not in the storage.")
    return part


def get_made(kind: str, sha256: str) -> bytes:
    """What was made of an image (`display`, `thumb`). Raises NotFound where it is missing or cut, as a file
    is after a full disk or a power cut: it can be made anew then.
    """
    data = get(key_of(kind, sha256))
    if kind == "display":
        is_whole = data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9")
    else:
        is_whole = data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 == len(data)
    if not is_whole:
        raise NotFound("The bytes of this image are not whole in the storage.")
    return data


def size(key: str) -> int | None:
    """Number of bytes under a key; None where there is nothing."""
    try:
        return int(obstore.head(_store(), key)["size"])
    except FileNotFoundError:
        return None
    except (BaseError, OSError) as error:
        raise _unavailable("read") from error


def exists(key: str) -> bool:
    """Whether something is kept under a key."""
    return size(key) is not None


def remove(sha256: str) -> None:
    """Remove an image's file and all that was made of it; what is not there is removed already.

    Raises Unavailable where the store does not answer.
    """
    for kind in KINDS:
        try:
            obstore.delete(_store(), key_of(kind, sha256))
        except FileNotFoundError:
            continue
        except (BaseError, OSError) as error:
            raise _unavailable("removed") from error


def get_original(sha256: str) -> bytes:
    """The file as it came in, checked against its hash. Raises NotFound, or Invalid where it is damaged."""
    data = get(key_of("original", sha256))
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Invalid(
            f"The stored file {sha256[:12]}… no longer matches its hash: it was damaged on the disk.",
            field="image",
            hint="Restore it from a backup.",
        )
    return data


def _unavailable(verb: str) -> Unavailable:
    # The store's own message can hold endpoints and request ids, so it goes no further than the log.
    return Unavailable(
        f"The image storage did not answer; nothing was {verb}.",
        hint="Check MORELLI_STORAGE_URL, its options, and free disk space.",
    )
