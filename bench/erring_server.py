"""A server of the OpenAI-compatible kind that errs on purpose and keeps books: what `bench.vlm_run` asks.

    python -m bench.erring_server PORT SHARE KEYS

KEYS is a file with the attribute keys that it may state, one a line. `GET /books` tells what it was asked and what it
charged for. Its answers depend on the picture and the question alone, its faults on the number of the request.
"""

import argparse
import hashlib
import json
import random
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SLOW_SECONDS = 4.0
STORM_SECONDS = 1.0
ENDLESS_BYTES = 10_000_000
CHARS_A_TOKEN = 4
# What a server may do wrong before it has thought, and what may be wrong with what it says. The latter is not done to
# an answer that it was asked to mend: whoever is wrong twice costs its image, which is another test.
TRANSPORT = ("too slow", "storm of 429", "cut connection", "answer of 10 MB", "500")
CONTENT = ("truncated JSON", "invented attribute", "without evidence")


def draw(*of: object) -> int:
    """A number that these words always give."""
    return int.from_bytes(hashlib.sha256(repr(of).encode()).digest()[:4], "big")


class Books:
    """What was asked and charged, and what it said of each picture."""

    def __init__(self, share: float, keys: frozenset[str]) -> None:
        self.share, self.keys = share, keys
        self.received = self.charged = self.tokens_in = self.tokens_out = 0
        self.outcomes: Counter[str] = Counter()
        self.said: dict[str, set[str]] = {}
        self.storm_until = 0.0
        self.lock = threading.Lock()

    def fault(self, *, is_repair: bool) -> str:
        """What goes wrong with the next request, or nothing."""
        with self.lock:
            self.received += 1
            chance = random.Random(self.received)
            if time.monotonic() < self.storm_until:
                fault = "429"
            elif chance.random() >= self.share:
                fault = ""
            else:
                fault = chance.choice(TRANSPORT if is_repair else TRANSPORT + CONTENT)
            if fault == "storm of 429":
                self.storm_until = time.monotonic() + STORM_SECONDS
            self.outcomes[fault or "answered well"] += 1
        return fault

    def charge(self, words: str, said: str) -> Json:
        """Enter an answer; returns the usage that goes with it."""
        read, wrote = 1000 + len(words) // CHARS_A_TOKEN, len(said) // CHARS_A_TOKEN
        with self.lock:
            self.charged += 1
            self.tokens_in, self.tokens_out = self.tokens_in + read, self.tokens_out + wrote
        return {"prompt_tokens": read, "completion_tokens": wrote}

    def as_json(self) -> Json:
        """For whoever compares."""
        with self.lock:
            return {
                "received": self.received,
                "charged": self.charged,
                "tokens_in": self.tokens_in,
                "tokens_out": self.tokens_out,
                "pictures": len(self.said),
                "statements": sum(len(each) for each in self.said.values()),
                "outcomes": dict(self.outcomes),
            }


def answer(books: Books, picture: str, schema: Json) -> Json:
    """What it sees: of each list of keys the same ones of the same picture."""
    properties = schema["properties"]
    if "attributes" in properties:
        keys = properties["attributes"]["items"]["properties"]["key"]["enum"]
        stated = [key for key in keys if key in books.keys and draw(picture, key) % 5 == 0]
        books.said[picture].update(stated)
        return {"attributes": [statement(key, draw(key, picture)) for key in stated]}
    keys = properties["dimensions"]["items"]["properties"]["key"]["enum"]
    chosen = [{"key": key, "why": "It can be seen."} for key in keys if draw(picture, key) % 10 < 7]
    seen: Json = {"style": "other", "content": []} if "style" in properties else {}
    return seen | {"dimensions": chosen}


def statement(key: str, number: int) -> Json:
    """One side that holds."""
    sure = 0.5 + number % 50 / 100
    said = {"confidence": sure, "evidence": "It is seen plainly.", "where": "in the middle"}
    return {"key": key, "polarity": "positive", **said}


def spoil(fault: str, said: Json) -> str:
    """The answer with something wrong in it."""
    if fault == "truncated JSON":
        whole = json.dumps(said)
        return whole[: max(1, len(whole) * 2 // 3)]
    if fault == "invented attribute":
        name = "attributes" if "attributes" in said else "dimensions"
        invented = statement("an-attribute-of-my-own", 7) | {"why": "I made it up."}
        return json.dumps(said | {name: [*said[name], invented]})
    if fault == "without evidence" and said.get("attributes"):
        first, *rest = said["attributes"]
        return json.dumps({"attributes": [first | {"evidence": " "}, *rest]})
    return json.dumps(said)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    books: Books

    def do_POST(self) -> None:
        """A question."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = "".join(
            part.get("text", "") if isinstance(part, dict) else part
            for message in body["messages"]
            for part in message["content"]
        )
        is_repair = len(body["messages"]) > 2
        fault = self.books.fault(is_repair=is_repair)
        if fault in ("429", "storm of 429"):
            self.send(429, b'{"error": {"message": "slow down"}}', {"Retry-After": "1"})
        elif fault == "500":
            self.send(500, b'{"error": {"message": "out of memory"}}')
        elif fault == "answer of 10 MB":
            self.send(200, b'{"choices": [{"message": {"content": "' + b"x" * ENDLESS_BYTES)
        elif fault in ("cut connection", "too slow"):
            time.sleep(SLOW_SECONDS if fault == "too slow" else 0)
            self.close_connection = True
        else:
            self.reply(body, words, fault)

    def reply(self, body: Json, words: str, fault: str) -> None:
        """Say something, and charge for it."""
        shown = body["messages"][1]["content"][0]["image_url"]["url"]
        picture = hashlib.sha256(shown.encode()).hexdigest()
        with self.books.lock:
            self.books.said.setdefault(picture, set())
        schema = body["response_format"]["json_schema"]["schema"]
        said = spoil(fault, answer(self.books, picture, schema))
        usage = self.books.charge(words, said)
        message = {"role": "assistant", "content": said}
        self.send(200, json.dumps({"choices": [{"message": message}], "usage": usage}).encode())

    def do_GET(self) -> None:
        """The books, or a list of models."""
        found = self.books.as_json() if self.path == "/books" else {"data": [{"id": "eye"}]}
        self.send(200, json.dumps(found).encode())

    def send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        """An answer; whoever has gone away does not hear it."""
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            self.close_connection = True

    def log_message(self, *said: object) -> None:
        """Nothing."""
        del said


class Server(ThreadingHTTPServer):
    """Whoever breaks off an answer of 10 MB is right to."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("port", type=int)
    parser.add_argument("share", type=float)
    parser.add_argument("keys", type=Path)
    wanted = parser.parse_args()
    Handler.books = Books(wanted.share, frozenset(wanted.keys.read_text("utf-8").split()))
    Server(("127.0.0.1", wanted.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
