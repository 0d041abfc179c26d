"""Signing in and out, and a person's own account."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from app.accounts import signing_in, tokens
from app.accounts.access import (
    CurrentPerson,
    Public,
    Visitor,
    browser_mark,
    forget_cookie,
    set_cookie,
)
from app.accounts.browsers import name_browser
from app.accounts.forms import KeysForm, PasswordForm, ProfileForm, SignInForm, ThemeForm, TokenForm
from app.accounts.models import Person
from app.web import keys
from app.web.answer import Answering
from app.web.dependencies import Db, client_address
from app.web.forms import Fields, Form, submitted

router = APIRouter(include_in_schema=False)
SESSIONS = 50


def local_path(path: str, otherwise: str = "/") -> str:
    """`path` where it is a path of this site, so that a link cannot send people elsewhere."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path
    return path if safe and path.isprintable() else otherwise


@router.get("/sign-in")
def show_sign_in(
    answer: Answering, visitor: Visitor, next: str = "/", unsaved: str = ""
) -> Response:
    """The way in; `unsaved` where something was sent that needs a person."""
    if visitor is not None:
        return RedirectResponse(local_path(next), 303)
    return answer.show(
        "accounts/sign_in.html", form=Form(), next=local_path(next), unsaved=bool(unsaved)
    )


@router.post("/sign-in", dependencies=[Public])
def submit_sign_in(
    request: Request,
    db: Db,
    answer: Answering,
    form: Annotated[Form[SignInForm], Depends(submitted(SignInForm))],
) -> Response:
    """Sign in with e-mail address and password."""
    token = ""
    go_to = local_path(str(form.typed_or("next", "/")))
    if not form.errors:
        with form.attempt():
            address = client_address(request)
            person = signing_in.check_password(
                db,
                form.values.email,
                form.values.password,
                address=address,
                browser_mark=browser_mark(request),
            )
            token = signing_in.sign_in(
                db, person, browser=request.headers.get("user-agent", ""), address=address
            )
    if form.errors:
        response = answer.show(
            "accounts/sign_in.html", status=form.status, form=form, next=go_to, unsaved=False
        )
        response.headers.update(form.headers)
        return response
    response = RedirectResponse(go_to, 303)
    set_cookie(response, token)
    return response


@router.post("/sign-out")
def submit_sign_out(request: Request, db: Db, person: CurrentPerson, answer: Answering) -> Response:
    """End this browser's session."""
    if request.state.sign_in is not None:
        signing_in.sign_out(db, person, request.state.sign_in.id)
    response = RedirectResponse(answer.path("show_sign_in"), 303)
    forget_cookie(response)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _account(
    request: Request,
    db: Db,
    answer: Answering,
    person: Person,
    *,
    status: int = 200,
    new_token: str | None = None,
    saved: str = "",
    before: int | None = None,
    **forms: Form[ProfileForm] | Form[PasswordForm] | Form[TokenForm] | Form[ThemeForm],
) -> Response:
    held = request.state.sign_in
    sign_ins = signing_in.find_sign_ins(db, person, before=before, limit=SESSIONS + 1)
    return answer.show(
        "accounts/account.html",
        status=status,
        sessions=[(each, name_browser(each.browser)) for each in sign_ins[:SESSIONS]],
        older_sessions=sign_ins[SESSIONS - 1].id if len(sign_ins) > SESSIONS else None,
        here_id=held.id if held else None,
        tokens=tokens.find_tokens(db, person),
        new_token=new_token,
        saved=saved,
        profile_form=forms.get("profile", Form()),
        password_form=forms.get("password", Form()),
        token_form=forms.get("token", Form()),
        theme_form=forms.get("theme", Form()),
    )


@router.get("/account")
def show_account(
    request: Request,
    db: Db,
    answer: Answering,
    person: CurrentPerson,
    saved: str = "",
    before: int | None = None,
) -> Response:
    """A person's own account: name, password, sessions, tokens, theme."""
    known = saved if saved in ("profile", "password", "theme") else ""
    return _account(request, db, answer, person, saved=known, before=before)


