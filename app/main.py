"""Puts the rooms together: the only file that knows all routes."""

import gc
import logging
import re
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Thread
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.middleware.gzip import GZipMiddleware

from app.accounts import api as accounts_api
from app.accounts import pages as accounts_pages
from app.accounts.access import is_signed_in, signed_in
from app.agents import api as agents_api
from app.agents import pages as agents_pages
from app.audits import api as audits_api
from app.audits import doubt_pages as audits_doubt_pages
from app.audits import judging_pages as audits_judging_pages
from app.audits import pages as audits_pages
from app.audits import result_pages as audits_result_pages
from app.bulk import api as bulk_api
from app.bulk import pages as bulk_pages
from app.comparisons import api as comparisons_api
from app.comparisons import pages as comparisons_pages
from app.criteria import api as criteria_api
from app.criteria import file_pages as criteria_file_pages
from app.criteria import lineage_pages as criteria_lineage_pages
from app.criteria import merging_pages as criteria_merging_pages
from app.criteria import pages as criteria_pages
from app.criteria import placing_pages as criteria_placing_pages
from app.criteria import saying_pages as criteria_saying_pages
from app.database import serving_requests
from app.datasets import api as datasets_api
from app.datasets import pages as datasets_pages
from app.erasing import api as erasing_api
from app.erasing import pages as erasing_pages
from app.examples import api as examples_api
from app.examples import pages as examples_pages
from app.filters import api as filters_api
from app.filters import pages as filters_pages
from app.health import router as health
from app.images import api as images_api
from app.images import pages as images_pages
from app.jobs import api as jobs_api
from app.jobs import pages as jobs_pages
from app.label_imports import api as label_imports_api
from app.label_imports import pages as label_imports_pages
from app.labels import api as labels_api
from app.labels import pages as labels_pages
from app.notes import api as notes_api
from app.notes import pages as notes_pages
from app.overview import api as overview_api
from app.overview import pages as overview_pages
from app.projects import api as projects_api
from app.projects import pages as projects_pages
from app.proposals import api as proposals_api
from app.proposals import pages as proposals_pages
from app.queue import api as queue_api
from app.queue import pages as queue_pages
from app.readings import api as readings_api
from app.readings import pages as readings_pages
from app.runs import api as runs_api
from app.runs import pages as runs_pages
from app.settings import settings
from app.studies import api as studies_api
from app.studies import judging_pages as studies_judging_pages
from app.studies import pages as studies_pages
from app.studies import practice_pages as studies_practice_pages
from app.trust import api as trust_api
from app.trust import pages as trust_pages
from app.usage import api as usage_api
from app.usage import pages as usage_pages
from app.versions import api as versions_api
from app.versions import pages as versions_pages
from app.web.answer import read_templates
from app.web.bodies import JSON_BYTES, Allowance, Bodies, FindAllowance
from app.web.dependencies import MOST_BYTES, STREAMS
from app.web.describing import describe
from app.web.errors import install_error_pages
from app.web.matching import ask_where_meant
from app.web.methods import Head
from app.web.parameters import OnlyKnownParameters
from app.web.protection import Protection
from app.web.static import STATIC, StaticFolder
from app.web.turns import InTurn, Turns
from app.webhooks import api as webhooks_api
from app.webhooks import pages as webhooks_pages

# The order decides which route answers first where two could: fixed words before ids.
ROUTERS = [
    health,
    accounts_pages.router,
    accounts_api.router,
    projects_pages.router,
    projects_api.router,
    overview_pages.router,
    overview_api.router,
    jobs_pages.router,
    jobs_api.router,
    proposals_pages.router,
    proposals_api.router,
    examples_pages.router,
    examples_api.router,
    notes_pages.router,
    notes_pages.around,
    notes_api.router,
    notes_api.around,
    webhooks_pages.router,
    webhooks_api.router,
    usage_pages.router,
    usage_api.router,
    versions_pages.router,
    versions_api.router,
    criteria_file_pages.router,
    criteria_pages.router,
    criteria_lineage_pages.router,
    criteria_merging_pages.router,
    criteria_placing_pages.router,
    criteria_saying_pages.router,
    criteria_api.router,
    filters_pages.router,
    filters_api.router,
    bulk_pages.router,
    bulk_api.router,
    images_pages.router,
    images_api.router,
    label_imports_pages.router,
    label_imports_api.router,
    labels_pages.router,
    labels_api.router,
    queue_pages.router,
    queue_api.router,
    trust_pages.router,
    trust_api.router,
    agents_pages.router,
    agents_api.router,
    comparisons_pages.router,
    comparisons_api.router,
    audits_doubt_pages.router,
    audits_pages.router,
    audits_judging_pages.router,
    audits_result_pages.router,
    audits_api.router,
    readings_pages.router,
    readings_api.router,
    datasets_pages.router,
    datasets_api.router,
    erasing_pages.router,
    erasing_api.router,
    runs_pages.router,
    runs_api.router,
    studies_pages.router,
    studies_practice_pages.router,
    studies_judging_pages.router,
    studies_api.router,
]


