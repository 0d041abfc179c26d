"""Images and imports as JSON."""

from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.errors import Invalid
from app.images import finding, storage, uploads
from app.images.access import (
    ASK_AGAIN,
    PICTURE_HEADERS,
    Cursor,
    FileTag,
    JsonOrFiles,
    KnownTag,
    NarrowingParts,
    PathKey,
    ProjectImage,
    TileNumber,
    UploadedList,
    picture,
    received_picture,
    tile,
)
from app.images.changes import find_image_changes
from app.images.correcting import correct_image
from app.images.importing import start_import
from app.images.knowing import Wishes
from app.images.models import Image
from app.images.narrowing import read_narrowing
from app.images.relisting import apply_list, plan_list
from app.images.removing import replace_file, set_aside, take_back
from app.images.replacing import replace_with_file
from app.images.schemas import (
    AsideIn,
    ImageChangeOut,
    ImageChangesOut,
    ImageOut,
    ImagePage,
    ImagePatch,
    ImportIn,
    ImportOut,
    ImportPage,
    ImportWithProblems,
    PlanOut,
    ProblemOut,
    ReplacementIn,
    TilesOut,
)
from app.images.sources import Source, folder_source, url_source, with_wishes
from app.images.tiling import ask_for_tiles
from app.labels.access import Viewer, Viewing
from app.labels.showing import note_told
from app.projects.access import AnnotatorProject, LeadProject
from app.settings import settings
from app.web.dependencies import Db
from app.web.describing import UNCHANGED, Responses

router = APIRouter(prefix="/api/v1/projects/{project}/images", tags=["images"])
Limit = Annotated[int, Query(ge=1, le=500)]
# One address takes both kinds of body, which the generated description cannot tell by itself.
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": ImportIn.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "replace": {"type": "boolean"},
                        "include_erased": {"type": "boolean"},
                    },
                }
            },
        },
    }
}
REPLACEMENT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": ReplacementIn.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
Shape = TypeVar("Shape", bound=BaseModel)


@router.get("", response_model=ImagePage)
def api_list_images(
    project: AnnotatorProject,
    db: Db,
    viewer: Viewing,
    parts: NarrowingParts,
    person: CurrentPerson,
    *,
    show: Literal[
        "all", "undone", "new", "done", "proposed", "unsure", "contradictory", "aside"
    ] = "all",
    q: Annotated[str, Query(max_length=200)] = "",
    after: Cursor = None,
    limit: Limit = 60,
) -> ImagePage:
    """Images in the order of their import; with `q` those found by words of name, metadata or prompt,
    best first (where over 1,000 are found, in the order of their import).

    `key`, `polarity`, `state`, `source`, `by` (a person), `run`, `least` and `most` (confidence) ask for a label that images
    have; the first of each belong together, then the second, up to three, an empty one asks nothing.
    `field` and `value` ask for what the metadata says, such as painter and Rembrandt, in whatever letters; up to three, too.
    `contradictory=yes` asks for images with labels that cannot all hold, `no` for those without. `dataset` (the number of
    one, `any` or `none`) and `split` (`train`, `validation`, `test`) ask for what datasets hold.
    """
    finding.check_filter(show, suggestions=viewer.suggestions)
    narrowing = read_narrowing(parts, suggestions=viewer.suggestions)
    page = finding.find_images(
        db, project, after=after, limit=limit, show=show, text=q, narrowing=narrowing
    )
    if narrowing.tells_of_agents:
        note_told(db, [each.id for each in page.images], person)
    counts = finding.count_labels(
        db, page.images, suggestions=viewer.suggestions, viewer_id=viewer.person_id
    )
    items = [ImageOut.of(image, counts[image.id]) for image in page.images]
    return ImagePage(items=items, next=page.after)


@router.get("/imports", response_model=ImportPage)
def api_list_imports(
    project: LeadProject, db: Db, before: Cursor = None, limit: Limit = 60
) -> ImportPage:
    """Imports, newest first."""
    found = finding.find_imports(db, project, before=before, limit=limit + 1)
    rows = found[:limit]
    return ImportPage(
        items=[ImportOut.of(row, job) for row, job in rows],
        next=rows[-1][0].id if len(found) > limit else None,
    )


