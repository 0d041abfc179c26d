"""The whole loop, walked through the JSON API with a token: what `make demo` does.

The people in it are simulated and know what the painter knows of each picture: which attributes it
decided on, and which it ruled out. Of anything else they know nothing and say so.
"""

import os
import random
import socket
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2

from app.accounts.tokens import create_token
from app.database import unit_of_work
from app.demo.seeding import SLUG, TINY_MODEL, painted_file, prepare
from app.demo.stages import OPTIONS, tonal_range
from app.errors import AppError
from app.projects.inviting import create_first_lead_link, take_first_lead_link
from app.settings import settings
from app.up import everything
from method.agents import DEFAULT_AGENT, JUDGE
from method.painter.painting import truth_of
from taxonomy.shipped import painting_criteria

Report = Callable[[str], None]
Data = dict[str, Any]

MORE_PAINTINGS = range(1000, 1016)
CORRECTED = 64
AUDITED = 12
PARTICIPANTS = 3
EVALUATED = 8
SLIP = 0.04
# Config fields by dotted path that differ from those of the stage; for a shorter walk.
TRAINING_OPTIONS: Data = {}
WAIT_SECONDS = 1800.0
SHOWN_MOVES = 8
COUNTED = ("confirmed", "rejected", "added", "negative", "left")


class WentWrong(AppError):
    """A step of the demo did not do what it should."""

    status = 500


@dataclass
class Walk:
    """The API of the demo's project, and how the demo speaks."""

    api: httpx2.Client
    report: Report
    began: float
    step: int = 0
    corrected: set[int] = field(default_factory=set)

    def head(self, text: str) -> None:
        """Begin a step."""
        self.step += 1
        self.report(f"\n{self.step}. {text}   [{time.monotonic() - self.began:.0f} s]")

    def say(self, text: str) -> None:
        """Tell what came out."""
        self.report(f"   {text}")

    def ask(self, method: str, path: str, **more: Any) -> Data:
        """One request of the project's API. Raises WentWrong with the answer's own words."""
        answer = self.api.request(method, path, **more)
        if answer.status_code >= 400:
            raise WentWrong(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        data: Data = answer.json() if answer.content else {}
        return data

    def items(self, path: str, cursor: str = "after", **params: Any) -> Iterator[Data]:
        """Everything in a list, page after page."""
        more: Data = dict(params)
        while True:
            page = self.ask("GET", path, params=more)
            yield from page["items"]
            if page.get("next") is None:
                return
            more[cursor] = page["next"]

    def wait(self, job_id: int) -> Data:
        """Wait until a job is over. Raises WentWrong where it did not succeed."""
        give_up = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < give_up:
            job = self.ask("GET", f"jobs/{job_id}")
            if job["state"] not in ("queued", "running", "cancelling"):
                if job["state"] != "succeeded":
                    raise WentWrong(f"job {job_id} ({job['kind']}) {job['state']}: {job['error']}")
                return job
            time.sleep(0.5)
        raise WentWrong(f"job {job_id} is not over after {WAIT_SECONDS:.0f} s")


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def walk(report: Report) -> None:
    """Start everything on a port of its own, walk the loop, and stop everything again."""
    began = time.monotonic()
    os.environ["MORELLI_PORT"], os.environ["MORELLI_HOST"] = str(free_port()), "127.0.0.1"
    os.environ.pop("MORELLI_ADDRESS", None)
    settings.cache_clear()
    quiet: list[str] = []
    token = ""

    def begin() -> str:
        nonlocal token
        prepare(report, with_project=True, edition=1)
        with unit_of_work() as db:
            lead = take_first_lead_link(db, create_first_lead_link(db))
            _, token = create_token(db, lead, "make demo")
        return ""

    with everything(quiet.append, with_web=True, with_worker=True, prepare=begin):
        address = f"http://127.0.0.1:{settings().port}/api/v1/projects/{SLUG}/"
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=address, headers=headers, timeout=60) as api:
            try:
                walk_the_loop(Walk(api, report, began))
            except WentWrong:
                report("\nThe last lines of web and worker:\n" + "\n".join(quiet[-20:]))
                raise
    report(f"\nDone in {time.monotonic() - began:.0f} s. Look at everything with `make up`.")