@router.post("/account/profile")
def submit_profile(
    request: Request,
    db: Db,
    answer: Answering,
    person: CurrentPerson,
    form: Annotated[Form[ProfileForm], Depends(submitted(ProfileForm))],
) -> Response:
    """Change name and e-mail address."""
    if not form.errors:
        with form.attempt():
            signing_in.set_profile(db, person, name=form.values.name, email=form.values.email)
    if form.errors:
        return _account(request, db, answer, person, status=422, profile=form)
    return RedirectResponse(answer.path("show_account") + "?saved=profile", 303)


@router.post("/account/password")
def submit_password(
    request: Request,
    db: Db,
    answer: Answering,
    person: CurrentPerson,
    form: Annotated[Form[PasswordForm], Depends(submitted(PasswordForm))],
) -> Response:
    """Set a password; every other session of this person ends, and this one gets a new token."""
    if not form.errors:
        with form.attempt():
            signing_in.set_password(
                db, person, form.values.password, old=form.values.old, keep=None
            )
    if form.errors:
        return _account(request, db, answer, person, status=form.status, password=form)
    token = signing_in.sign_in(
        db,
        person,
        browser=request.headers.get("user-agent", ""),
        address=client_address(request),
    )
    response = RedirectResponse(answer.path("show_account") + "?saved=password", 303)
    set_cookie(response, token)
    return response


@router.post("/account/theme")
def submit_theme(
    request: Request,
    db: Db,
    answer: Answering,
    person: CurrentPerson,
    form: Annotated[Form[ThemeForm], Depends(submitted(ThemeForm))],
) -> Response:
    if form.errors:
        return _account(request, db, answer, person, status=422, theme=form)
    person.theme = form.values.theme
    return RedirectResponse(answer.path("show_account") + "?saved=theme", 303)


def _keys_page(
    answer: Answering, person: Person, form: Form[Fields], *, saved: bool = False
) -> Response:
    return answer.show(
        "accounts/keys.html",
        status=422 if form.errors else 200,
        commands=keys.COMMANDS,
        named=keys.NAMED,
        keys=keys.keys_of(person.keys),
        form=form,
        saved=saved,
    )


@router.get("/account/keys")
def show_keys(answer: Answering, person: CurrentPerson, saved: str = "") -> Response:
    """Which key does what, to be changed."""
    return _keys_page(answer, person, Form(), saved=bool(saved))


@router.post("/account/keys")
def submit_keys(
    answer: Answering,
    person: CurrentPerson,
    form: Annotated[Form[Fields], Depends(submitted(KeysForm))],
) -> Response:
    """Change keys: all that is typed, or nothing."""
    wanted: dict[str, keys.Keys] = {}
    if not form.errors:
        for name, typed in form.values.model_dump().items():
            with form.attempt():
                wanted[name] = keys.read_keys(typed, field=name)
    if not form.errors:
        with form.attempt():
            person.keys = keys.agreed(wanted)
    if form.errors:
        return _keys_page(answer, person, form)
    return RedirectResponse(answer.path("show_keys") + "?saved=1", 303)


@router.post("/account/keys/reset")
def reset_keys(answer: Answering, person: CurrentPerson) -> Response:
    """All keys as they are for everyone."""
    person.keys = {}
    return RedirectResponse(answer.path("show_keys") + "?saved=1", 303)


@router.post("/account/sessions/{session_id}/end")
def end_session(
    request: Request, session_id: int, db: Db, answer: Answering, person: CurrentPerson
) -> Response:
    """End one of this person's sessions, here or in another browser."""
    signing_in.sign_out(db, person, session_id)
    response = RedirectResponse(answer.path("show_account"), 303)
    if request.state.sign_in is not None and request.state.sign_in.id == session_id:
        forget_cookie(response)
    return response


@router.post("/account/tokens")
def submit_token(
    request: Request,
    db: Db,
    answer: Answering,
    person: CurrentPerson,
    form: Annotated[Form[TokenForm], Depends(submitted(TokenForm))],
) -> Response:
    """Make a bearer token; this page shows its text once."""
    text = None
    if not form.errors:
        with form.attempt():
            _, text = tokens.create_token(db, person, form.values.name)
    if form.errors:
        return _account(request, db, answer, person, status=422, token=form)
    return _account(request, db, answer, person, new_token=text)


@router.post("/account/tokens/{token_id}/revoke")
def revoke_token(token_id: int, db: Db, answer: Answering, person: CurrentPerson) -> Response:
    tokens.revoke_token(db, person, token_id)
    return RedirectResponse(answer.path("show_account"), 303)
