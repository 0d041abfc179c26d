"""Datasets through the ledger: whole or not at all, verified by hashes, split by image alone."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pictures
from PIL.PngImagePlugin import PngInfo
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from app.criteria.freezing import freeze_version
from app.criteria.models import Criteria
from app.datasets import freezing
from app.datasets.models import Dataset
from app.datasets.selecting import FRACTIONS, split_of
from app.errors import Conflict, Unavailable
from app.images import storage
from app.images.models import Image, ImageTrait
from app.jobs import claiming
from app.jobs.models import Job
from app.jobs.queueing import resume
from app.labels.proposing import Proposed, propose
from app.labels.saving import set_done
from app.settings import settings
from method import manifests
from taxonomy.formats.json import read_json
from taxonomy.formats.json import sha256 as criteria_hash
from taxonomy.prompt import TEMPLATE_ID
from tests.app.datasets.gallery import (
    HANDLERS,
    Gallery,
    Killed,
    encoded,
    landscape,
    open_gallery,
    picture,
)
from tests.app.images import corpus
from tests.factories import Make
from worker import ledger
from worker.datasets import building
from worker.training.examples import read_dataset

pytestmark = pytest.mark.usefixtures("own_storage")

SPLITS = ("train", "validation", "test")


@pytest.fixture
def gallery(db: Session, make: Make) -> Gallery:
    return open_gallery(db, make)


@pytest.fixture
def filled(gallery: Gallery) -> Gallery:
    """Six pictures; each has a confirmed positive, some a negative too."""
    for number, image in enumerate(gallery.hang_many(6)):
        gallery.decide(image, "warm-dominance")
        if number % 2:
            gallery.decide(image, "warm-dominance", "negative")
    return gallery


def build(gallery: Gallery, **options: Any) -> tuple[Dataset, Path]:
    dataset, job = gallery.freeze(**options)
    gallery.work(job)
    assert (job.state, job.error) == ("succeeded", None)
    return dataset, freezing.folder_of(dataset)


def read_lines(folder: Path) -> dict[str, dict[str, Any]]:
    """Every line of all splits by the hash of its image, with its split and file."""
    return {
        row["image_sha256"]: row | {"split": path.parent.name, "path": path.parent}
        for path in folder.glob("*/examples.jsonl")
        for row in map(json.loads, path.read_text("utf-8").splitlines())
    }


def left_behind() -> list[str]:
    home = settings().datasets_folder
    return sorted(path.name for path in home.iterdir()) if home.exists() else []


def test_the_folder_is_what_the_contract_says(filled: Gallery) -> None:
    dataset, folder = build(filled, name="Spring  paintings", salt="pepper")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["format"] == "morelli-dataset/1"
    assert (manifest["name"], manifest["project"]) == ("Spring paintings", "paintings")
    assert manifest["criteria"] == {
        "name": filled.project.name,
        "number": 1,
        "sha256": filled.version.sha256,
    }
    assert (manifest["template"], manifest["separator"]) == (TEMPLATE_ID, ", ")
    assert manifest["split"] == {"salt": "pepper", "fractions": FRACTIONS}
    criteria = read_json((folder / "criteria.json").read_text("utf-8"))
    assert criteria_hash(criteria) == filled.version.sha256
    lines = read_lines(folder)
    assert set(lines) == {image.sha256 for image in filled.images}
    in_folder = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    }
    images = {f"{row['split']}/{row['file_name']}" for row in lines.values()}
    metadata = {
        f"{row['split']}/{name}"
        for row in lines.values()
        for name in ("examples.jsonl", "metadata.parquet")
    }
    assert in_folder == images | metadata | {"manifest.json", "criteria.json"}
    paths = [each["path"] for each in manifest["files"]]
    assert paths == sorted(in_folder - {"manifest.json"})
    for each in manifest["files"]:
        data = (folder / each["path"]).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (each["sha256"], each["bytes"])
    assert manifest["counts"] == dataset.counts
    assert dataset.counts | dict.fromkeys(SPLITS, 0) == {
        "images": 6,
        "train": 0,
        "validation": 0,
        "test": 0,
        "positive_labels": 6,
        "negative_labels": 3,
        "neutral_labels": 0,
        "not_applicable_labels": 0,
        "images_of_known_style": 0,
        "undecided_labels": 0,
        "unfinished": 0,
        "without_negative": 3,
        "without_prompt": 0,
        "same_picture": dataset.counts["same_picture"],
        "contradictions": 0,
        "contradicting_images": 0,
        "contradictions_by_kind": {},
        "labels_left_out": 0,
        "labels_under_the_bar": 0,
        "images_left_out": {},
    }
    assert sum(dataset.counts[split] for split in SPLITS) == 6
    assert dataset.bytes == sum(each["bytes"] for each in manifest["files"])
    assert dataset.manifest_sha256 == manifest["sha256"] == manifests.hash_manifest(manifest)
    assert left_behind() == [folder.name]


def test_lines_hold_the_effective_labels_in_tree_order(gallery: Gallery) -> None:
    first, second, third, empty = gallery.hang_many(4)
    # Confirmed against the order of the tree; what is rejected or only proposed does not count.
    gallery.decide(first, "wide-tonal-range")
    gallery.decide(first, "cool-dominance")
    gallery.decide(first, "cool-dominance", "negative")
    gallery.decide(first, "warm-dominance")
    gallery.decide(first, "warm-dominance", "negative")
    gallery.decide(first, "rich-saturation", "positive", "confirmed")
    gallery.decide(second, "rich-saturation", "negative")
    gallery.decide(second, "wide-tonal-range", "positive")
    gallery.decide(second, "wide-tonal-range", "positive", "rejected")
    gallery.decide(third, "controlled-low-key")
    gallery.decide(third, "controlled-low-key", "positive", "rejected")
    third.prompt, second.prompt = "", "  A fishing boat  "
    gallery.db.commit()
    _, folder = build(gallery)
    lines = read_lines(folder)
    assert set(lines) == {first.sha256, second.sha256}
    one, two = lines[first.sha256], lines[second.sha256]
    assert one["positive_keys"] == [
        "rich-saturation",
        "warm-dominance",
        "cool-dominance",
        "wide-tonal-range",
    ]
    assert one["positive"] == [
        "Rich saturation",
        "Warm dominance",
        "Cool dominance",
        "Wide tonal range",
    ]
    assert one["negative_keys"] == ["warm-dominance", "cool-dominance"]
    assert one["negative"] == ["Warm monotony", "Cool monotony"]
    assert one["image_id"] == first.id
    assert one["text"] == ", ".join(["A painting", *one["positive"], *one["negative"]])
    assert (two["positive"], two["negative"]) == ([], ["Dull color"])
    assert two["text"] == "A fishing boat, Dull color"
    assert empty.sha256 not in lines


def test_labels_are_written_as_they_read_for_the_image(gallery: Gallery) -> None:
    """By style and content, and in the words that a text encoder is told."""
    criteria = gallery.db.get_one(Criteria, gallery.project.id)
    styles = {"fauvism": {"name": "Fauvism"}, "grisaille": {"name": "Grisaille"}}
    criteria.details = {"content": {"figures": {"name": "Figures"}}, "styles": styles}
    reads = {"styles": {"fauvism": "positive", "grisaille": "neutral"}, "prompt": "all one warmth"}
    gallery.nodes["warm-dominance"].details = {"negative": reads}
    gallery.nodes["wide-tonal-range"].details = {"needs": ["figures"]}
    gallery.db.commit()
    freeze_version(gallery.db, gallery.project, by=None)
    gallery.db.commit()
    for image, style in zip(gallery.hang_many(3), ("Fauvism", "grisaille", "Baroque"), strict=True):
        image.details = {"style": style}
        gallery.db.add(
            ImageTrait(
                image_id=image.id,
                kind="content",
                value="figures",
                present=False,
                source="person",
                person_id=gallery.people.ben.id,
            )
        )
        gallery.db.commit()
        gallery.decide(image, "cool-dominance")
        gallery.decide(image, "warm-dominance", "negative")
        gallery.decide(image, "wide-tonal-range", "negative")
    dataset, folder = build(gallery)
    lines = read_lines(folder)
    fauve, gray, other = (lines[image.sha256] for image in gallery.images)
    cool = "Cool dominance"
    assert (fauve["positive"], fauve["negative"]) == (["all one warmth", cool], [])
    assert fauve["positive_keys"] == ["warm-dominance", "cool-dominance"]
    assert fauve["read_as_positive"] == ["warm-dominance/negative"]
    assert fauve["traits"] == {"styles": ["fauvism"], "absent": ["figures"]}
    assert (gray["positive"], gray["negative"], gray["neutral"]) == (
        [cool],
        [],
        ["warm-dominance/negative"],
    )
    assert (other["positive"], other["negative"]) == ([cool], ["all one warmth"])
    assert other["text"] == "A painting, Cool dominance, all one warmth"
    counts = {key: dataset.counts[key] for key in ("neutral_labels", "not_applicable_labels")}
    assert counts == {"neutral_labels": 1, "not_applicable_labels": 3}
    assert dataset.counts["images_of_known_style"] == 2
    read = {each.image_id: each.traits for each in read_dataset(folder, "all").examples}
    assert read[str(gallery.images[0].id)].styles == {"fauvism"}


def test_retired_pairs_stay_out(filled: Gallery) -> None:
    image = filled.images[0]
    filled.decide(image, "rich-saturation")
    filled.nodes["rich-saturation"].retired = True
    filled.db.commit()
    freeze_version(filled.db, filled.project, note="without saturation", by=None)
    filled.db.commit()
    _, folder = build(filled)
    row = read_lines(folder)[image.sha256]
    assert (row["positive"], row["positive_keys"]) == (["Warm dominance"], ["warm-dominance"])


def finish(gallery: Gallery, *images: Image) -> None:
    for image in images:
        set_done(gallery.db, gallery.project, image.id, done=True, by=gallery.people.ben)
    gallery.db.commit()


def test_only_images_that_are_done_unless_asked_for(filled: Gallery) -> None:
    finish(filled, *filled.images[:2])
    dataset, folder = build(filled)
    assert set(read_lines(folder)) == {image.sha256 for image in filled.images[:2]}
    assert (dataset.counts["images"], dataset.counts["unfinished"]) == (2, 0)
    assert dataset.counts["images_left_out"] == {"unfinished": 4}
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["rules"] == {"images": "finished", "contradictions": "keep"}
    dataset, folder = build(filled, only_done=False)
    assert (dataset.counts["images"], dataset.counts["unfinished"]) == (6, 4)
    finished = {row["image_id"] for row in read_lines(folder).values() if row["is_finished"]}
    assert finished == {image.id for image in filled.images[:2]}


def lack(gallery: Gallery, key: str, image: Image) -> ImageTrait:
    """A pair needs figures, and the image has none."""
    criteria = gallery.db.get_one(Criteria, gallery.project.id)
    criteria.details = {"content": {"figures": {"name": "Figures"}}}
    gallery.nodes[key].details = {"needs": ["figures"]}
    trait = ImageTrait(image_id=image.id, kind="content", value="figures", present=False)
    trait.source, trait.person_id = "person", gallery.people.ben.id
    gallery.db.add(trait)
    gallery.db.commit()
    freeze_version(gallery.db, gallery.project, by=None)
    gallery.db.commit()
    return trait


def test_where_nobody_marks_images_what_has_nothing_undecided_is_finished(filled: Gallery) -> None:
    begun = filled.images[0]
    run = filled.make.agent_run(filled.project, filled.version)
    found = Proposed(begun.id, filled.nodes["cool-dominance"].id, "positive")
    propose(
        filled.db,
        filled.project,
        agent_run_id=run.id,
        version_id=filled.version.id,
        findings=[found],
    )
    filled.db.commit()
    dataset, folder = build(filled)
    assert begun.sha256 not in read_lines(folder)
    assert dataset.counts["images_left_out"] == {"unfinished": 1}
    without = lack(filled, "cool-dominance", begun)
    dataset, folder = build(filled)
    assert read_lines(folder)[begun.sha256]["undecided"] == 0
    filled.db.delete(without)
    filled.db.commit()
    finish(filled, begun)
    dataset, folder = build(filled)
    assert set(read_lines(folder)) == {begun.sha256}
    assert read_lines(folder)[begun.sha256]["undecided"] == 1
    assert dataset.counts["undecided_labels"] == 1


@pytest.mark.parametrize(
    ("rule", "kept", "left_out"),
    [
        ("keep", {"first", "second", "third"}, {}),
        ("leave_out_images", {"third"}, {"contradicting": 2}),
        ("leave_out_labels", {"second", "third"}, {"contradicting": 1}),
    ],
)
def test_contradictions_are_counted_and_treated_as_the_lead_says(
    gallery: Gallery, rule: str, kept: set[str], left_out: dict[str, int]
) -> None:
    images = dict(zip(("first", "second", "third"), gallery.hang_many(3), strict=True))
    gallery.decide(images["first"], "wide-tonal-range")
    gallery.decide(images["first"], "wide-tonal-range", "negative")
    gallery.decide(images["second"], "warm-dominance", "negative")
    gallery.decide(images["second"], "rich-saturation")
    gallery.decide(images["third"], "rich-saturation")
    dataset, folder = build(gallery, contradictions=rule)
    lines = read_lines(folder)
    assert set(lines) == {images[name].sha256 for name in kept}
    counts = dataset.counts
    assert (counts["contradictions"], counts["contradicting_images"]) == (2, 2)
    assert counts["contradictions_by_kind"] == {"flaw": 1, "opposed": 1}
    assert counts["images_left_out"] == left_out
    if rule == "keep":
        (said,) = lines[images["first"].sha256]["contradictions"]
        assert "“Wide tonal range” and “Narrow tonal range” cannot both hold" in said
    if rule == "leave_out_labels":
        assert counts["labels_left_out"] == 3
        assert lines[images["second"].sha256]["negative_keys"] == []
    job = gallery.db.get_one(Job, dataset.job_id)
    assert job.result is not None
    assert job.result["contradicting_images"] == 2


def test_files_of_one_picture_stay_in_one_split(gallery: Gallery) -> None:
    alone = [gallery.hang(encoded(landscape(seed))) for seed in range(1, 12)]
    first = landscape(0)
    text = PngInfo()
    text.add_text("Author", "somebody")
    width, height = first.size
    same = [
        encoded(first),
        encoded(first, pnginfo=text),
        encoded(first, "JPEG", quality=60),
        encoded(first, "WEBP", quality=80),
        encoded(first.resize((90, 60))),
        encoded(first.crop((width // 20, 0, width, height - height // 15))),
        encoded(first.convert("L")),
        encoded(first.point(lambda value: min(255, int(value * 1.1)))),
    ]
    files = [gallery.hang(data) for data in same]
    for image in [*alone, *files]:
        gallery.decide(image, "warm-dominance")
    dataset, folder = build(gallery)
    lines = read_lines(folder)
    assert len(lines) == len(alone) + len(files)
    assert len({lines[image.sha256]["split"] for image in files}) == 1
    assert {lines[image.sha256]["picture_sha256"] for image in files} == {files[0].sha256}
    assert all(lines[each.sha256]["picture_sha256"] == each.sha256 for each in alone)
    assert dataset.counts["same_picture"] == len(files) - 1
    for image in alone:
        assert lines[image.sha256]["split"] == split_of("morelli", image.sha256)


def test_pictures_of_an_earlier_release_are_looked_at_by_the_job(gallery: Gallery) -> None:
    first = landscape(0)
    files = [gallery.hang(encoded(first)), gallery.hang(encoded(first, "JPEG", quality=70))]
    for image in files:
        gallery.decide(image, "warm-dominance")
    gallery.db.execute(update(Image).values(pixels=None, looks=None))
    gallery.db.commit()
    dataset, _ = build(gallery)
    assert dataset.counts["same_picture"] == 1


def test_lines_name_the_file_that_came_and_what_was_written_about_it(gallery: Gallery) -> None:
    image = gallery.hang(encoded(picture(1)), name="room 3/NG 12.png")
    image.details = {"painter": "N. N.", "year": "1642", "file": {"notes": ["turned upright"]}}
    gallery.db.commit()
    gallery.decide(image, "warm-dominance")
    _, folder = build(gallery)
    row = read_lines(folder)[image.sha256]
    assert row["name"] == "room 3/NG 12.png"
    assert row["metadata"] == {"painter": "N. N.", "year": "1642"}
    table = parquet.read_table(row["path"] / "metadata.parquet").to_pylist()
    assert json.loads(table[0]["metadata"]) == row["metadata"]


def test_plain_images_are_copied_and_others_made_plain(gallery: Gallery) -> None:
    secret = PngInfo()
    secret.add_text("Author", "SECRETNAME")
    red = picture(7)
    plain = [
        encoded(picture(1)),
        encoded(picture(2), "JPEG", quality=90, dpi=(72, 72)),
        encoded(picture(3), "JPEG", quality=90, progressive=True),
        encoded(picture(4), "WEBP", lossless=True),
    ]
    odd = {
        "turned": corpus.photo(orientation=6),
        "profiled": encoded(picture(5), icc_profile=corpus.swapped_profile()),
        "named": encoded(picture(6), pnginfo=secret),
        "see-through": encoded(red.convert("RGBA")),
        "grey": encoded(picture(8).convert("L")),
    }
    for data in plain:
        gallery.decide(gallery.hang(data), "warm-dominance")
    made = {name: gallery.hang(data) for name, data in odd.items()}
    for image in made.values():
        gallery.decide(image, "warm-dominance")
    _, folder = build(gallery)
    lines = read_lines(folder)
    for data, ending in zip(plain, ("png", "jpg", "jpg", "webp"), strict=True):
        sha256 = hashlib.sha256(data).hexdigest()
        row = lines[sha256]
        assert row["file_name"] == f"{sha256}.{ending}"
        assert row["sha256"] == sha256
        assert (row["path"] / row["file_name"]).read_bytes() == data
    for image in made.values():
        row = lines[image.sha256]
        assert row["file_name"] == f"{image.sha256}.png"
        data = (row["path"] / row["file_name"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(data).hexdigest() != image.sha256
        assert b"SECRET" not in data
        with Pictures.open(row["path"] / row["file_name"]) as shown:
            shown.load()
            assert (shown.format, shown.mode, shown.size) == (
                "PNG",
                "RGB",
                (image.width, image.height),
            )
            assert not shown.info
    turned = lines[made["turned"].sha256]
    with Pictures.open(turned["path"] / turned["file_name"]) as shown:
        assert shown.size == (40, 60)
        pixels = np.asarray(shown.convert("RGB")).astype(int)
        assert pixels[:20, :, 0].mean() > pixels[-20:, :, 0].mean() + 80  # what was left is above
    swapped = lines[made["profiled"].sha256]
    with Pictures.open(swapped["path"] / swapped["file_name"]) as shown:
        pixels = np.asarray(shown).astype(int)
        assert pixels[..., 1].mean() > pixels[..., 0].mean() + 50  # its red is sRGB's green
    assert manifests.verify(folder) == []


def test_training_reads_what_is_written(gallery: Gallery) -> None:
    examples = pytest.importorskip("worker.training.examples")
    gallery.decide(gallery.hang(corpus.photo(orientation=6)), "warm-dominance")
    gallery.decide(gallery.hang(encoded(picture(1))), "rich-saturation", "negative")
    dataset, folder = build(gallery)
    read = examples.read_dataset(folder, "all")
    assert (read.sha256, read.name) == (dataset.manifest_sha256, "First")
    assert sorted(each.texts.all for each in read.examples) == [
        "A painting, Dull color",
        "A painting, Warm dominance",
    ]
    for each in read.examples:
        shown = examples.read_picture(each.path, each.sha256, (24, 16))
        assert shown.pixels_CHW.shape == (3, 16, 24)
        assert shown.size_ids[:2] == (each.size[1], each.size[0])


def damage_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"First"', '"Other"'))


def damage_lines(folder: Path) -> None:
    path = next(folder.glob("*/examples.jsonl"))
    path.write_text(path.read_text().replace("A painting", "A photograph"))


def add_file(folder: Path) -> None:
    (folder / "train").mkdir(exist_ok=True)
    (folder / "train" / "stranger.png").write_bytes(encoded(picture(99)))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_manifest, "manifest.json: its own hash does not hold"),
        (damage_lines, "examples.jsonl: changed"),
        (lambda folder: next(folder.glob("*/*.png")).unlink(), ".png: missing"),
        (lambda folder: (folder / "criteria.json").write_text("{}"), "criteria.json: changed"),
        (add_file, "train/stranger.png: not in the manifest"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json cannot be read"),
    ],
)
def test_damage_is_found(filled: Gallery, damage: Callable[[Path], object], words: str) -> None:
    _, folder = build(filled)
    assert manifests.verify(folder) == []
    damage(folder)
    problems = manifests.verify(folder)
    assert len(problems) == 1
    assert words in problems[0]


def test_one_changed_bit_of_an_image_is_found(filled: Gallery) -> None:
    _, folder = build(filled)
    path = next(folder.glob("*/*.png"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert manifests.verify(folder) == [f"{path.relative_to(folder).as_posix()}: changed"]


def test_adding_images_moves_none_of_the_others(filled: Gallery) -> None:
    _, folder = build(filled)
    before = {sha256: row["split"] for sha256, row in read_lines(folder).items()}
    for image in filled.hang_many(4):
        filled.decide(image, "warm-dominance")
    second, folder = build(filled, name="Second")
    after = {sha256: row["split"] for sha256, row in read_lines(folder).items()}
    assert second.number == 2
    assert len(after) == 10
    assert before.items() <= after.items()
    assert len(set(after.values())) == 1  # ramps that differ in their noise alone are one picture


@given(salt=st.text(min_size=1, max_size=80), start=st.integers(0, 2**32))
def test_splits_are_near_their_fractions_for_any_salt(salt: str, start: int) -> None:
    number = 3000
    hashes = [hashlib.sha256(f"{start} {each}".encode()).hexdigest() for each in range(number)]
    split = Counter(split_of(salt, each) for each in hashes)
    assert set(split) <= set(FRACTIONS)
    for name, fraction in FRACTIONS.items():
        spread = (number * fraction * (1 - fraction)) ** 0.5
        assert abs(split[name] - number * fraction) < 6 * spread
    assert [split_of(salt, each) for each in hashes[:50]] == [
        split_of(salt, each) for each in hashes[:50]
    ]


def test_the_split_is_fixed_for_good() -> None:
    """Another answer here would let images change sides between datasets of one salt."""
    hashes = [hashlib.sha256(bytes([each])).hexdigest() for each in range(60)]
    found = {each: split_of("morelli", hashes[each]) for each in range(60)}
    assert [each for each in found if found[each] == "validation"] == [10, 15, 30, 31, 47]
    assert [each for each in found if found[each] == "test"] == [12, 18, 39, 55]
    assert [split_of("a", each) for each in hashes] != [split_of("b", each) for each in hashes]


def release(db: Session, job: Job) -> None:
    """Let a killed worker's lease run out, or a pause end, and take back what is due."""
    past = func.now() - claiming.LEASE
    db.rollback()
    db.execute(update(Job).where(Job.id == job.id, Job.state == "running").values(lease_until=past))
    db.execute(update(Job).where(Job.id == job.id).values(not_before=past))
    claiming.sweep(db)
    db.commit()