def allowed_hosts() -> frozenset[str] | None:
    """Host names this server answers to, against DNS rebinding; None where it listens to everyone."""
    if settings().address is None and settings().host not in ("127.0.0.1", "localhost", "::1"):
        return None
    own = urlsplit(settings().public_address).hostname or "localhost"
    return frozenset({own, "127.0.0.1", "localhost", "::1", "testserver"})


def _routes_of(router: APIRouter) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]


def routes() -> list[APIRoute]:
    return [route for router in ROUTERS for route in _routes_of(router)]


# The event loop answers whether the process lives; it must not wait long for the threads that compute.
SWITCH_SECONDS = 0.001
# The garbage collector's oldest generation: what has survived two looks.
OLDEST = 2
FREEZES = 12
# Level 5 takes twice the time of level 3 for an eighth less of our pages and exports.
COMPRESSION = 3
# Threads beyond those of requests in turn: for writing uploads, and reading files that are sent.
SPARE_THREADS = 8


@contextmanager
def _keeping_what_stays() -> Iterator[None]:
    """Let the garbage collector look no more at what lives as long as the process.

    Half a million objects of libraries, and what the first requests leave behind (templates, statements):
    looking through them holds everything up for a tenth of a second each time. What a request in
    progress holds is kept for good with them where it is a cycle, so it is done a few times only.
    """
    left = FREEZES

    def keep(phase: str, info: dict[str, int]) -> None:
        nonlocal left
        if phase == "stop" and info["generation"] == OLDEST and left:
            left -= 1
            gc.freeze()

    gc.callbacks.append(keep)
    gc.collect()
    yield
    gc.callbacks.remove(keep)


def _match_once(app: FastAPI) -> None:
    """Let each router work out its routes, which it does for the first request that reaches it."""
    scope = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []}
    for route in app.router.routes:
        route.matches(scope)


@asynccontextmanager
async def _serving(app: FastAPI) -> AsyncIterator[None]:
    """Make this process a web server: as many threads and connections as requests are let in."""
    sys.setswitchinterval(SWITCH_SECONDS)
    threads = anyio.to_thread.current_default_thread_limiter()
    threads.total_tokens = settings().requests_at_once + SPARE_THREADS
    Thread(target=read_templates, name="templates", daemon=True).start()
    _match_once(app)
    with _keeping_what_stays(), serving_requests():
        yield


def _calls(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)


def allowances(known: Iterable[APIRoute]) -> FindAllowance:
    """What each route takes as a body, told from what it depends on; found by method and path."""
    table: dict[str, list[tuple[re.Pattern[str], Allowance]]] = {}
    for route in known:
        calls = set(_calls(route.dependant))
        streams = any(hasattr(each, STREAMS) for each in calls)
        most_json = max(getattr(each, MOST_BYTES, JSON_BYTES) for each in calls)
        allowance = Allowance(signed_in in calls, streams, most_json)
        for method in route.methods or ():
            table.setdefault(method, []).append((route.path_regex, allowance))

    def find(method: str, path: str) -> Allowance | None:
        if method in ("GET", "HEAD", "OPTIONS", "TRACE"):
            return None
        return next(
            (allowed for paths, allowed in table.get(method, ()) if paths.match(path)), None
        )

    return find


def create_app() -> FastAPI:
    logging.getLogger("morelli").setLevel(logging.INFO)
    app = FastAPI(
        title="Morelli",
        version="1",
        summary="Criteria, labels, audits, datasets and training runs as JSON.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_serving,
    )
    for router in ROUTERS:
        app.include_router(router, dependencies=[OnlyKnownParameters])
        ask_where_meant(app.router.routes[-1], _routes_of(router))
    app.state.routes = {route.name: route for route in routes()}
    app.mount("/static", StaticFolder(directory=STATIC), name="static")
    install_error_pages(app)
    describe(app, routes(), signs_in=signed_in)
    turns = Turns(settings().requests_at_once, settings().requests_waiting)
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=COMPRESSION)
    app.add_middleware(Head)
    app.add_middleware(InTurn, turns=turns)
    app.add_middleware(Bodies, turns=turns, find=allowances(routes()), is_signed_in=is_signed_in)
    app.add_middleware(Protection, hosts=allowed_hosts())
    return app


app = create_app()
