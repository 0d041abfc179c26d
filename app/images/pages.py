"""The wall of images, the import page, and the bytes that both show."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.accounts.models import Person
from app.criteria.reading import current_version, version_criteria
from app.database import after_commit
from app.errors import AppError, Conflict, Invalid, Stale
from app.images import finding, uploads
from app.images.access import (
    Cursor,
    FileTag,
    KnownTag,
    NarrowingParts,
    PartNumber,
    PathKey,
    ProjectImage,
    SentList,
    Token,
    UploadedFiles,
    UploadedList,
    UploadedPart,
    kept_list,
    picture,
    received_picture,
)
from app.images.changes import find_image_changes
from app.images.correcting import USUAL, as_text, correct_image, metadata_of
from app.images.counting import count_kinds
from app.images.forms import AsideForm, DescriptionForm, ImportForm, ListForm
from app.images.importing import start_import
from app.images.knowing import Wishes
from app.images.measuring import find_drawing, names_of
from app.images.models import Image, ImageImport
from app.images.narrowing import read_narrowing
from app.images.relisting import apply_list, plan_list
from app.images.removing import set_aside, take_back
from app.images.replacing import replace_with_file
from app.images.sources import Source, folder_source, upload_source, url_source, with_wishes
from app.images.uploads import join_parts
from app.images.wall import count_facets, find_choices
from app.jobs.models import OPEN_STATES, Job
from app.labels.access import Viewing, refuse_hidden
from app.labels.showing import note_told
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.settings import settings
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from taxonomy.shipped import painting_criteria

router = APIRouter(include_in_schema=False)
IMAGES = "/projects/{project}/images"
PROBLEMS = 100
IMPORTS = 10


@router.get(IMAGES)
def show_images(
    project: AnnotatorProject,
    db: Db,
    answer: Answering,
    viewer: Viewing,
    parts: NarrowingParts,
    person: CurrentPerson,
    *,
    show: str = "all",
    q: Annotated[str, Query(max_length=200)] = "",
    more: bool = False,
    choose: bool = False,
    after: Cursor = None,
    before: Cursor = None,
) -> Response:
    """The wall: a page of images with their label counts. `more` opens what it can be narrowed down by, `choose` lets
    images be chosen one by one.
    """
    finding.check_filter(show, suggestions=viewer.suggestions)
    narrowing = read_narrowing(parts, suggestions=viewer.suggestions)
    asked: dict[str, Any] = {"show": show, "text": q, "narrowing": narrowing}
    page = finding.find_images(db, project, after=after, before=before, **asked)
    if not page.images and (after or before):
        page = finding.find_images(db, project, **asked)
    if narrowing.tells_of_agents:
        note_told(db, [each.id for each in page.images], person)
    is_open = more or bool(narrowing)
    return answer.show(
        "images/wall.html",
        fragment="images/_wall.html",
        found=page,
        counts=finding.count_labels(
            db, page.images, suggestions=viewer.suggestions, viewer_id=viewer.person_id
        ),
        # Counting what is not kept takes longer than the page, which asks for it once it is there.
        total=None if narrowing else finding.count_images(db, project, show=show, text=q),
        kinds=count_kinds(db, project),
        filters=finding.filters(suggestions=viewer.suggestions),
        show=show,
        q=q,
        narrowing=narrowing,
        choices=find_choices(db, project, narrowing, suggestions=viewer.suggestions)
        if is_open
        else None,
        facets=count_facets(db, project, narrowing, suggestions=viewer.suggestions),
        suggestions=viewer.suggestions,
        choose=choose,
    )


@router.get(IMAGES + "/count")
def show_image_count(
    project: AnnotatorProject,
    db: Db,
    answer: Answering,
    viewer: Viewing,
    parts: NarrowingParts,
    show: str = "all",
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """How many images a filter finds, for a wall that is there already."""
    finding.check_filter(show, suggestions=viewer.suggestions)
    narrowing = read_narrowing(parts, suggestions=viewer.suggestions)
    total = finding.count_images(db, project, show=show, text=q, narrowing=narrowing)
    return answer.show("images/_count.html", total=total, is_found=True)


def _start(
    db: Db, project: Project, source: Source, person: CurrentPerson, answer: Answer
) -> Response:
    row, _ = start_import(db, project, source, by=person)
    return answer.done(go_to=answer.path("show_import", project=project.slug, import_id=row.id))


def _is_live(imports: list[tuple[ImageImport, Job | None]]) -> bool:
    return any(job is not None and job.state in OPEN_STATES for _, job in imports)


def _show_form(
    db: Db, project: Project, answer: Answer, form: Form[ImportForm], before: int | None = None
) -> Response:
    found = finding.find_imports(db, project, before=before, limit=IMPORTS + 1)
    imports = found[:IMPORTS]
    return answer.show(
        "images/import.html",
        fragment="images/_imports.html",
        status=422 if form.errors else 200,
        form=form,
        imports=imports,
        before=before,
        next=imports[-1][0].id if len(found) > IMPORTS else None,
        is_live=before is None and _is_live(imports),
        folders=[str(each) for each in settings().import_folders],
        limit_mb=settings().max_upload_mb,
    )


@router.get(IMAGES + "/import")
def show_import_form(
    project: LeadProject, db: Db, answer: Answering, before: Cursor = None
) -> Response:
    """The import page: where from, and how earlier imports went; for htmx the latter only."""
    return _show_form(db, project, answer, Form(), before)


@router.post(IMAGES + "/import")
def start_import_from(
    project: LeadProject,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    form: Annotated[Form[ImportForm], Depends(submitted(ImportForm))],
) -> Response:
    """Import a folder of the server or an address."""
    source = None
    if not form.errors:
        with form.attempt():
            source = _chosen(form.values)
    if source is None:
        return _show_form(db, project, answer, form)
    return _start(db, project, source, person, answer)


def _chosen(values: ImportForm) -> Source:
    wishes = Wishes(replace=values.replace, include_erased=values.include_erased)
    if values.folder:
        source = folder_source(values.folder, within=settings().import_folders)
        return with_wishes(source, wishes)
    if values.url:
        return with_wishes(url_source(values.url), wishes)
    raise Invalid("Please give an address or a folder.", field="url")


@router.post(IMAGES + "/import/files")
def upload_images(
    project: LeadProject, db: Db, person: CurrentPerson, answer: Answering, source: UploadedFiles
) -> Response:
    return _start(db, project, source, person, answer)


@router.post(
    IMAGES + "/import/parts/{token}/{number}", status_code=204, dependencies=[UploadedPart]
)
def upload_part(project: LeadProject, token: Token, number: PartNumber) -> None:
    """One part of a large upload; nothing is imported before all have come."""
    del project, token, number


@router.post(IMAGES + "/import/parts/{token}")
def import_parts(
    project: LeadProject,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    token: Token,
    parts: Annotated[int, Query(ge=1, le=100_000)],
    *,
    replace: Annotated[bool, Query()] = False,
    include_erased: Annotated[bool, Query()] = False,
) -> Response:
    """Import the parts of an upload as one. Asked again it leads to the same import."""
    before = finding.import_of_upload(db, project, token)
    if before is not None:
        return answer.done(go_to=answer.path("show_import", project=project.slug, import_id=before))
    wishes = Wishes(replace=replace, include_erased=include_erased)
    source = with_wishes(upload_source(token, join_parts(token, parts)), wishes)
    return _start(db, project, source, person, answer)


@router.get(IMAGES + "/imports/{import_id}")
def show_import(
    project: LeadProject, import_id: PathKey, db: Db, answer: Answering, after: Cursor = None
) -> Response:
    """One import: how far it is, what came in, and what did not and why."""
    row, job = finding.get_import(db, project, import_id)
    found = finding.find_problems(db, import_id, after=after or 0, limit=PROBLEMS + 1)
    problems = found[:PROBLEMS]
    return answer.show(
        "images/import_result.html",
        fragment="images/_import_result.html",
        row=row,
        job=job,
        problems=problems,
        after=after or 0,
        next=problems[-1].id if len(found) > PROBLEMS else None,
        is_live=job is not None and job.state in OPEN_STATES,
    )


@router.get(IMAGES + "/changes")
def show_image_changes(
    project: AnnotatorProject, db: Db, answer: Answering, before: Cursor = None
) -> Response:
    """What happened to the images of the project, newest first."""
    found, following = find_image_changes(db, project, before=before)
    return answer.show("images/changes.html", changes=found, next=following)


LIST = IMAGES + "/list"
SHOWN_CHANGES = 200


def _list_page(
    db: Db,
    answer: Answer,
    project: Project,
    sent: SentList | None = None,
    error: AppError | None = None,
) -> Response:
    plan = None
    if sent is not None and not isinstance(error, Invalid):
        try:
            plan = plan_list(db, project, sent.data, name=sent.name)
        except Invalid as wrong:
            error = wrong
    return answer.show(
        "images/list.html",
        status=error.status if error else 200,
        sent=sent,
        plan=plan,
        error=error,
        most=SHOWN_CHANGES,
    )


@router.get(LIST)
def show_list_form(project: LeadProject, db: Db, answer: Answering) -> Response:
    """Take prompts and metadata for pictures that are there from a list."""
    return _list_page(db, answer, project)


@router.post(LIST)
def submit_list(project: LeadProject, sent: UploadedList, db: Db, answer: Answering) -> Response:
    """What the list would change; nothing is changed yet."""
    return _list_page(db, answer, project, sent)


@router.post(LIST + "/{token}")
def submit_list_changes(
    project: LeadProject,
    token: Token,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    form: Annotated[Form[ListForm], Depends(submitted(ListForm))],
) -> Response:
    """Take over what was shown; where images were changed since, what it would change now is shown."""
    sent = None
    try:
        sent = kept_list(token)
        digest = form.values.digest if not form.errors else ""
        apply_list(db, project, sent.data, name=sent.name, digest=digest, by=person)
    except (Invalid, Stale) as error:
        return _list_page(db, answer, project, sent, error)
    after_commit(db, partial(uploads.discard_upload, token))
    return answer.go(answer.path("show_image_changes", project=project.slug))


def _about(
    db: Db,
    answer: Answer,
    project: Project,
    image: Image,
    *,
    form: Form[DescriptionForm] | None = None,
    aside: Form[AsideForm] | None = None,
    stale: Stale | None = None,
    refused: AppError | None = None,
) -> Response:
    found, following = find_image_changes(db, project, image=image)
    is_wrong = bool((form and form.errors) or (aside and aside.errors))
    return answer.show(
        "images/about.html",
        status=refused.status if refused else 412 if stale else 422 if is_wrong else 200,
        image=image,
        usual=USUAL,
        lines=_lines(image, form),
        form=form or Form(),
        aside=aside or Form(),
        stale=stale,
        refused=refused,
        changes=found,
        next=following,
    )


def _lines(image: Image, form: Form[DescriptionForm] | None) -> list[tuple[str, str]]:
    """Names and values as they were typed, or as they stand, with room for two more."""
    typed = form.typed if form else {}
    if typed.get("key"):
        return list(zip(typed["key"], typed.get("value", []), strict=False))
    stands = {key: as_text(value) for key, value in metadata_of(image).items()}
    asked = [key for key in ("title", "painter", "year") if key not in stands]
    return [*stands.items(), *((key, "") for key in asked), ("", "")]


@router.get(IMAGES + "/{image_id:int}/measures", dependencies=[Depends(refuse_hidden)])
def show_measures(
    project: AnnotatorProject,
    image: ProjectImage,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
) -> Response:
    """What the measured agent sees in an image, drawn over it, and what each of its rules found.

    It tells what the agent proposes or would, so whoever looks is blind for this image no more.
    """
    note_told(db, [image.id], person)
    version = current_version(db, project)
    return answer.show(
        "images/measures.html",
        fragment="images/_measures.html",
        image=image,
        drawn=find_drawing(db, project, image),
        names=names_of(version_criteria(version) if version else painting_criteria()),
    )


@router.get(IMAGES + "/{image_id:int}/about")
def show_image(
    project: AnnotatorProject, image: ProjectImage, db: Db, answer: Answering
) -> Response:
    """What is known of an image, to be corrected, and what happened to it."""
    return _about(db, answer, project, image)


@router.post(IMAGES + "/{image_id:int}/about")
def submit_description(
    project: AnnotatorProject,
    image_id: PathKey,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    form: Annotated[Form[DescriptionForm], Depends(submitted(DescriptionForm))],
) -> Response:
    """Correct prompt and metadata. Where someone else did so meanwhile, both values are shown."""
    stale = None
    if not form.errors:
        try:
            _correct(db, project, image_id, form.values, person)
        except Stale as error:
            stale = error
        except Invalid as error:
            form.errors[error.field or ""] = error.message
    if stale or form.errors:
        image = finding.get_image(db, project, image_id)
        return _about(db, answer, project, image, form=form, stale=stale)
    return answer.go(answer.path("show_image", project=project.slug, image_id=image_id))


def _correct(
    db: Db, project: Project, image_id: int, values: DescriptionForm, person: Person
) -> None:
    if len(values.key) != len(values.value):
        raise Invalid("Each piece of metadata has a name and a value.", field="details")
    # What was there and is not named any more was taken away; a line without a name is none.
    image = finding.get_image(db, project, image_id)
    wanted: dict[str, Any] = dict.fromkeys(metadata_of(image))
    for key, value in zip(values.key, values.value, strict=True):
        name = key.strip().lower()
        stands = image.details.get(name)
        if name:
            wanted[name] = stands if stands is not None and as_text(stands) == value else value
        elif value.strip():
            raise Invalid(f"“{value[:40]}” has no name.", field="details")
    correct_image(
        db,
        project,
        image_id,
        based_on=values.based_on,
        prompt=values.prompt,
        details=wanted,
        by=person,
    )


@router.post(IMAGES + "/{image_id:int}/aside")
def submit_aside(
    project: AnnotatorProject,
    image_id: PathKey,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    form: Annotated[Form[AsideForm], Depends(submitted(AsideForm))],
) -> Response:
    if not form.errors:
        with form.attempt():
            set_aside(db, project, image_id, reason=form.values.reason, by=person)
    if form.errors:
        return _about(db, answer, project, finding.get_image(db, project, image_id), aside=form)
    return answer.go(answer.path("show_image", project=project.slug, image_id=image_id))


@router.post(IMAGES + "/{image_id:int}/back")
def submit_back(
    project: AnnotatorProject, image_id: PathKey, db: Db, person: CurrentPerson, answer: Answering
) -> Response:
    """Take an image that was set aside back in."""
    take_back(db, project, image_id, by=person)
    return answer.go(answer.path("show_image", project=project.slug, image_id=image_id))


@router.post(IMAGES + "/{image_id:int}/replacement")
def submit_replacement(
    project: LeadProject,
    image_id: PathKey,
    source: UploadedFiles,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
) -> Response:
    """Give an image the uploaded file and keep its labels."""
    try:
        name, data = received_picture(source)
        replace_with_file(db, project, image_id, name=name, data=data, by=person)
    except (Invalid, Conflict) as error:
        uploads.discard_upload(source.spec["token"])
        return _about(db, answer, project, finding.get_image(db, project, image_id), refused=error)
    return answer.go(answer.path("show_image", project=project.slug, image_id=image_id))


@router.get(IMAGES + "/{image_id:int}/thumb")
def show_thumb(image: ProjectImage, known: KnownTag = None, v: FileTag = "") -> Response:
    """The image with a long side of at most 400 pixels (WebP)."""
    return picture(image, "thumb", known, v)


@router.get(IMAGES + "/{image_id:int}/display")
def show_display(image: ProjectImage, known: KnownTag = None, v: FileTag = "") -> Response:
    """The image with a long side of at most 2048 pixels (JPEG, sRGB)."""
    return picture(image, "display", known, v)