@router.post("/imports", status_code=202, response_model=ImportOut, openapi_extra=BODY)
def api_start_import(
    project: LeadProject, db: Db, person: CurrentPerson, body: JsonOrFiles
) -> ImportOut:
    """Import uploaded files (multipart: images, a ZIP, a CSV), or JSON with a `url` or a `folder`."""
    source = body if isinstance(body, Source) else _source_of(body)
    row, job = start_import(db, project, source, by=person)
    return ImportOut.of(row, job)


def _parsed(body: bytes, shape: type[Shape]) -> Shape:
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise Invalid(f"{where}: {first['msg']}", field=where) from error


def _source_of(body: bytes) -> Source:
    asked = _parsed(body, ImportIn)
    if (asked.url is None) == (asked.folder is None):
        raise Invalid("Give either `url` or `folder`.", field="url")
    wishes = Wishes(replace=asked.replace, include_erased=asked.include_erased)
    if asked.folder is not None:
        return with_wishes(folder_source(asked.folder, within=settings().import_folders), wishes)
    return with_wishes(url_source(asked.url or ""), wishes)


@router.get("/imports/{import_id}", response_model=ImportWithProblems)
def api_get_import(
    project: LeadProject, import_id: PathKey, db: Db, after: Cursor = None, limit: Limit = 100
) -> ImportWithProblems:
    """An import with the files that it did not add."""
    row, job = finding.get_import(db, project, import_id)
    found = finding.find_problems(db, import_id, after=after or 0, limit=limit + 1)
    return ImportWithProblems(
        **ImportOut.of(row, job).model_dump(),
        problems=[ProblemOut.of(each) for each in found[:limit]],
        next=found[limit - 1].id if len(found) > limit else None,
    )


@router.post("/captions", response_model=PlanOut)
def api_take_list(
    project: LeadProject,
    sent: UploadedList,
    db: Db,
    person: CurrentPerson,
    digest: Annotated[str, Query(max_length=64)] = "",
) -> PlanOut:
    """What a list (multipart: one CSV or JSON Lines file) changes of prompts and metadata, by names.

    Nothing is changed without a `digest`. With that of the plan that was answered before, the same list
    is taken over, all or nothing; 412 where images were changed since.
    """
    uploads.discard_upload(sent.token)
    if not digest:
        return PlanOut.of(plan_list(db, project, sent.data, name=sent.name), is_applied=False)
    plan = apply_list(db, project, sent.data, name=sent.name, digest=digest, by=person)
    return PlanOut.of(plan, is_applied=True)


@router.get("/changes", response_model=ImageChangesOut)
def api_list_changes_of_images(
    project: AnnotatorProject, db: Db, before: Cursor = None, limit: Limit = 60
) -> ImageChangesOut:
    """What happened to images, newest first: corrected, set aside, taken back, replaced, erased."""
    found, following = find_image_changes(db, project, before=before, limit=limit)
    return ImageChangesOut(items=[ImageChangeOut.of(each) for each in found], next=following)


def _out(db: Db, image: Image, viewer: Viewer) -> ImageOut:
    counts = finding.count_labels(
        db, [image], suggestions=viewer.suggestions, viewer_id=viewer.person_id
    )
    return ImageOut.of(image, counts[image.id])


@router.get("/{image_id:int}", response_model=ImageOut)
def api_get_image(image: ProjectImage, db: Db, viewer: Viewing) -> ImageOut:
    """One image; 404 says of one that was erased who did it and when."""
    return _out(db, image, viewer)


@router.patch("/{image_id:int}", response_model=ImageOut)
def api_correct_image(
    project: AnnotatorProject,
    image_id: PathKey,
    body: ImagePatch,
    db: Db,
    person: CurrentPerson,
    viewer: Viewing,
) -> ImageOut:
    """Correct the prompt or metadata of an image, all or none; a null value removes a key.

    412 where someone changed the same since `based_on`: `theirs` and `yours` hold both values.
    """
    image = correct_image(
        db,
        project,
        image_id,
        based_on=body.based_on,
        prompt=body.prompt,
        details=body.details,
        by=person,
    )
    return _out(db, image, viewer)


@router.get("/{image_id:int}/changes", response_model=ImageChangesOut)
def api_list_image_changes(
    project: AnnotatorProject, image: ProjectImage, db: Db, before: Cursor = None, limit: Limit = 60
) -> ImageChangesOut:
    """What happened to one image, newest first."""
    found, following = find_image_changes(db, project, image=image, before=before, limit=limit)
    return ImageChangesOut(items=[ImageChangeOut.of(each) for each in found], next=following)


