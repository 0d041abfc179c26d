"""Servers that nobody of this project wrote, with a model that says nonsense: it ends in counted drops, not in errors.

Opt-in: `MORELLI_TEST_TRANSFORMERS` is the program `transformers` of an environment with `transformers[serving]` and
torch. The model is made here, from a seed.
"""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.agents.models import AgentAnswer, AgentRunImage
from app.demo.walking import free_port
from app.settings import settings
from bench import nonsense_model
from tests.app.datasets.gallery import Gallery, open_gallery
from tests.factories import Make
from tests.worker.agents.vlm.scripted import LOOPBACK

TRANSFORMERS = os.environ.get("MORELLI_TEST_TRANSFORMERS")
READY_SECONDS = 300
ANSWER_TOKENS = 128


@contextmanager
def serving(command: list[str], health: str) -> Iterator[None]:
    """A server in a process of its own, ready."""
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""}
    child = subprocess.Popen(command, env=offline)
    try:
        give_up = time.monotonic() + READY_SECONDS
        while not is_well(health):
            assert child.poll() is None, "the server ended"
            assert time.monotonic() < give_up, "the server is not ready"
            time.sleep(0.5)
        yield
    finally:
        child.terminate()
        child.wait(timeout=60)


def is_well(health: str) -> bool:
    try:
        with urllib.request.urlopen(health, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def set_up(monkeypatch: pytest.MonkeyPatch, url: str, model: str) -> None:
    for name, value in {
        "url": url,
        "model": model,
        "private": LOOPBACK,
        "answer_tokens": ANSWER_TOKENS,
        "at_once": 2,
    }.items():
        monkeypatch.setattr(settings(), f"vision_{name}", value)


def look_at_three(gallery: Gallery) -> list[AgentRunImage]:
    """A run over three pictures: it ends well, and its account is that of its answers."""
    gallery.hang_many(3)
    run, job = gallery.launch("vlm")
    gallery.work(job)
    assert (job.state, job.error) == ("succeeded", None)
    answers = gallery.db.scalars(select(AgentAnswer)).all()
    assert run.images == 3 and run.requests == sum(each.requests for each in answers)
    assert run.tokens_in == sum(each.tokens_in for each in answers) > 0
    assert run.tokens_out == sum(each.tokens_out for each in answers) > 0
    for each in answers:
        print(f"{each.tokens_in} -> {each.tokens_out}: {each.answer[:300]!r}")
    looked_at = list(gallery.db.scalars(select(AgentRunImage)))
    for one in looked_at:
        print(one.state, one.reason, one.dropped, one.repaired, one.notes)
    return looked_at


@pytest.mark.skipif(not TRANSFORMERS, reason="MORELLI_TEST_TRANSFORMERS is not set")
@pytest.mark.timeout(900)
def test_what_transformers_serves_ends_in_counted_drops(
    own_storage: None,
    db: Session,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folder, port = tmp_path / "nonsense", free_port()
    nonsense_model.make(folder, seed=0)
    address = f"http://127.0.0.1:{port}"
    command = [TRANSFORMERS or "", "serve", str(folder), "--host", "127.0.0.1", "--device", "cpu"]
    set_up(monkeypatch, f"{address}/v1", str(folder))
    with serving([*command, "--port", str(port)], f"{address}/health"):
        looked_at = look_at_three(open_gallery(db, make))
    # It overlooks the schema, and nothing that it says is JSON: each answer is asked for once more, then dropped.
    assert {(each.state, each.repaired, each.dropped) for each in looked_at} == {("failed", 1, 1)}
    assert all("could not be read" in (each.reason or "") for each in looked_at)
