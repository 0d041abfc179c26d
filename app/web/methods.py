"""HEAD is answered wherever GET is, and a wrong method is told every right one (RFC 9110)."""

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """The middleware: HEAD gets what GET would, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_without_body)


def allowed(routes: Iterable[APIRoute], path: str) -> list[str]:
    """The methods that an address knows, over all its routes: two of them may share one address."""
    methods = {
        method for route in routes if route.path_regex.match(path) for method in route.methods or ()
    }
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))