def walk_the_loop(walk: Walk) -> None:
    """Every step of the loop in its order."""
    attributes = see_criteria(walk)
    import_images(walk)
    run_agent(walk)
    correct_labels(walk, attributes)
    attributes = take_edition_over(walk)
    look_again(walk, attributes)
    audit(walk, attributes)
    dataset = freeze(walk)
    expert = train(walk, "sft", dataset, None)
    target = train(walk, "cpo_s", dataset, expert)
    evaluate(walk, target)
    look_back(walk, target)


@dataclass(frozen=True)
class Attributes:
    """The attributes of a version: pair key and polarity by name, and what the painter's keys are called.

    The painter speaks of the newest edition. `older` has the keys of an older one that lead to a key of it
    alone, or to several of which that one has the name: what it says of that one holds of them.
    """

    names: dict[str, tuple[str, str]]
    older: dict[str, list[str]]

    def known(self, seed: int) -> tuple[dict[str, str], set[str]]:
        """What the painter knows of a picture, in the keys of this version: what is there, what is not."""
        truth, absent = truth_of(seed)
        held = {each: side for key, side in truth.items() for each in self._here(key)}
        return held, {each for key in absent for each in self._here(key)} - held.keys()

    def _here(self, key: str) -> list[str]:
        own = [key] if key in {each for each, _ in self.names.values()} else []
        return own + self.older.get(key, [])


def see_criteria(walk: Walk) -> Attributes:
    """The criteria, in the edition that the project begins with."""
    walk.head("Criteria: a project that began with the first edition of the shipped tree")
    return _read_criteria(walk)


def _read_criteria(walk: Walk) -> Attributes:
    version = walk.ask("GET", "criteria/versions")["items"][0]
    tree = walk.api.get("criteria/export", params={"format": "json"}).json()
    names: dict[str, tuple[str, str]] = {}

    def collect(dimension: Data) -> None:
        for pair in dimension["pairs"]:
            for polarity in ("positive", "negative"):
                names[pair[polarity]["name"]] = (pair["key"], polarity)
        for below in dimension["dimensions"]:
            collect(below)

    for root in tree["dimensions"]:
        collect(root)
    walk.say(
        f"version {version['number']}: {len(tree['dimensions'])} root dimensions, "
        f"{len(names) // 2} attribute pairs, SHA-256 {version['sha256'][:12]}"
    )
    return Attributes(names, _find_older(names))


def _find_older(names: dict[str, tuple[str, str]]) -> dict[str, list[str]]:
    newest = painting_criteria()
    keys = {key for key, _ in names.values()}
    older: dict[str, list[str]] = {}
    for gone, successors in newest.successors.items():
        for each in successors if gone in keys else ():
            called = newest.pair(each).positive.name
            if len(successors) == 1 or names.get(called) == (gone, "positive"):
                older.setdefault(each, []).append(gone)
    return older


def take_edition_over(walk: Walk) -> Attributes:
    """The second edition of the tree in the place of the first, with the labels; returns its attributes."""
    walk.head("Criteria: the second edition of the tree is taken over, with the labels")
    newer = walk.ask("GET", "criteria/edition")
    foreseen = newer["foreseen"]
    walk.say(
        f"edition {newer['newest']} changes {len(foreseen['changes'])} things of edition {newer['edition']}"
    )
    moved = [each for each in foreseen["succession"] if each["images"]]
    for each in moved[:SHOWN_MOVES]:
        labels = each["confirmed"] + each["proposed"] + each["rejected"]
        walk.say(f"{each['sentence']}: {labels} labels on {each['images']} images")
    walk.ask("POST", "criteria/edition", json={"based_on": foreseen["based_on"]})
    walk.ask("POST", "criteria/versions", json={"note": "The second edition."})
    merges = [each for each in foreseen["succession"] if each["kind"] == "merge"]
    others = [each for each in foreseen["succession"] if each["kind"] != "merge"]
    walk.say(
        f"published: {sum(len(each['old']) for each in merges)} pairs merged, "
        f"{_num_labels(merges)} of their labels carried over; {len(others)} pairs split or redefined, "
        f"{_num_labels(others)} labels to be looked at again; all others stay with their pairs"
    )
    return _read_criteria(walk)


