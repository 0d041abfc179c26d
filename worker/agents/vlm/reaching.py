"""Reaches the model's server at an address that was checked: public, or in a network that the operator lists.

The name is resolved here, every address is checked, and the connection goes to the checked one, so that neither a
second answer of the name server nor a redirect leads elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from app.outgoing import Inside, Network, parse_url, resolve_apart

# How long a checked address is used before its name is asked for again.
FRESH_SECONDS = 60.0


class Reach:
    """The way to the server at `url`. Raises NotFetched for what is no web address."""

    def __init__(self, url: str, private: Sequence[Network]) -> None:
        self._base = parse_url(url.rstrip("/"))
        self._inside = Inside(private, "MORELLI_VISION_PRIVATE")
        self._address = ""
        self._until = 0.0

    async def request(
        self,
        client: httpx2.AsyncClient,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Any = None,
    ) -> httpx2.Request:
        """What is asked of the server, ready to be sent. Raises NotFetched where its name leads nowhere, NotReachable
        where it leads into a network that is not allowed.
        """
        base = self._base
        return client.build_request(
            method,
            base.copy_with(host=await self._checked(), path=f"{base.path.rstrip('/')}/{path}"),
            # The certificate is checked against the name, though the connection goes to the address.
            headers={"User-Agent": "morelli", **headers, "Host": base.netloc.decode("ascii")},
            json=body,
            extensions={"sni_hostname": base.host},
        )

    async def _checked(self) -> str:
        if time.monotonic() >= self._until:
            base = self._base
            port = base.port or (443 if base.scheme == "https" else 80)
            self._address = await resolve_apart(base.host, port, self._inside)
            self._until = time.monotonic() + FRESH_SECONDS
        return self._address
