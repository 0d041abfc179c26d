"""Page, fragment or redirect: the only file that reads htmx headers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import SimpleNamespace
from typing import Annotated, Any

from fastapi import Depends, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import NoMatchFound

from app.database import Model
from app.folders import folder
from app.web.keys import keys_of, meanings_of
from app.web.static import imports_of, static_url


def number(value: float | None) -> str:
    """A number with thin spaces between thousands, or a dash."""
    if value is None:
        return "–"
    return f"{value:,}".replace(",", "\u202f")


def size(num_bytes: float) -> str:
    """A number of bytes in words."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if num_bytes < 1024 or unit == "GiB":
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1024
    raise AssertionError


def duration(seconds: float | None) -> str:
    """A length of time in words, such as `3 min 20 s`."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def ago(moment: datetime | None) -> str:
    """How long ago a moment was, in words."""
    if moment is None:
        return "never"
    passed = datetime.now(UTC) - moment
    if passed < timedelta(minutes=1):
        return "just now"
    if passed < timedelta(hours=1):
        return f"{passed.seconds // 60} min ago"
    if passed < timedelta(days=1):
        return f"{passed.seconds // 3600} h ago"
    if passed < timedelta(days=30):
        return f"{passed.days} d ago"
    return moment.strftime("%-d %b %Y")


def moment(value: datetime | None) -> str:
    """A moment as people read it, in UTC."""
    return value.strftime("%Y-%m-%d %H:%M UTC") if value else "–"


def percent(part: float | None, digits: int = 0) -> str:
    """A fraction as a percentage, or a dash."""
    return "–" if part is None else f"{100 * part:.{digits}f} %"


@lru_cache(maxsize=4096)
def drawn_once(macro: Callable[..., Markup], *values: object) -> Markup:
    """What a macro of another template makes of these values. It is to depend on nothing else: it is kept."""
    return macro(*values)


@lru_cache
def environment() -> Environment:
    """The template environment: undefined names are errors, everything is escaped."""
    made = Environment(
        loader=FileSystemLoader(folder("templates")),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        # A server reads each once: files of a running one do not change.
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: list[Callable[..., str]] = [number, size, duration, ago, moment, percent]
    made.filters.update({each.__name__: each for each in filters})
    made.globals.update(
        static=static_url,
        imports_of=imports_of,
        keys_of=keys_of,
        meanings_of=meanings_of,
        drawn_once=drawn_once,
    )
    return made


def read_templates() -> None:
    """Translate every template, so that no first visitor of a page waits for it."""
    for name in environment().list_templates():
        environment().get_template(name)


def keep_for_errors(request: Request, **rows: Model) -> None:
    """Keep copies of rows that every page shows around itself, by their names in the templates.

    The error page shows them too, and a write that fails empties all rows that were loaded.
    """
    kept = getattr(request.state, "kept", {})
    for name, row in rows.items():
        loaded = {key: value for key, value in vars(row).items() if not key.startswith("_")}
        kept = kept | {name: SimpleNamespace(**loaded)}
    request.state.kept = kept


class Answer:
    """How a page route answers. Ask for it with the type `Answering`."""

    def __init__(self, request: Request) -> None:
        self.request = request

    @property
    def kept(self) -> dict[str, Any]:
        """Copies of what `keep_for_errors` was given."""
        return dict(getattr(self.request.state, "kept", {}))

    @property
    def wants_fragment(self) -> bool:
        """Whether htmx asked for a part of a page."""
        headers = self.request.headers
        return (
            headers.get("HX-Request") == "true"
            and headers.get("HX-Boosted") != "true"
            and headers.get("HX-History-Restore-Request") != "true"
        )

    @property
    def was_on(self) -> str:
        """The address of the page on which htmx asked, "" where it did not."""
        return self.request.headers.get("HX-Current-URL", "")

    def path(self, name: str, **parameters: object) -> str:
        """Address of the route called `name`; wrong names fail every test that renders the page.

        Looked up by name: a wall of images asks a hundred times, and a search through all routes
        each time would take longer than the page.
        """
        route = self.request.app.state.routes[name]
        convertors = route.param_convertors
        if parameters.keys() != convertors.keys():
            raise NoMatchFound(name, parameters)
        return str(route.path_format).format(
            **{each: convertors[each].to_string(value) for each, value in parameters.items()}
        )

    def _render(self, template: str, context: dict[str, Any]) -> str:
        state = self.request.state
        shared = {
            "path": self.path,
            "here": self.request.url.path,
            "person": getattr(state, "person", None),
            # An address that leads nowhere answers without having looked who asks.
            "is_known_who": hasattr(state, "person"),
            "answers_post": self.request.method == "POST",
            "project": getattr(state, "project", None),
            "role": getattr(state, "role", None),
            "num_unread": getattr(state, "num_unread", 0),
            "oob": False,
        }
        return environment().get_template(template).render(**(shared | context))

    def show(
        self, page: str, *, fragment: str | None = None, status: int = 200, **context: Any
    ) -> Response:
        """The whole page, or for htmx its fragment."""
        template = fragment if fragment and self.wants_fragment else page
        response = HTMLResponse(self._render(template, context), status_code=status)
        response.headers["Vary"] = "HX-Request"
        return response

    def go(self, to: str) -> Response:
        """A redirect of the whole page, also where htmx asked for a part of it."""
        if self.wants_fragment:
            return Response(status_code=204, headers={"HX-Redirect": to})
        return RedirectResponse(to, status_code=303)

    def done(
        self,
        *,
        go_to: str,
        fragment: str | None = None,
        also: tuple[str, ...] = (),
        **context: Any,
    ) -> Response:
        """After a change: for htmx the changed fragment (and others out of band) or a redirect;
        for a plain form always a redirect.
        """
        if fragment is None or not self.wants_fragment:
            return self.go(go_to)
        parts = [self._render(fragment, context)]
        parts += [self._render(each, context | {"oob": True}) for each in also]
        return HTMLResponse("\n".join(parts), headers={"Vary": "HX-Request"})


async def answering(request: Request) -> Answer:
    """How a route answers. Asynchronous, as it asks nothing: a class of its own would be made in a thread."""
    return Answer(request)


Answering = Annotated[Answer, Depends(answering)]