def _num_labels(effects: list[Data]) -> int:
    states = ("confirmed", "proposed", "rejected")
    return sum(each[state] for each in effects for state in states)


def look_again(walk: Walk, attributes: Attributes) -> None:
    """The simulated annotator decides what the new edition asks: images that it opened again, new pairs."""
    walk.head("Correction: what the second edition asks, on the images that it opened again")
    waiting = [each for each in walk.items("images", show="undone") if each["id"] in walk.corrected]
    counts = dict.fromkeys(COUNTED, 0)
    for image in waiting:
        _correct(walk, image, counts, attributes)
    walk.say(
        f"{len(waiting)} images looked at again: {counts['confirmed']} confirmed, {counts['rejected']} rejected, "
        f"{counts['added']} added"
    )


def import_images(walk: Walk) -> None:
    """A ZIP of freshly drawn paintings with their prompts, and a file that is no image."""
    walk.head(f"Images: {len(MORE_PAINTINGS)} more paintings as a ZIP, one broken file among them")
    body = BytesIO()
    lines = ["file,prompt,seed"]
    with zipfile.ZipFile(body, "w") as archive:
        for seed in MORE_PAINTINGS:
            name, data, prompt, _ = painted_file(seed)
            archive.writestr(name, data)
            lines.append(f'{name},"{prompt}",{seed}')
        archive.writestr("holiday.jpg", b"<html>this is no painting</html>")
        archive.writestr("metadata.csv", "\n".join(lines))
    files = {"files": ("paintings.zip", body.getvalue(), "application/zip")}
    started = walk.ask("POST", "images/imports", files=files)
    walk.wait(started["job_id"])
    done = walk.ask("GET", f"images/imports/{started['id']}")
    walk.say(
        f"{done['added']} added, {done['duplicates']} already there, {done['refused']} refused"
    )
    for problem in done["problems"]:
        if problem["kind"] == "refused":
            walk.say(f"refused {problem['name']}: {problem['reason']}")


def run_agent(walk: Walk) -> None:
    """The default agent over all images."""
    walk.head("Agent: image statistics propose attributes")
    run = walk.ask("POST", "agent-runs", json={"agent": DEFAULT_AGENT})
    walk.wait(run["job_id"])
    overview = walk.ask("GET", "overview")
    outcome = walk.ask("GET", f"agent-runs/{run['id']}/outcome")["items"]
    pairs = {each["key"] for each in outcome}
    walk.say(
        f"{overview['labels']['proposed']} labels proposed on {overview['images']} images, "
        f"from {len(pairs)} attribute pairs"
    )


def correct_labels(walk: Walk, attributes: Attributes) -> None:
    """A simulated annotator confirms, rejects and adds what the painter knows.

    What it adds are labels of a person, not of the agent: the agent proposes few negative attributes, since
    few of them can be told from pixels, and stage 2 learns from the ones that the painter knows.
    """
    walk.head(f"Correction: a simulated annotator goes through up to {CORRECTED} images")
    counts = dict.fromkeys(COUNTED, 0)
    images = [each for each in walk.items("images") if "seed" in each["details"]]
    for image in images[:CORRECTED]:
        _correct(walk, image, counts, attributes)
        walk.corrected.add(image["id"])
    walk.say(
        f"{counts['confirmed']} confirmed, {counts['rejected']} rejected, {counts['added']} added; "
        f"{counts['left']} left as proposed, because the painter does not know"
    )
    walk.say(
        f"{counts['negative']} of the added labels are negative attributes: the painter's own knowledge, "
        "entered as a person's labels"
    )


