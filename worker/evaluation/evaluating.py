"""One evaluation from a run folder to its results."""

import fcntl
import json
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from method.agents import JUDGE
from method.files import sync
from method.items import Failed, attempt
from method.manifests import SPLITS
from taxonomy.tree import POLARITIES, Criteria, Polarity
from worker.agents.agent import Account, Identity, NoMemory, Reader, open_agent
from worker.evaluation.applying import as_they_read, traits_of
from worker.evaluation.counting import (
    CONFIDENCE,
    RESAMPLES,
    Found,
    Label,
    compare,
    count,
    draw_resamples,
    without_negatives,
)
from worker.evaluation.generating import Generated, Made, generate, load_models, sampling_of
from worker.evaluation.reading import (
    CannotEvaluate,
    Case,
    FinishedRun,
    choose_cases,
    doubts_about_prompts,
    read_run,
)
from worker.training.files import replace_file

FORMAT = "morelli-evaluation/1"
# The smallest published text-to-image networks that draw anything have hundreds of millions of weights.
FEWEST_WEIGHTS = 50_000_000
JUDGE_TAUGHT = (
    f"The {JUDGE} agent judges here, and it also judged what this run of spo learned from: a model can "
    "learn its errors, so the scores flatter it beside runs of other objectives."
)
# Below this the percentile bootstrap covers clearly less than it claims.
FEWEST_PROMPTS = 20


def evaluate(
    folder: Path,
    num_prompts: int,
    seed: int,
    say: Callable[[str], None],
    *,
    dataset_folder: Path | None = None,
    negative: Path | None = None,
) -> Path:
    """Generate, judge and count; returns results.json, written last, in <run>/evaluation/<seed>-<n>.

    `dataset_folder`: see `read_run`. `negative`: an npo run against which base and target are guided, too;
    by default the run's own. An evaluation of the same seed and number of prompts is replaced when the new
    one is whole. Raises one of method.training.failures.Ended.
    """
    run = read_run(folder, dataset_folder)
    if negative is None and run.config.samples.negative is not None:
        negative = Path(run.config.samples.negative)
    agent = open_agent(JUDGE)
    reader = agent.under(run.criteria)
    judged = _judged_pairs(run.criteria, reader)
    cases = choose_cases(run.dataset, num_prompts, seed)
    name = f"{seed}-{len(cases)}"
    with _place(folder / "evaluation", name) as place:
        say("Loading the model.")
        models = load_models(run, negative)
        made = generate(models, run.config, cases, place, say)
        say(f"Judging {len(made.images)} images.")
        found, kept = judge(place, made, reader, judged)
        cases, images = _only(kept, cases, made.images)
        found = as_they_read(found, run.criteria, run.dataset, cases)
        doubts = [
            *doubts_about_prompts(run, cases, num_prompts),
            *models.doubts,
            *([f"Left out: {made.failures.sentence('images')}"] if made.failures.number else []),
            *([JUDGE_TAUGHT] if run.config.objective.facts.samples_itself else []),
            *_doubts_about_size(models.identity["weights"], len(cases)),
        ]
        results = {
            "format": FORMAT,
            "run": _describe_run(run),
            "model": models.identity,
            "sampling": sampling_of(run.config, models),
            "judge": _describe_judge(run.criteria, agent.identity, reader, judged),
            "interval": {
                "method": "percentile bootstrap over prompts",
                "confidence": CONFIDENCE,
                "resamples": RESAMPLES,
                "seed": seed,
            },
            "versions": _versions(),
            "rests_on": {
                "images_per_model": len(cases),
                "prompts": {split: sum(c.split == split for c in cases) for split in SPLITS},
                "prompts_of_known_style": sum(
                    bool(each.styles) for each in traits_of(run.dataset, cases)
                ),
            },
            "doubts": doubts,
            "scores": score(found, run.criteria, reader, judged, draw_resamples(len(cases), seed)),
            "prompts": [asdict(case) for case in cases],
            "images": _describe_images(images, found),
        }
        replace_file(place / "results.json", json.dumps(results, indent=1, ensure_ascii=False))
        for path in (*place.iterdir(), place):
            sync(path)
    return folder / "evaluation" / name / "results.json"


def judge(
    folder: Path,
    made: Made,
    reader: Reader,
    judged: Sequence[str],
) -> tuple[Found, list[int]]:
    """What the agent finds in the saved files, of the pairs in the criteria; and the prompts of
    which all images were made and could be judged. What could not is added to the failures.

    Their prompts are left out for all models, so that they are compared on the same ones. Raises
    CannotEvaluate where none is left.
    """

    def labels(each: Generated) -> frozenset[Label]:
        with Image.open(folder / each.file) as image:
            findings = reader.label(image, Account(), NoMemory())
        return frozenset((f.key, f.polarity) for f in findings if f.key in judged)

    found: dict[str, dict[int, frozenset[Label]]] = {}
    lost = set(made.lost)
    for each in made.images:
        seen = attempt(labels, each, lambda image: image.file)
        if isinstance(seen, Failed):
            made.failures.note(seen)
            lost.add(each.index)
        else:
            found.setdefault(each.model, {})[each.index] = seen
    kept = sorted({each.index for each in made.images} - lost)
    if not kept:
        raise CannotEvaluate(made.failures.sentence("images"))
    return {m: [each[index] for index in kept] for m, each in found.items()}, kept


