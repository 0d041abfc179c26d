"""Dataset folders: what is accepted, and what the refusal says."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.worker.training.datasets import seal, write_dataset
from worker.training.examples import Example, read_dataset, read_picture
from worker.training.failures import InvalidDataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", 3)


def change_line(folder: Path, index: int, **changes: Any) -> None:
    path = folder / "train/examples.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[index] |= changes
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seal(folder)


def test_reads_examples_with_their_conditions(folder: Path) -> None:
    dataset = read_dataset(folder, "train")
    assert (dataset.name, dataset.criteria, len(dataset.examples)) == ("houses", "Painting 1", 3)
    first, second, _ = dataset.examples
    assert first.num_negative == 0
    assert second.texts.all == (
        "painting of a house number 1, Rich saturation, Dull color, Crowded composition"
    )
    assert second.texts.negative == "Dull color, Crowded composition"
    assert len(read_dataset(folder, "all").examples) == 3


def test_a_picture_may_be_a_new_encoding_of_the_uploaded_one(folder: Path) -> None:
    change_line(folder, 1, sha256="f" * 64)
    example = read_dataset(folder, "train").examples[1]
    assert example.sha256 == hashlib.sha256(example.path.read_bytes()).hexdigest()


def test_a_prompt_may_hold_any_letter(folder: Path) -> None:
    prompt = "one\u2028two\x85three"
    path = folder / "train/examples.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    row |= {"prompt": prompt, "text": f"{prompt}, Visible brushwork"}
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    seal(folder)
    assert read_dataset(folder, "train").examples[0].texts.content == prompt


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": 3}, "line 2: prompt must be text"),
        ({"positive": "Clear edges"}, "line 2: positive must be a list"),
        ({"negative": [""]}, "line 2: negative must be a list of attribute names"),
        ({"image_id": None}, "line 2: image_id is missing"),
        ({"file_name": "../secret.png"}, "line 2: file_name '../secret.png' is not a plain file"),
        ({"file_name": "gone.png"}, "line 2: gone.png is not in the manifest"),
        ({"text": "something else"}, "line 2: text is not what its prompt and attributes give"),
        ({"image_id": "image-0"}, "image_id image-0 stands there twice"),
    ],
)
def test_a_wrong_line_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    change_line(folder, 1, **changes)
    with pytest.raises(InvalidDataset) as caught:
        read_dataset(folder, "train")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other/1"}, "format is not morelli-dataset/1"),
        ({"template": "comma-list/0"}, "template 'comma-list/0'"),
        ({"criteria": {}}, "criteria: name is missing"),
        ({"files": [{}]}, "files[0]: path is missing"),
    ],
)
def test_a_wrong_manifest_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    seal(folder, **changes)
    with pytest.raises(InvalidDataset) as caught:
        read_dataset(folder, "train")
    assert message in str(caught.value)


def test_changes_after_the_dataset_was_made_are_noticed(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["name"] = "other"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InvalidDataset, match=r"manifest\.json: was changed"):
        read_dataset(folder, "train")
    seal(folder)
    with (folder / "train/examples.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(InvalidDataset, match=r"examples\.jsonl: was changed"):
        read_dataset(folder, "train")


def test_an_empty_split_and_a_missing_folder_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="split test has no images"):
        read_dataset(folder, "test")
    with pytest.raises(InvalidDataset, match=r"manifest\.json: cannot be read: No such file"):
        read_dataset(tmp_path / "none", "train")


def test_a_changed_or_broken_picture_is_named(folder: Path) -> None:
    example = read_dataset(folder, "train").examples[0]
    content = example.path.read_bytes()
    example.path.write_bytes(content + b" ")
    with pytest.raises(InvalidDataset, match="not what the dataset recorded"):
        read_picture(example, 64)
    with pytest.raises(InvalidDataset, match="cannot be read as an image"):
        read_picture(written(example, b"not an image"), 64)


def test_a_picture_is_scaled_by_its_short_side_and_cropped_in_the_middle(folder: Path) -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 255
    picture = shown(folder, Image.fromarray(pixels), 50)
    assert picture.size_ids == (100, 300, 0, 50, 50, 50)
    assert picture.pixels_CHW.shape == (3, 50, 50)
    assert picture.pixels_CHW[:, :, 5:-5].min() > 0.99


def test_orientation_transparency_and_gray_are_honoured(folder: Path) -> None:
    turned = Image.fromarray(np.arange(200, dtype=np.uint8).reshape(10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = shown(folder, turned, 10, exif=exif)
    assert picture.size_ids[:2] == (20, 10)
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert shown(folder, clear, 16).pixels_CHW.min() == 1


def test_an_embedded_colour_profile_is_honoured(folder: Path) -> None:
    plain = Image.new("RGB", (20, 20), (180, 90, 60))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = shown(folder, plain, 16, icc_profile=lab)
    assert (same.pixels_CHW - shown(folder, plain, 16).pixels_CHW).abs().max() < 0.02
    broken = shown(folder, plain, 16, icc_profile=b"broken")
    assert (broken.pixels_CHW == shown(folder, plain, 16).pixels_CHW).all()


def shown(folder: Path, image: Image.Image, resolution: int, **options: Any) -> Any:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    example = read_dataset(folder, "train").examples[1]
    return read_picture(written(example, buffer.getvalue()), resolution)


def written(example: Example, content: bytes) -> Example:
    path = example.path.with_name("picture.png")
    path.write_bytes(content)
    return replace(example, path=path, sha256=hashlib.sha256(content).hexdigest())
