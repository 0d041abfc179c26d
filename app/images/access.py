"""Loads images and their bytes, and takes in uploads only after the right to them is known."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.database import LARGEST_KEY, let_go
from app.errors import Conflict, Invalid, TooLarge
from app.images import finding, image_files, storage, tiles, uploads
from app.images.knowing import Wishes
from app.images.listings import MAX_BYTES
from app.images.models import Image
from app.images.multipart import Receiver, too_large
from app.images.narrowing import MOST_WISHES
from app.images.replacing import read_picture
from app.images.sources import Source, upload_source, with_wishes
from app.projects.access import AnnotatorProject, LeadProject
from app.settings import settings
from app.web.bodies import declared_bytes
from app.web.dependencies import Db, streams

Parts = Annotated[list[str] | None, Query(max_length=MOST_WISHES)]


async def narrowing_parts(
    key: Parts = None,
    polarity: Parts = None,
    state: Parts = None,
    source: Parts = None,
    by: Parts = None,
    run: Parts = None,
    least: Parts = None,
    most: Parts = None,
    field: Parts = None,
    value: Parts = None,
    since: str = "",
    until: str = "",
    contradictory: str = "",
    dataset: str = "",
    split: str = "",
) -> dict[str, Sequence[str]]:
    """Policy: none. Labels that images are to have: attribute pair or dimension (`key`), `polarity`, `state`,
    `source`, person who decided (`by`), agent `run`, `least` and `most` confidence. The first of each belong
    together, then the second, where an empty one asks nothing. `value` is what a `field` of the metadata says. `since`
    and `until` are days of the import. `contradictory` is `yes` or `no`, `dataset` the number of
    one, `any` or `none`, `split` one of it.
    """
    parts = (key, polarity, state, source, by, run, least, most, field, value)
    names = ("key", "polarity", "state", "source", "by", "run", "least", "most", "field", "value")
    given: dict[str, Sequence[str]] = {
        name: part for name, part in zip(names, parts, strict=True) if part
    }
    return given | {
        "since": [since],
        "until": [until],
        "contradictory": [contradictory],
        "dataset": [dataset],
        "split": [split],
    }


NarrowingParts = Annotated[dict[str, Sequence[str]], Depends(narrowing_parts)]
Cursor = Annotated[int | None, Query(ge=0, le=LARGEST_KEY)]
PathKey = Annotated[int, Path(ge=1, le=LARGEST_KEY)]
TileNumber = Annotated[int, Path(ge=0, le=1_000_000)]


def image_of_project(project: AnnotatorProject, image_id: PathKey, db: Db) -> Image:
    """Policy: members of the project; the image in the path."""
    return finding.get_image(db, project, image_id)


ProjectImage = Annotated[Image, Depends(image_of_project)]


# Nothing in the bytes of an image may ever run.
PICTURE_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
# The bytes of an image change when its file is replaced, and have to go when it is erased: browsers ask
# each time, and get 304. Where the address names the file they may keep it for a week.
ASK_AGAIN = {"Cache-Control": "private, no-cache"}
KEEP_A_WEEK = {"Cache-Control": "private, max-age=604800, immutable"}
# What participants are shown never changes under its address; only their own browsers may keep it.
KEEP_A_DAY = {"Cache-Control": "private, max-age=86400, immutable"}
# What the browser of whoever erases an image has kept of it goes at once.
FORGET_PICTURES = {"Clear-Site-Data": '"cache"'}
KnownTag = Annotated[str | None, Header(alias="If-None-Match")]


FileTag = Annotated[str, Query(alias="v", max_length=64, pattern="^[0-9a-f]*$")]


def picture(image: Image, kind: str, known: str | None, tag: str = "") -> Response:
    """The `thumb` or `display` of an image, or 304 where the browser has it. `tag` is the beginning of
    the hash of the file that the address was made for, or nothing.
    """
    return _answer(
        image,
        kind,
        known,
        tag,
        lambda: image_files.read_shown(kind, image.sha256),
        storage.TYPES[kind],
    )


def tile(image: Image, place: tuple[int, int, int], known: str | None, tag: str) -> Response:
    """The tile at a place (level, column, row), or 304 where the browser has it; `tag` as above."""
    level, column, row = place
    size = (image.width, image.height)
    return _answer(
        image,
        f"tile-{level}-{column}-{row}",
        known,
        tag,
        lambda: tiles.read_tile(image.sha256, size, level=level, column=column, row=row),
        "image/jpeg",
    )


def _answer(
    image: Image, name: str, known: str | None, tag: str, read: Callable[[], bytes], media_type: str
) -> Response:
    kept = KEEP_A_WEEK if len(tag) >= 8 and image.sha256.startswith(tag) else ASK_AGAIN
    headers = PICTURE_HEADERS | kept | {"ETag": f'"{name}-{image.sha256[:32]}"'}
    if known is not None and headers["ETag"] in known:
        return Response(status_code=304, headers=headers)
    return Response(read(), media_type=media_type, headers=headers)


@streams
async def uploaded_files(request: Request, project: LeadProject, db: Db) -> AsyncIterator[Source]:
    """Policy: leads of the project; the files of a multipart body, streamed to the upload folder.

    They are removed again where the request fails after all.
    """
    del project  # asked for so that nobody else can fill the disk
    limit = settings().max_upload_mb * 1024 * 1024
    declared = declared_bytes(request.headers) or 0
    if declared > limit:
        raise too_large(limit)
    await run_in_threadpool(uploads.refuse_without_room, declared)
    token = uploads.new_token()
    try:
        names, wishes = await _receive(request, db, token, limit)
        yield with_wishes(upload_source(token, names), Wishes(**wishes))
    except BaseException:
        await run_in_threadpool(uploads.discard_upload, token)
        raise


Token = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
PartNumber = Annotated[int, Path(ge=0, lt=100_000)]


@streams
async def uploaded_part(
    request: Request, project: LeadProject, token: Token, number: PartNumber, db: Db
) -> None:
    """Policy: leads of the project; one part of an upload, whose token the browser made.

    Sent again it replaces what came before, so that a part that broke off costs only itself.
    """
    del project
    if uploads.read_names(uploads.upload_folder(token)) is not None:
        raise Conflict("This upload has been imported already.")
    folder = await run_in_threadpool(uploads.make_part, token, number)
    await _receive_into(request, db, folder, await run_in_threadpool(_room_in, token))
    await run_in_threadpool(uploads.keep_part, token, number)


def _room_in(token: str) -> int:
    limit = settings().max_upload_mb * 1024 * 1024
    return max(0, limit - uploads.bytes_of(token))


UploadedPart = Depends(uploaded_part, scope="function")


async def _receive(
    request: Request, db: Session, token: str, limit: int
) -> tuple[list[str], dict[str, bool]]:
    folder = await run_in_threadpool(uploads.make_upload_folder, token)
    return await _receive_into(request, db, folder, limit)


async def _receive_into(
    request: Request, db: Session, folder: FilePath, limit: int
) -> tuple[list[str], dict[str, bool]]:
    receiver = Receiver(folder, request.headers.get("content-type", ""), limit_bytes=limit)
    # An upload takes minutes, and meanwhile others need the connection and the turn.
    await run_in_threadpool(let_go, db)
    try:
        async with request.state.turn.aside():
            async for chunk in request.stream():
                # Disk writes would hold up every other request of this process.
                await run_in_threadpool(receiver.feed, chunk)
        return await run_in_threadpool(receiver.finish), receiver.wishes
    finally:
        receiver.close()


UploadedFiles = Annotated[Source, Depends(uploaded_files, scope="function")]


@streams
async def json_or_files(
    request: Request, project: LeadProject, db: Db
) -> AsyncIterator[Source | bytes]:
    """Policy: leads of the project; a JSON body as bytes, or uploaded files as a source."""
    if request.headers.get("content-type", "").startswith("application/json"):
        body = b""
        await run_in_threadpool(let_go, db)
        async with request.state.turn.aside():
            async for chunk in request.stream():
                body += chunk
                if len(body) > 64 * 1024:
                    raise TooLarge("The JSON body is too large.", field="body")
        yield body
        return
    async for source in uploaded_files(request, project, db):
        yield source


JsonOrFiles = Annotated[Source | bytes, Depends(json_or_files, scope="function")]


@dataclass(frozen=True)
class SentList:
    """A list that was sent: its name, its bytes, and where it is kept for when it is applied."""

    token: str
    name: str
    data: bytes


def kept_list(token: str) -> SentList:
    """A list that was sent before. Raises Invalid where it is gone."""
    folder = uploads.upload_folder(token)
    names = uploads.read_names(folder)
    if not names:
        raise Invalid("The list is gone; please send it again.", field="files")
    if len(names) > 1:
        raise Invalid("Please send one list at a time.", field="files")
    with (folder / "0").open("rb") as file:
        return SentList(token, names[0], file.read(MAX_BYTES + 1))


def list_of_project(source: UploadedFiles) -> SentList:
    """Policy: leads of the project; one uploaded list."""
    return kept_list(source.spec["token"])


UploadedList = Annotated[SentList, Depends(list_of_project, scope="function")]


def received_picture(source: Source) -> tuple[str, bytes]:
    """The name and the bytes of the one picture of an upload, which is kept no longer. Raises Invalid
    where it is not one.
    """
    token = source.spec["token"]
    folder = uploads.upload_folder(token)
    names = uploads.read_names(folder) or []
    if len(names) != 1:
        raise Invalid("Please send one picture.", field="files")
    data = read_picture(folder / "0")
    uploads.discard_upload(token)
    return names[0], data