def _only(
    kept: Sequence[int], cases: Sequence[Case], images: Sequence[Generated]
) -> tuple[tuple[Case, ...], list[Generated]]:
    """These prompts and their images, numbered anew."""
    numbers = {index: number for number, index in enumerate(kept)}
    return tuple(cases[index] for index in kept), [
        replace(each, index=numbers[each.index]) for each in images if each.index in numbers
    ]


def score(
    found: Found,
    criteria: Criteria,
    reader: Reader,
    judged: Sequence[str],
    resamples: npt.NDArray[np.float64],
) -> dict[str, Any]:
    """All figures: over everything, by root dimension and by attribute pair, in tree order."""
    base, *others = found
    roots: dict[str, list[str]] = {}
    for key in judged:
        roots.setdefault(criteria.root_of(key).key, []).append(key)
    return {
        "all": asdict(count(found, judged, base, resamples)),
        "without_negatives": asdict(without_negatives(found, judged, base, resamples)),
        "comparisons": {
            model: asdict(compare(found, judged, model, base, resamples)) for model in others
        },
        "roots": [
            {
                "key": key,
                "name": criteria.dimension(key).name,
                "pairs": len(keys),
                "decided": {
                    side: len(_decided_on(reader, side) & set(keys)) for side in POLARITIES
                },
                **asdict(count(found, keys, base, resamples)),
            }
            for key, keys in roots.items()
        ],
        "attributes": [
            {
                "key": key,
                "root": criteria.root_of(key).key,
                "positive": criteria.pair(key).positive.name,
                "negative": criteria.pair(key).negative.name,
                **asdict(count(found, [key], base, resamples)),
            }
            for key in judged
        ],
    }


def _judged_pairs(criteria: Criteria, reader: Reader) -> tuple[str, ...]:
    """The pairs of the criteria that the judge can decide, in tree order."""
    decided = {side.key for side in reader.decides}
    judged = tuple(pair.key for pair in criteria.active_pairs() if pair.key in decided)
    if not judged:
        raise CannotEvaluate(
            f"The criteria {criteria.name} have no attribute pair that the {JUDGE} agent decides, "
            "so there is nothing to count"
        )
    return judged


def _decided_on(reader: Reader, polarity: Polarity) -> frozenset[str]:
    """The pairs of which the judge decides this side."""
    return frozenset(side.key for side in reader.decides if side.polarity == polarity)


def _doubts_about_size(num_weights: int, num_prompts: int) -> list[str]:
    doubts = []
    if num_prompts < FEWEST_PROMPTS:
        doubts.append(
            f"{num_prompts} prompts are few: the intervals are narrower than they should be."
        )
    if num_weights < FEWEST_WEIGHTS:
        doubts.append(
            f"The base model has {num_weights:,} weights: its pictures are no paintings, and the "
            "scores show only that the way from run to result works."
        )
    return doubts


def _describe_run(run: FinishedRun) -> dict[str, Any]:
    result = run.result
    return {
        "objective": run.config.objective.kind,
        "steps": result.get("steps"),
        "adapter": {"file": result["adapter"], "sha256": result["sha256"]},
        "expert_sha256": result.get("expert_sha256"),
        "pairs": result["dataset"] if run.is_of_pairs else None,
        "dataset": {"name": run.dataset.name, "sha256": run.dataset.sha256},
        "criteria": {"name": run.dataset.criteria, "sha256": run.dataset.criteria_sha256},
    }


def _describe_judge(
    criteria: Criteria, identity: Identity, reader: Reader, judged: Sequence[str]
) -> dict[str, Any]:
    return {
        "agent": identity.name,
        "version": identity.version,
        "pairs_in_criteria": len(criteria.active_pairs()),
        "pairs_decided": len(judged),
        "pairs_decided_negative": len(_decided_on(reader, "negative") & set(judged)),
    }


def _describe_images(images: Sequence[Generated], found: Found) -> list[dict[str, Any]]:
    return [
        asdict(each)
        | {
            polarity: sorted(key for key, side in found[each.model][each.index] if side == polarity)
            for polarity in ("negative", "positive")
        }
        for each in images
    ]


def _versions() -> Mapping[str, str]:
    packages = ("torch", "diffusers", "transformers", "peft", "numpy", "scipy", "pillow")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


@contextmanager
def _place(home: Path, name: str) -> Iterator[Path]:
    """A folder to fill, which takes its name, and the place of an older one, only when it is whole."""
    try:
        home.mkdir(exist_ok=True)
        lock = (home / ".lock").open("w")
    except OSError as error:
        raise CannotEvaluate(f"{home}: cannot be written: {error.strerror or error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotEvaluate(f"{home}: another process is evaluating this run") from None
        for left in (*home.glob(".unfinished-*"), *home.glob(".replaced-*")):
            shutil.rmtree(left)
        unfinished, replaced = home / f".unfinished-{name}", home / f".replaced-{name}"
        unfinished.mkdir()
        try:
            yield unfinished
            if (home / name).exists():
                (home / name).rename(replaced)
            unfinished.rename(home / name)
            sync(home)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.rmtree(replaced, ignore_errors=True)
