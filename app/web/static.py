"""Static files: their addresses, how long browsers keep them, and which scripts a script brings along.

One hash of all files is a folder in every address (`/static/v-<hash>/pages/keys.js`). What a script
imports and a style sheet names is found beside it, so that has the hash, too.
"""

import hashlib
import posixpath
import re
from functools import lru_cache

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.folders import APP

STATIC = APP / "static"
FOR_A_YEAR = "public, max-age=31536000, immutable"
_VERSION = re.compile("v-[0-9a-f]{10}")
_IMPORTED = re.compile(r'\b(?:from|import) "(\.{1,2}/[^"]+)"')


@lru_cache
def static_version() -> str:
    """The folder that stands for what all static files are in this process."""
    made = hashlib.sha256()
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        body = path.read_bytes()
        made.update(f"{path.relative_to(STATIC).as_posix()} {len(body)}\n".encode())
        made.update(body)
    return f"v-{made.hexdigest()[:10]}"


@lru_cache
def static_url(name: str) -> str:
    """Address of a file in `app/static`. A missing file is an error at once, not a blank page."""
    if not (STATIC / name).is_file():
        raise FileNotFoundError(f"There is no static file {name}.")
    return f"/static/{static_version()}/{name}"


@lru_cache
def imports_of(script: str) -> tuple[str, ...]:
    """Names of all scripts that a script needs to be there, so that browsers ask for them together
    and not each when another names it.
    """
    found: dict[str, None] = {}
    waiting = [script]
    for name in waiting:
        text = (STATIC / name).read_text(encoding="utf-8")
        for beside in _IMPORTED.findall(text):
            needed = posixpath.normpath(posixpath.join(posixpath.dirname(name), beside))
            if needed not in found:
                found[needed] = None
                waiting.append(needed)
    return tuple(sorted(found))


class StaticFolder(StaticFiles):
    """The static files. Browsers may keep those that are asked for by the hash of today for a year.

    With another hash, as while a server is replaced, they get the files of today, and ask again.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        version, _, rest = path.partition("/")
        response = await super().get_response(rest if _VERSION.fullmatch(version) else path, scope)
        kept = version == static_version()
        response.headers["Cache-Control"] = FOR_A_YEAR if kept else "no-cache"
        return response
