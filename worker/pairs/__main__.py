"""python -m worker.pairs labels|generated|study|pick-a-pic SOURCE ... OUT: build a pair dataset.

What came out goes to stdout, progress and what could not be used to stderr. 0 done, 1 failed (the last
line on stderr says why in one sentence), 2 used wrongly, 130 stopped by Ctrl-C or SIGTERM.
"""

import argparse
import json
import sys
import traceback

from method.manifests import SPLITS
from method.places import argument
from method.training.failures import Ended
from worker.pairs.building import Built
from worker.stopping import STOPPED, stoppable
from worker.training.disk import ended_by


def main(arguments: list[str]) -> int:
    """Build what the command line asks for. A wrong command raises SystemExit(2)."""
    asked = _parse(arguments)
    with stoppable() as stop:
        try:
            built: Built = asked.build(asked)
        except Ended as ended:
            return _fail(str(ended))
        except BaseException as error:  # the process boundary
            if stop.is_asked:
                return _fail("Stopped; nothing was kept", STOPPED)
            if not isinstance(error, Exception):
                raise
            told = ended_by(error, asked.out)
            if told is not error:
                return _fail(str(told))
            traceback.print_exception(error)
            return _fail(f"{type(error).__name__}: {error}")
    for problem in built.problems:
        _say(problem)
    sys.stdout.write((_as_json(built) if asked.json else _words(built)) + "\n")
    return 0


# Each imports its builder only when it is asked for: the dataset reader takes torch's seconds.


def _from_labels(asked: argparse.Namespace) -> Built:
    from worker.pairs.from_labels import from_labels

    return from_labels(
        asked.dataset,
        asked.out,
        name=asked.name or asked.out.name,
        max_pairs_per_image=asked.max_pairs_per_image,
        min_difference=asked.min_difference,
        nearest=asked.nearest,
        with_unfinished=asked.with_unfinished,
    )


def _from_generated(asked: argparse.Namespace) -> Built:
    from worker.pairs.from_generated import agent_judge, from_generated

    judge, judged_by = agent_judge(asked.criteria, asked.dataset)
    return from_generated(
        asked.images,
        asked.out,
        name=asked.name or asked.out.name,
        judge=judge,
        judged_by=judged_by,
        all_pairs=asked.all_pairs,
        min_difference=asked.min_difference,
        say=_say,
    )


def _from_study(asked: argparse.Namespace) -> Built:
    from worker.pairs.from_study import from_study

    return from_study(
        asked.judgements,
        asked.images,
        asked.out,
        name=asked.name or asked.out.name,
        min_agreement=asked.min_agreement,
    )


def _from_pick_a_pic(asked: argparse.Namespace) -> Built:
    from worker.pairs.from_pick_a_pic import from_pick_a_pic

    return from_pick_a_pic(asked.source, asked.out, name=asked.name or asked.out.name, say=_say)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worker.pairs",
        description="Build a pair dataset for Diffusion-DPO, Diffusion-NPO and SPO; see docs/pairs.md.",
    )
    sources = parser.add_subparsers(required=True, metavar="SOURCE")

    labels = sources.add_parser("labels", help="from the labels of a dataset")
    labels.add_argument("dataset", type=argument, help="dataset folder")
    labels.add_argument(
        "--max-pairs-per-image",
        type=_at_least_1,
        default=4,
        metavar="N",
        help="how many pairs an image may be in (default 4)",
    )
    labels.add_argument(
        "--nearest",
        type=_at_least_0,
        default=5,
        metavar="N",
        help="among the images of how many similar prompts an image looks for a partner that found "
        "none of its own prompt; 0: none (default 5)",
    )
    labels.add_argument(
        "--with-unfinished",
        action="store_true",
        help="also images whose labels were not finished: few labels may mean few looked at",
    )
    _add_min_difference(labels)
    _finish(labels, _from_labels)

    generated = sources.add_parser("generated", help="from generated images, ranked by an agent")
    generated.add_argument("images", type=argument, help="folder of images with an index.jsonl")
    asked_of = generated.add_mutually_exclusive_group()
    asked_of.add_argument(
        "--criteria", type=argument, metavar="FILE", help="criteria.json: only its pairs count"
    )
    asked_of.add_argument(
        "--dataset",
        type=argument,
        metavar="FOLDER",
        help="the dataset whose prompts these are: only the pairs of its criteria count, where they apply "
        "to the images that a prompt is of",
    )
    generated.add_argument(
        "--all-pairs",
        action="store_true",
        help="every two images of a prompt, not only the best and the worst",
    )
    _add_min_difference(generated)
    _finish(generated, _from_generated)

    study = sources.add_parser("study", help="from the judgements of a pairwise study")
    study.add_argument("judgements", type=argument, help="judgements.jsonl")
    study.add_argument("images", type=argument, help="folder of the images it names")
    study.add_argument(
        "--min-agreement",
        type=_share,
        default=0.5,
        metavar="SHARE",
        help="the least share of participants that must prefer the winner (default 0.5)",
    )
    _finish(study, _from_study)

    imported = sources.add_parser("pick-a-pic", help="from Parquet files in Pick-a-Pic's layout")
    imported.add_argument("source", type=argument, help="a Parquet file, or a folder of them")
    _finish(imported, _from_pick_a_pic)
    return parser.parse_args(arguments)


def _add_min_difference(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-difference",
        type=_at_least_1,
        default=1,
        metavar="N",
        help="by how many attributes two images must differ (default 1)",
    )


def _finish(parser: argparse.ArgumentParser, build: object) -> None:
    """What all sources have in common, after what is their own."""
    parser.add_argument("out", type=argument, help="folder to write, which does not exist yet")
    parser.add_argument(
        "--name", default="", help="name of the pair dataset (default: of the folder)"
    )
    parser.add_argument("--json", action="store_true", help="print what came out as JSON")
    parser.set_defaults(build=build)


def _at_least_1(text: str) -> int:
    return _whole(text, 1)


def _at_least_0(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} up; got {text!r}")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1; got {text!r}")
    return share


def _as_json(built: Built) -> str:
    data = {
        "folder": str(built.folder),
        "sha256": built.sha256,
        "counts": built.counts,
        "problems": built.problems,
    }
    return json.dumps(data, ensure_ascii=False, indent=2)


def _words(built: Built) -> str:
    counts = built.counts
    splits = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    pairs = f"{counts['pairs']} pairs ({splits}) of {counts['images']} images"
    lines = [f"{built.folder}: {pairs}, from {counts['candidates']} candidates"]
    for kind in ("dropped", "left_out"):
        lines += [
            f"{kind.replace('_', ' ')}: {number} {reason.replace('_', ' ')}"
            for reason, number in counts.get(kind, {}).items()
        ]
    return "\n".join(lines)


def _say(sentence: str) -> None:
    sys.stderr.write(" ".join(sentence.split()) + "\n")


def _fail(sentence: str, code: int = 1) -> int:
    _say(sentence)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
