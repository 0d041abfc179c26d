"""A server of the OpenAI-compatible kind that answers by a script, and counts what it was asked and what it sent."""

from __future__ import annotations

import ipaddress
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.settings import settings

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
Json = dict[str, Any]
Answer = Callable[["Asked"], "Json | Act"]


@dataclass(frozen=True)
class Asked:
    """One request: its body, its number from 1, and which step it asks for."""

    body: Json
    number: int

    @property
    def text(self) -> str:
        """All words of the request, without the picture."""
        words: list[str] = []
        for message in self.body["messages"]:
            content = message["content"]
            parts = [{"text": content}] if isinstance(content, str) else content
            words += [part.get("text", "") for part in parts]
        return "\n".join(words)

    @property
    def step(self) -> str:
        return next(
            each
            for each in ("deconstruct", "structure", "quantify")
            if f"step: {each}" in self.text
        )

    @property
    def is_repair(self) -> bool:
        return "cannot be used as it is" in self.text

    @property
    def keys(self) -> list[str]:
        """The keys that may be answered, from the schema."""
        schema = self.body["response_format"]["json_schema"]["schema"]["properties"]
        some = schema.get("dimensions") or schema["attributes"]
        return list(some.get("items", {}).get("properties", {}).get("key", {}).get("enum", []))


@dataclass(frozen=True)
class Act:
    """Something else than a good answer: a status, a pause, a cut, or a text as it is."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    is_cut: bool = False
    text: str | None = None
    raw: bytes | None = None


def everything(asked: Asked) -> Json:
    """Activates all dimensions and states the positive side of every pair."""
    if asked.step != "quantify":
        chosen = [{"key": key, "why": "It is there."} for key in asked.keys]
        more = {"style": "other", "content": []} if asked.step == "deconstruct" else {}
        return {**more, "dimensions": chosen}
    return {"attributes": [state(key) for key in asked.keys]}


def state(key: str, polarity: str = "positive", **more: Any) -> Json:
    """A statement that keeps to the form."""
    said = {"confidence": 0.8, "evidence": "The whole left half glows.", "where": "left half"}
    return {"key": key, "polarity": polarity, **said, **more}


class Server:
    """The server; `answer` may be changed while it runs."""

    def __init__(self, answer: Answer = everything) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.authorization: list[str | None] = []
        self.tokens_in = self.tokens_out = self.answered = 0
        self.models_status = 200
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with suppress(OSError):
                    server.serve(self, body)

            def do_GET(self) -> None:
                self.send_response(server.models_status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *said: object) -> None:
                del said

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def steps(self) -> list[str]:
        """The steps that were asked for, in order; a repair has a mark."""
        return [each.step + ("!" if each.is_repair else "") for each in self.asked]

    def serve(self, handler: BaseHTTPRequestHandler, body: Json) -> None:
        with self._lock:
            asked = Asked(body, len(self.asked) + 1)
            self.asked.append(asked)
            self.authorization.append(handler.headers.get("Authorization"))
        answer = self.answer(asked)
        act = answer if isinstance(answer, Act) else Act(text=json.dumps(answer))
        time.sleep(act.seconds)
        if act.is_cut:
            handler.connection.close()
            return
        data = act.raw if act.raw is not None else self._completion(asked, act)
        handler.send_response(act.status)
        for name, value in {"Content-Type": "application/json", **act.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _completion(self, asked: Asked, act: Act) -> bytes:
        if act.text is None:
            return b'{"error": {"message": "no"}}'
        read, wrote = len(asked.text) // 4 + 1000, len(act.text) // 4
        with self._lock:
            self.tokens_in, self.tokens_out = self.tokens_in + read, self.tokens_out + wrote
            self.answered += 1
        return json.dumps(
            {
                "choices": [{"message": {"role": "assistant", "content": act.text}}],
                "usage": {"prompt_tokens": read, "completion_tokens": wrote},
            }
        ).encode()


def set_up(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that runs, and the settings that lead to it and price it."""
    server = Server()
    for name, value in {
        "url": server.url,
        "model": "eye",
        "price_in": 1.0,
        "price_out": 4.0,
        "private": LOOPBACK,
    }.items():
        monkeypatch.setattr(settings(), f"vision_{name}", value)
    return server
