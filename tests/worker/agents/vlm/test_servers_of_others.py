"""Servers that nobody of this project wrote, with a model that says nonsense: it ends in counted drops, not in errors.

Opt-in: `MORELLI_TEST_TRANSFORMERS` is the program `transformers` of an environment with `transformers[serving]` and
torch, `MORELLI_TEST_LLAMA_SERVER` the program `llama-server` of llama.cpp. The models are made here, from a seed.
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
from app.criteria.reading import version_criteria
from app.demo.walking import free_port
from app.settings import settings
from taxonomy.contradictions import Rules
from tests.app.datasets.gallery import Gallery, encoded, landscape, open_gallery
from tests.factories import Make
from tests.worker.agents.vlm.scripted import LOOPBACK

TRANSFORMERS = os.environ.get("MORELLI_TEST_TRANSFORMERS")
LLAMA_SERVER = os.environ.get("MORELLI_TEST_LLAMA_SERVER")
READY_SECONDS = 300
ANSWER_TOKENS = 1024
IMAGES = 12


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


def look(gallery: Gallery, images: int) -> list[AgentRunImage]:
    """A run over some pictures: it ends well, and its account is that of its images."""
    for number in range(images):
        gallery.hang(encoded(landscape(number)))
    run, job = gallery.launch("vlm")
    gallery.work(job)
    assert (job.state, job.error) == ("succeeded", None)
    looked_at = list(gallery.db.scalars(select(AgentRunImage)))
    assert run.images == images and run.requests == sum(each.requests for each in looked_at)
    assert run.tokens_in == sum(each.tokens_in for each in looked_at) > 0
    assert run.tokens_out == sum(each.tokens_out for each in looked_at) > 0
    for each in gallery.db.scalars(select(AgentAnswer)):
        print(f"{each.tokens_in} -> {each.tokens_out}: {each.answer[:300]!r}")
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
    from bench import nonsense_model

    folder, port = tmp_path / "nonsense", free_port()
    nonsense_model.make(folder, seed=0)
    address = f"http://127.0.0.1:{port}"
    command = [TRANSFORMERS or "", "serve", str(folder), "--host", "127.0.0.1", "--device", "cpu"]
    set_up(monkeypatch, f"{address}/v1", str(folder))
    with serving([*command, "--port", str(port)], f"{address}/health"):
        looked_at = look(open_gallery(db, make), 3)
    # It overlooks the schema, and nothing that it says is JSON: each answer is asked for once more, then dropped.
    assert {(each.state, each.repaired, each.dropped) for each in looked_at} == {("failed", 1, 1)}
    assert all("could not be read" in (each.reason or "") for each in looked_at)


@pytest.mark.skipif(not LLAMA_SERVER, reason="MORELLI_TEST_LLAMA_SERVER is not set")
@pytest.mark.timeout(900)
def test_what_llama_cpp_holds_to_the_schema_is_still_nonsense_and_labels_stay_sound(
    own_storage: None,
    db: Session,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from bench import nonsense_gguf

    model, eye = nonsense_gguf.make(tmp_path, seed=0)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [LLAMA_SERVER or "", "-m", str(model), "--mmproj", str(eye), "-c", "16384"]
    set_up(monkeypatch, f"{address}/v1", "nonsense")
    gallery = open_gallery(db, make)
    with serving([*command, "--port", str(port), "--host", "127.0.0.1"], f"{address}/health"):
        looked_at = look(gallery, IMAGES)
    # What it says has the form asked for, so that images are labelled, or fail with a reason where it never came to an
    # end; no label is of what was not asked about, contradicts another, or lacks evidence and a confidence.
    states = {each.state for each in looked_at}
    assert "labelled" in states and states <= {"labelled", "failed"}
    assert sum(each.dropped + each.repaired for each in looked_at) > 0
    rules = version_criteria(gallery.version).derived(Rules)
    keys = {node.id: key for key, node in gallery.nodes.items()}
    by_image: dict[int, list[tuple[str, str]]] = {}
    for label in gallery.labels():
        assert label.evidence and 0 <= (label.confidence or -1) <= 1
        by_image.setdefault(label.image_id, []).append((keys[label.node_id], label.polarity))
    assert not any(rules.among(held) for held in by_image.values())