@pytest.mark.parametrize(
    "place",
    ["building.write_file", "building.write_lines", "manifests.list_files", "building.sync"],
)
@pytest.mark.parametrize("error", [Killed(), OSError(28, "No space left on device")])
def test_a_build_that_stops_leaves_nothing_and_a_rerun_succeeds(
    filled: Gallery, monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException
) -> None:
    dataset, job = filled.freeze()

    def stop(*args: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        module, name = place.split(".")
        patch.setattr({"building": building, "manifests": manifests}[module], name, stop)
        if isinstance(error, Killed):
            with pytest.raises(Killed):
                ledger.run(job.id, HANDLERS)
        else:
            ledger.run(job.id, HANDLERS)
    filled.db.expire_all()
    assert (dataset.folder, dataset.manifest_sha256) == (None, None)
    with pytest.raises(Conflict, match="not ready"):
        freezing.folder_of(dataset)
    if place != "building.sync":  # there the folder has its name already, and no row names it
        assert left_behind() == []
    release(filled.db, job)
    filled.work(job)
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert left_behind() == [dataset.folder]
    assert manifests.verify(freezing.folder_of(dataset)) == []


def test_a_worker_killed_by_the_system_leaves_no_dataset(filled: Gallery) -> None:
    dataset, job = filled.freeze()
    code = (
        "import os, signal\n"
        "from worker import ledger\n"
        "from method import manifests\n"
        "from worker.datasets import building\n"
        "manifests.list_files = lambda folder: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"ledger.run({job.id}, {{'dataset': building.run}})\n"
    )
    variables = {**os.environ, "MORELLI_HOME": str(settings().home)}
    died = subprocess.run([sys.executable, "-c", code], env=variables, check=False)
    assert died.returncode == -9
    filled.db.rollback()
    filled.db.expire_all()
    assert dataset.folder is None
    assert all(name.startswith(".") for name in left_behind())
    release(filled.db, job)
    filled.work(job)
    assert job.state == "succeeded"
    assert left_behind() == [dataset.folder]
    assert manifests.verify(freezing.folder_of(dataset)) == []


def test_a_cancelled_build_leaves_nothing(filled: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, job = filled.freeze()
    real = building._write_lines

    def cancel(*args: Any) -> None:
        raise ledger.Stopped("cancelled")

    monkeypatch.setattr(building, "_write_lines", cancel)
    filled.work(job)
    assert (job.state, dataset.folder, left_behind()) == ("cancelled", None, [])
    monkeypatch.setattr(building, "_write_lines", real)
    resume(filled.db, filled.project, job.id)
    filled.db.commit()
    filled.work(job)
    assert job.state == "succeeded"


def test_a_stale_worker_does_not_replace_what_the_present_one_makes(
    filled: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, job = filled.freeze()
    real = manifests.list_files

    def overtaken(folder: Path) -> list[dict[str, Any]]:
        monkeypatch.setattr(manifests, "list_files", real)
        release(filled.db, job)
        assert ledger.run(job.id, HANDLERS)  # another worker does it all meanwhile
        (folder / "train").mkdir(parents=True, exist_ok=True)
        return []

    monkeypatch.setattr(manifests, "list_files", overtaken)
    filled.work(job)
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert left_behind() == [dataset.folder]
    assert manifests.verify(freezing.folder_of(dataset)) == []


def test_a_ready_dataset_never_changes(filled: Gallery) -> None:
    dataset, folder = build(filled)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    sha256 = dataset.manifest_sha256
    for image in filled.images:
        filled.decide(image, "warm-dominance", "positive", "rejected")
    filled.images[0].prompt = "Another prompt"
    filled.db.commit()
    again = filled.make.job(filled.project, kind="dataset", spec={"dataset_id": dataset.id})
    filled.work(again)
    assert again.result is not None and again.result["sha256"] == sha256
    assert dataset.manifest_sha256 == sha256
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    with pytest.raises(Conflict, match="cannot change"):
        freezing.close_dataset(
            filled.db,
            dataset,
            folder="other",
            manifest_sha256="0" * 64,
            counts={},
            num_bytes=0,
        )
    assert dataset.folder == folder.name


def test_labels_are_those_of_the_moment_the_job_begins(
    filled: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = building._write_images

    def change_meanwhile(*args: Any) -> Any:
        for image in filled.images:
            filled.decide(image, "rich-saturation")
        return real(*args)

    monkeypatch.setattr(building, "_write_images", change_meanwhile)
    dataset, _ = build(filled)
    assert dataset.counts["positive_labels"] == 6


def test_nothing_that_counts_fails_in_words(gallery: Gallery) -> None:
    image = gallery.hang_many(1)[0]
    gallery.decide(image, "warm-dominance")
    dataset, job = gallery.freeze()
    gallery.decide(image, "warm-dominance", "positive", "rejected")
    gallery.work(job)
    assert (job.state, job.error_class) == ("failed", "data")
    assert job.error == (
        "No image has a confirmed label of this criteria version. A dataset freezes confirmed labels: "
        "correct some first."
    )
    assert dataset.folder is None


def test_an_image_without_bytes_is_named_and_the_others_go_in(filled: Gallery) -> None:
    lost = filled.images[2]
    (settings().home / "images" / storage.key_of("original", lost.sha256)).unlink()
    dataset, folder = build(filled)
    assert lost.sha256 not in read_lines(folder)
    assert dataset.counts["images"] == 5
    assert dataset.counts["images_left_out"] == {"unreadable": 1}
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert [each["name"] for each in manifest["problems"]] == ["2.png"]
    assert manifests.verify(folder) == []


def test_a_damaged_original_never_comes_into_a_dataset(filled: Gallery) -> None:
    for image in filled.images:
        path = settings().home / "images" / storage.key_of("original", image.sha256)
        path.write_bytes(encoded(picture(55)))
    _, job = filled.freeze()
    filled.work(job)
    assert (job.state, job.error_class) == ("failed", "data")
    assert job.error is not None and "no longer matches its hash" in job.error
    assert left_behind() == []


def test_a_storage_that_does_not_answer_is_tried_again(
    filled: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(sha256: str) -> bytes:
        raise Unavailable("The image storage did not answer.")

    _, job = filled.freeze()
    with monkeypatch.context() as patch:
        patch.setattr(storage, "get_original", away)
        filled.work(job)
    assert (job.state, job.error_class) == ("queued", "infrastructure")
    release(filled.db, job)
    filled.work(job)
    assert job.state == "succeeded"


LOAD = """
import json, sys
from datasets import load_dataset
loaded = load_dataset("imagefolder", data_dir=sys.argv[1], cache_dir=sys.argv[2])
rows = {name: [[row["image"].size, row["positive"], row["text"]] for row in split]
        for name, split in loaded.items()}
print(json.dumps(rows))
"""


def test_the_datasets_library_loads_all_three_splits_offline(
    gallery: Gallery, tmp_path: Path
) -> None:
    # Two images for each split; of all of them only one has a negative, so that in two splits the
    # columns of negatives hold nothing but empty lists.
    number: Counter[str] = Counter()
    seed = 0
    while min(number[split] for split in SPLITS) < 2:
        data = encoded(landscape(seed))
        seed += 1
        split = split_of("morelli", hashlib.sha256(data).hexdigest())
        if number[split] == 2:
            continue
        image = gallery.hang(data, prompt=f"A {split} painting")
        gallery.decide(image, "warm-dominance")
        if split == "train" and number[split] == 0:
            gallery.decide(image, "warm-dominance", "negative")
        number[split] += 1
    _, built = build(gallery)
    folder = tmp_path / "moved"
    shutil.copytree(built, folder)
    variables = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "hf"),
    }
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), str(tmp_path / "cache")],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])
    assert set(rows) == set(SPLITS)
    for split in SPLITS:
        negative = ", Warm monotony" if split == "train" else ""
        assert sorted(text for _, _, text in rows[split]) == [
            f"A {split} painting, Warm dominance",
            f"A {split} painting, Warm dominance{negative}",
        ]
        assert all(size == [180, 120] for size, _, _ in rows[split])
        assert all(positive == ["Warm dominance"] for _, positive, _ in rows[split])
