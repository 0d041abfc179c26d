"""A server that hangs is told from one that is slow, refuses, or is fine."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.pulse import MOST_UNANSWERED, Pulse


@contextmanager
def listening(answers: bytes) -> Iterator[str]:
    """A port that says `answers` to whoever comes; nothing where it is empty."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        over = threading.Event()
        held = []

        def serve() -> None:
            while not over.is_set():
                try:
                    one, _ = server.accept()
                except TimeoutError:
                    continue
                held.append(one)
                if answers:
                    one.recv(1000)
                    one.sendall(answers)
                    one.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/healthz"
        over.set()
        thread.join()
        for each in held:
            each.close()


def waited_for_loss(pulse: Pulse) -> bool:
    for _ in range(200):
        if pulse.is_lost:
            return True
        time.sleep(0.05)
    return False


def test_a_server_that_takes_connections_and_says_nothing_is_lost() -> None:
    with listening(b"") as address:
        pulse = Pulse(address, ask_seconds=0.05, pause=0.01)
        assert waited_for_loss(pulse)
        pulse.begin_again()
        assert not pulse.is_lost
        assert waited_for_loss(pulse)
        pulse.end()


def test_an_answer_of_any_kind_and_a_refusal_are_no_loss() -> None:
    with listening(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") as address:
        pulse = Pulse(address, ask_seconds=5, pause=0.001)
        time.sleep(0.3)
        assert not pulse.is_lost
    time.sleep(0.3)
    assert not pulse.is_lost
    pulse.end()
    assert MOST_UNANSWERED > 1