def _correct(walk: Walk, image: Data, counts: dict[str, int], attributes: Attributes) -> None:
    truth, absent = attributes.known(int(image["details"]["seed"]))
    page = walk.ask("GET", f"images/{image['id']}/labels")
    revision = page["revision"]
    held = {(each["key"], each["polarity"]): each["state"] for each in page["labels"]}

    def save(key: str, polarity: str, state: str) -> None:
        nonlocal revision
        body = {"state": state, "based_on": revision, "operation_id": str(uuid.uuid4())}
        saved = walk.ask("PUT", f"images/{image['id']}/labels/{key}/{polarity}", json=body)
        revision = saved["revision"]

    for (key, polarity), state in held.items():
        if state != "proposed":
            continue
        if truth.get(key) == polarity:
            save(key, polarity, "confirmed")
            counts["confirmed"] += 1
        elif key in truth or key in absent:
            save(key, polarity, "rejected")
            counts["rejected"] += 1
        else:
            counts["left"] += 1
    for key, polarity in truth.items():
        if (key, polarity) not in held:
            save(key, polarity, "confirmed")
            counts["added"] += 1
            counts["negative"] += polarity == "negative"
    walk.ask("PUT", f"images/{image['id']}/done", json={"done": True})


def audit(walk: Walk, attributes: Attributes) -> None:
    """Simulated participants judge a random sample, blind to one another."""
    walk.head(f"Audit: {PARTICIPANTS} simulated participants judge {AUDITED} images")
    made = walk.ask(
        "POST",
        "audits",
        json={"name": "Demo audit", "sample_size": AUDITED, "min_labels": 4, "seed": 20260104},
    )
    links = walk.ask("POST", f"audits/{made['id']}/participants", json={"count": PARTICIPANTS})
    seeds = {each["id"]: each["details"].get("seed") for each in walk.items("images")}
    for link in links["items"]:
        chance = random.Random(link["number"])
        _judge(walk, link["link"].rsplit("/", 1)[1], attributes, seeds, chance)
    results = walk.ask("GET", f"audits/{made['id']}/results")
    for row in [*results["dimensions"], results["overall"]]:
        if row["accuracy"] is not None:
            walk.say(
                f"{row['name']:<26} {100 * row['accuracy']:6.2f} %   "
                f"({row['items']} labels, {row['judgements']} judgements)"
            )


def _judge(
    walk: Walk,
    token: str,
    attributes: Attributes,
    seeds: dict[int, Any],
    chance: random.Random,
) -> None:
    seat = str(walk.api.base_url.join(f"/api/v1/audit/{token}"))
    walk.ask("POST", f"{seat}/consent")
    for item in walk.items(f"{seat}/items"):
        seed = seeds.get(int(item["image"].rsplit("/", 1)[1]))
        key, polarity = attributes.names[item["name"]]
        answer = "cannot_tell"
        if seed is not None:
            truth, absent = attributes.known(int(seed))
            if key in truth or key in absent:
                appears = truth.get(key) == polarity
                if chance.random() < SLIP:
                    appears = not appears
                answer = "appears" if appears else "does_not_appear"
        walk.ask("PUT", f"{seat}/items/{item['id']}", json={"answer": answer})
    walk.ask("POST", f"{seat}/finish")


def freeze(walk: Walk) -> Data:
    """Confirmed labels into a dataset."""
    walk.head("Dataset: freeze the confirmed labels")
    started = walk.ask("POST", "datasets", json={"name": "Demo"})
    walk.wait(started["job_id"])
    dataset = walk.ask("GET", f"datasets/{started['id']}")
    counts = dataset["counts"]
    walk.say(
        f"{counts['images']} images ({counts['train']} train, {counts['validation']} validation, "
        f"{counts['test']} test), {counts['positive_labels']} positive and "
        f"{counts['negative_labels']} negative labels, SHA-256 {dataset['sha256'][:12]}"
    )
    walk.say(f"folder {dataset['folder']}")
    return dataset


