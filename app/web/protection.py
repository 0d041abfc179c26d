"""Refuses requests that another site made, and sends the security headers of every answer.

Cross-site requests: `Sec-Fetch-Site` first, `Origin` as the fallback that protects plain http in a local
network (OWASP CSRF cheat sheet, Fetch Metadata). The Content-Security-Policy allows nothing inline.
"""

import json
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = {"GET", "HEAD", "OPTIONS"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "object-src 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

# What watches a server asks it by its number in the network, or by no name at all, and learns nothing else.
PROBED = ("/healthz", "/readyz")


def is_cross_site(headers: Headers, *, scheme: str) -> bool:
    """Whether a request that changes something was made by another site's page.

    A program that sends neither header is no browser and carries no cookie of a victim.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    parts = urlsplit(origin)
    return (parts.scheme, parts.netloc) != (scheme, headers.get("host", ""))


class ProblemAnswer(JSONResponse):
    """Problem details (RFC 9457). They may quote what cannot be encoded, such as half a surrogate pair."""

    media_type = "application/problem+json"

    def render(self, content: object) -> bytes:
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")


def refuse(scope: Scope, status: int, detail: str) -> Response:
    """The answer to a request that reaches no route: problem details for programs, a sentence for
    people.
    """
    if not scope["path"].startswith("/api/"):
        return PlainTextResponse(detail, status)
    title = HTTPStatus(status).phrase
    body = {"title": title, "status": status, "detail": detail, "field": None, "hint": None}
    return ProblemAnswer(body, status)


class Protection:
    """The middleware: refuses cross-site changes and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str] | None = None) -> None:
        self.app = app
        self.hosts = hosts

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").rsplit(":", 1)[0].strip("[]").lower()
        is_known = self.hosts is None or host in self.hosts or scope["path"] in PROBED
        if not is_known:
            return refuse(scope, 400, "This server does not answer to that host name.")
        if scope["method"] not in SAFE and is_cross_site(headers, scheme=scope["scheme"]):
            return refuse(scope, 403, "This request came from another site and was refused.")
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, send_with_headers)