@router.post("/{image_id:int}/aside", response_model=ImageOut)
def api_set_aside(
    project: AnnotatorProject,
    image_id: PathKey,
    body: AsideIn,
    db: Db,
    person: CurrentPerson,
    viewer: Viewing,
) -> ImageOut:
    """Leave an image out of the queue, of agent runs, new audits, datasets and counts, until taken back."""
    return _out(db, set_aside(db, project, image_id, reason=body.reason, by=person), viewer)


@router.delete("/{image_id:int}/aside", response_model=ImageOut)
def api_take_back(
    project: AnnotatorProject, image_id: PathKey, db: Db, person: CurrentPerson, viewer: Viewing
) -> ImageOut:
    """Take an image that was set aside back in."""
    return _out(db, take_back(db, project, image_id, by=person), viewer)


@router.post("/{image_id:int}/replacement", response_model=ImageOut, openapi_extra=REPLACEMENT_BODY)
def api_replace_image(
    project: LeadProject,
    image_id: PathKey,
    body: JsonOrFiles,
    db: Db,
    person: CurrentPerson,
    viewer: Viewing,
) -> ImageOut:
    """Give an image another file and keep its labels; it is open again.

    Either an uploaded picture (multipart), whose project must not have it yet, or JSON with the number of
    an `image` without labels. That one, or a new one, keeps the earlier file, set aside.
    """
    if isinstance(body, Source):
        name, data = received_picture(body)
        image = replace_with_file(db, project, image_id, name=name, data=data, by=person)
    else:
        with_id = _parsed(body, ReplacementIn).image
        image = replace_file(db, project, image_id, with_id=with_id, by=person)
    return _out(db, image, viewer)


WEBP: Responses = {200: {"content": {"image/webp": {}}}, **UNCHANGED}
JPEG: Responses = {200: {"content": {"image/jpeg": {}}}, **UNCHANGED}
ANY: Responses = {200: {"content": {each: {} for each in storage.FORMAT_TYPES.values()}}}


@router.get("/{image_id:int}/thumb", response_class=Response, responses=WEBP)
def api_get_thumb(image: ProjectImage, known: KnownTag = None, v: FileTag = "") -> Response:
    """The image with a long side of at most 400 pixels (WebP)."""
    return picture(image, "thumb", known, v)


@router.get("/{image_id:int}/display", response_class=Response, responses=JPEG)
def api_get_display(image: ProjectImage, known: KnownTag = None, v: FileTag = "") -> Response:
    """The image with a long side of at most 2048 pixels (JPEG, sRGB)."""
    return picture(image, "display", known, v)


@router.get("/{image_id:int}/tiles")
def api_get_tiles(
    project: AnnotatorProject, image: ProjectImage, db: Db, request: Request
) -> TilesOut:
    """How the tiles of a large image lie, in which it can be seen in full.

    Where they are missing, as of images from before there were tiles, a worker cuts them.
    """
    here = request.app.url_path_for("api_get_tiles", project=project.slug, image_id=image.id)
    address = f"{here}/{{level}}/{{column}}/{{row}}?v={image.sha256[:12]}"
    return TilesOut.of(ask_for_tiles(db, project, image), address)


@router.get("/{image_id:int}/tiles/{level}/{column}/{row}", response_class=Response, responses=JPEG)
def api_get_tile(
    image: ProjectImage,
    level: TileNumber,
    column: TileNumber,
    row: TileNumber,
    known: KnownTag = None,
    v: FileTag = "",
) -> Response:
    """One tile (JPEG, sRGB) of 512 by 512 pixels, less at the right and lower edge."""
    return tile(image, (level, column, row), known, v)


@router.get("/{image_id:int}/original", response_class=Response, responses=ANY)
def api_get_original(project: LeadProject, image: ProjectImage) -> Response:
    """The file as it came in, to be saved. For leads only: it may hold a camera's position."""
    del project
    name = f"{image.sha256[:16]}.{storage.ENDINGS[image.format]}"
    return Response(
        storage.get_original(image.sha256),
        media_type=storage.FORMAT_TYPES[image.format],
        headers=PICTURE_HEADERS
        | ASK_AGAIN
        | {"Content-Disposition": f'attachment; filename="{name}"'},
    )