def train(walk: Walk, kind: str, dataset: Data, expert: Data | None) -> Data:
    """One training run, watched until it is done."""
    title = {"sft": "SFT: the expert learns the labelled prompts"}
    walk.head(title.get(kind, "CPO: the target learns what the expert prefers"))
    _wait_for_model(walk)
    run = walk.ask(
        "POST",
        "runs",
        json={
            "kind": kind,
            "name": f"Demo {kind}",
            "dataset_id": dataset["id"],
            "expert_run_id": expert["id"] if expert else None,
            "base_model": TINY_MODEL,
            "preset": "tiny",
            "options": {**OPTIONS[kind], **TRAINING_OPTIONS},
        },
    )
    walk.wait(run["job_id"])
    run = walk.ask("GET", f"runs/{run['id']}")
    metrics = walk.ask("GET", f"runs/{run['id']}/metrics")["items"]
    for name in ("loss", "win", "lose"):
        values = [each[name] for each in metrics if name in each]
        if values:
            tenth = max(1, len(values) // 10)
            first, last = sum(values[:tenth]) / tenth, sum(values[-tenth:]) / tenth
            walk.say(f"{name:<5} {first:+.5f} at the start, {last:+.5f} at the end")
    walk.say(f"adapter {run['folder']}/adapter")
    return run


def _wait_for_model(walk: Walk) -> None:
    models = walk.ask("GET", "base-models")["items"]
    if TINY_MODEL in [each["name"] for each in models]:
        return
    jobs = walk.ask("GET", "jobs", params={"limit": 200})["items"]
    making = [
        each["id"] for each in jobs if each["kind"] == "base_model" and not each["finished_at"]
    ]
    if not making:
        making = [walk.ask("POST", "base-models", json={"name": TINY_MODEL})["job_id"]]
    walk.wait(making[0])
    walk.say("made the small SDXL-architecture model")


def evaluate(walk: Walk, target: Data) -> None:
    """The adapter, loaded in a fresh process, against base and expert."""
    walk.head(f"Evaluation: {EVALUATED} prompts, judged by the {JUDGE} agent")
    command = [sys.executable, "-m", "worker.evaluation", target["folder"]]
    done = subprocess.run(
        [*command, "--prompts", str(EVALUATED)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise WentWrong(f"The evaluation failed: {done.stderr.strip()[-500:]}")
    for line in done.stdout.strip().splitlines():
        walk.say(line)
    before, after = (
        tonal_range(Path(target["folder"]).glob(f"evaluation/*/{model}-*.png"))
        for model in ("base", "target")
    )
    walk.say(
        f"Light and dark lie {before:.0f} of 255 apart in the base's pictures and {after:.0f} in the target's: "
        "“compressed gray tonal range” is the flaw that pictures of 64 pixels show best"
    )


def look_back(walk: Walk, target: Data) -> None:
    """The state of the project after the loop."""
    walk.head("What there is now")
    overview = walk.ask("GET", "overview")
    labels = overview["labels"]
    walk.say(
        f"{overview['images']} images, {labels['confirmed']} confirmed, {labels['rejected']} rejected "
        f"and {labels['proposed']} proposed labels"
    )
    walk.say(
        f"{overview['judgements']} judgements, {overview['datasets']} datasets, "
        f"{overview['runs']['sft']} SFT and {overview['runs']['cpo']} CPO runs"
    )
    samples = walk.ask("GET", f"runs/{target['id']}/samples")["items"]
    walk.say(
        f"{len(samples)} sample images of the last run, beside those of base and expert: run {target['number']} in the browser"
    )
