"""Dataset folders: what is accepted, what the refusal says, and what images and labels become."""

import hashlib
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from method.training.config import Words
from method.training.failures import InvalidDataset
from tests.worker.training.datasets import SHAPES, seal, write_dataset, write_lines
from worker.training.examples import (
    Dataset,
    Picture,
    choose_share,
    read_dataset,
    read_picture,
    read_size,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", 3)


def change_line(folder: Path, index: int, **changes: Any) -> None:
    path = folder / "train/examples.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[index] |= changes
    write_lines(path.parent, rows)
    seal(folder)


def texts(dataset: Dataset) -> list[tuple[str, str]]:
    """What stands after the prompt, with and without A_neg."""
    return [
        (each.texts.positive[len(each.texts.content) :], each.texts.all[len(each.texts.content) :])
        for each in dataset.examples
    ]


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
    with pytest.raises(InvalidDataset, match=r"manifest\.json: cannot be read: No such file"):
        read_dataset(tmp_path / "none", "train", allow_empty=True)


def test_a_split_without_images_may_be_asked_for(folder: Path) -> None:
    assert read_dataset(folder, "validation", allow_empty=True).examples == ()
    strange = folder / "validation/examples.jsonl"
    strange.parent.mkdir()
    strange.write_text("")
    with pytest.raises(InvalidDataset, match="is not in the manifest"):
        read_dataset(folder, "validation", allow_empty=True)


def test_examples_know_their_split_and_size(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 5, validation=2, test=1)
    assert [each.split for each in read_dataset(folder, "all").examples] == (
        ["train"] * 5 + ["validation"] * 2 + ["test"]
    )
    (first, second) = read_dataset(folder, "validation").examples
    assert (first.image_id, first.size) == ("image-5", SHAPES[1])
    assert (second.image_id, second.size) == ("image-6", SHAPES[2])


# Texts, as the config asks for them


def test_attributes_may_be_marked_and_sorted_by_name(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 2)
    change_line(
        folder,
        1,
        positive=["b", "C", "a"],
        negative=["z", "y"],
        text="painting of a house number 1, b, C, a, z, y",
    )
    assert texts(read_dataset(folder, "train"))[1] == (", b, C, a", ", b, C, a, z, y")
    marked = read_dataset(folder, "train", Words(polarity_markers=True, order="name"))
    assert texts(marked) == [
        (", positive: Visible brushwork", ", positive: Visible brushwork"),
        (", positive: a, b, C", ", positive: a, b, C, negative: y, z"),
    ]
    assert marked.examples[1].texts.negative == "negative: y, z"


def test_something_may_stand_for_missing_negatives(folder: Path) -> None:
    for words in (Words(), Words(empty_neg="null")):
        found = read_dataset(folder, "train", words).examples[0]
        assert (found.num_negative, found.texts.negative) == (0, "")
        assert found.texts.all == found.texts.positive
    words = Words(empty_neg="generic", generic_neg="bad anatomy, blur", polarity_markers=True)
    without, flawed, _ = read_dataset(folder, "train", words).examples
    assert without.num_negative == 0
    assert without.texts.negative == "negative: bad anatomy, blur"
    assert without.texts.all == f"{without.texts.positive}, negative: bad anatomy, blur"
    assert (flawed.num_negative, flawed.texts.negative) == (
        2,
        "negative: Dull color, Crowded composition",
    )


def test_binary_and_scalar_rewards_replace_the_attributes(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 5, validation=1)
    binary = read_dataset(folder, "train", Words(reducer="binary"))
    assert texts(binary) == [
        (", good Surface", ", good Surface"),
        ("", ", poor Composition"),
        ("", ", poor Composition"),
        ("", ", poor Surface"),
        ("", ", poor Color"),
    ]
    assert [each.num_negative for each in binary.examples] == [0, 1, 1, 1, 1]
    scalar = read_dataset(folder, "train", Words(reducer="scalar", empty_neg="generic"))
    generic = ", high quality, low quality, poor composition, bad anatomy"
    assert texts(scalar) == [
        (", high quality", generic),
        # The typical score is that of images 1, 3 and 4, whose flaws outweigh what is good.
        ("", ", low quality"),
        (", high quality", generic),
        ("", ", low quality"),
        ("", ", low quality"),
    ]
    assert [each.num_negative for each in scalar.examples] == [0, 1, 0, 1, 1]
    assert {each.texts.content for each in scalar.examples} == {
        f"painting of a house number {index}" for index in range(5)
    }


def test_the_typical_image_is_one_of_the_training_images(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 4, validation=3, without_negative=3)
    words = Words(reducer="scalar")
    alone = read_dataset(folder, "validation", words).examples
    assert alone == read_dataset(folder, "all", words).examples[4:]
    assert [each.texts.positive.endswith("high quality") for each in alone] == [True] * 3
    for path in (folder / "train").iterdir():
        path.unlink()
    seal(folder)
    with pytest.raises(InvalidDataset, match=r"split train has no labels; the scalar reducer"):
        read_dataset(folder, "validation", words)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", r"criteria\.json: cannot be read as criteria: .*name"),
        ("nonsense", r"criteria\.json: cannot be read as criteria: .*not JSON"),
        (None, r"criteria\.json: is not in the manifest"),
    ],
)
def test_only_coarser_rewards_need_the_criteria(
    folder: Path, content: str | None, message: str
) -> None:
    if content is None:
        (folder / "criteria.json").unlink()
    else:
        (folder / "criteria.json").write_text(content)
    seal(folder)
    assert len(read_dataset(folder, "train").examples) == 3
    for words in (Words(reducer="binary"), Words(reducer="scalar")):
        with pytest.raises(InvalidDataset, match=message):
            read_dataset(folder, "train", words)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"positive_keys": ["gone"]},
            "line 2: its keys do not fit criteria.json: No attribute pair",
        ),
        ({"negative_keys": ["color"]}, "line 2: its keys do not fit criteria.json: No attribute"),
        ({"negative_keys": [["edges"]]}, "line 2: its keys do not fit criteria.json: unhashable"),
        ({"negative_keys": "edges"}, "line 2: negative_keys must be a list"),
    ],
)
def test_wrong_keys_are_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    change_line(folder, 1, **changes)
    assert len(read_dataset(folder, "train").examples) == 3
    with pytest.raises(InvalidDataset) as caught:
        read_dataset(folder, "train", Words(reducer="binary"))
    assert message in str(caught.value)


def test_changed_criteria_are_noticed(folder: Path) -> None:
    path = folder / "criteria.json"
    path.write_text(path.read_text().replace("Surface", "Skin"))
    with pytest.raises(InvalidDataset, match=r"criteria\.json: was changed after"):
        read_dataset(folder, "train", Words(reducer="binary"))


# A share of the images


def test_smaller_shares_are_contained_in_larger_ones(folder: Path) -> None:
    (example, *_) = read_dataset(folder, "train").examples
    examples = [replace(example, image_id=str(index)) for index in range(97)]
    shares = [choose_share(examples, share) for share in (0.001, 0.1, 0.2, 0.5, 1.0)]
    assert [len(each) for each in shares] == [1, 10, 19, 48, 97]
    for smaller, larger in pairwise(shares):
        assert set(smaller) < set(larger)
    assert list(shares[-1]) == examples
    assert shares[1] != tuple(examples[:10])


def test_a_share_does_not_depend_on_the_order_of_the_lines(folder: Path) -> None:
    (example, *_) = read_dataset(folder, "train").examples
    examples = [replace(example, image_id=str(index)) for index in range(20)]
    chosen = choose_share(examples, 0.3)
    assert [int(each.image_id) for each in chosen] == sorted(int(e.image_id) for e in chosen)
    assert choose_share(examples[::-1], 0.3) == chosen[::-1]


# Pictures


def test_a_changed_or_broken_picture_is_named(folder: Path) -> None:
    example = read_dataset(folder, "train").examples[0]
    content = example.path.read_bytes()
    example.path.write_bytes(content + b" ")
    with pytest.raises(InvalidDataset, match="not what the dataset recorded"):
        read_picture(example.path, example.sha256, (64, 64))
    broken = example.path.with_name("broken.png")
    broken.write_bytes(b"not an image")
    with pytest.raises(InvalidDataset, match=r"broken\.png: cannot be read as an image"):
        read_picture(broken, hashlib.sha256(b"not an image").hexdigest(), (64, 64))
    with pytest.raises(InvalidDataset, match=r"broken\.png: cannot be read as an image"):
        read_size(broken)
    Image.new("RGB", (20, 10)).save(broken, exif=b"broken")
    # The picture is fine without what stands in EXIF.
    assert read_size(broken) == (20, 10)
    example.path.unlink()
    with pytest.raises(InvalidDataset, match=r"png: cannot be read as an image: No such file"):
        read_dataset(folder, "train")


def test_a_picture_is_scaled_to_cover_its_size_and_cropped_in_the_middle(folder: Path) -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 255
    picture = shown(folder, Image.fromarray(pixels), (50, 50))
    assert picture.size_ids == (100, 300, 0, 50, 50, 50)
    assert picture.pixels_CHW.shape == (3, 50, 50)
    assert picture.pixels_CHW[:, :, 5:-5].min() > 0.99
    lying = shown(folder, Image.fromarray(pixels), (100, 50))
    assert lying.size_ids == (100, 300, 0, 25, 50, 100)
    assert lying.pixels_CHW.shape == (3, 50, 100)
    assert lying.pixels_CHW[:, :, 30:70].min() > 0.99
    assert lying.pixels_CHW[:, :, :20].max() < -0.99
    upright = shown(folder, Image.fromarray(pixels.transpose(1, 0, 2)), (60, 30))
    assert upright.size_ids == (300, 100, 75, 0, 30, 60)
    assert upright.pixels_CHW.min() > 0.9


def test_a_picture_of_the_wanted_size_stays_as_it_is(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    picture = shown(folder, Image.fromarray(pixels), (40, 24))
    assert picture.size_ids == (24, 40, 0, 0, 24, 40)
    back = ((picture.pixels_CHW + 1) * 127.5).round().permute(1, 2, 0).numpy()
    assert (back == pixels).all()


def test_orientation_transparency_and_gray_are_honoured(folder: Path) -> None:
    turned = Image.fromarray(np.arange(200, dtype=np.uint8).reshape(10, 20))
    picture = shown(folder, turned, (10, 10), exif=orientation(6))
    assert picture.size_ids[:2] == (20, 10)
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert shown(folder, clear, (16, 16)).pixels_CHW.min() == 1


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_size_is_that_of_the_picture_as_displayed(tmp_path: Path, ending: str, turn: int) -> None:
    path = tmp_path / f"picture.{ending}"
    Image.new("RGB", (20, 10)).save(path, exif=orientation(turn))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    size = read_size(path)
    assert size == ((20, 10) if turn < 5 else (10, 20))
    assert read_picture(path, sha256, (8, 8)).size_ids[:2] == (size[1], size[0])


def test_a_size_is_read_without_the_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    for ending in ("png", "jpg"):
        path = tmp_path / f"picture.{ending}"
        Image.fromarray(pixels).save(path)
        path.write_bytes(path.read_bytes()[:2000])
        assert read_size(path) == (200, 300)


def test_an_embedded_colour_profile_is_honoured(folder: Path) -> None:
    plain = Image.new("RGB", (20, 20), (180, 90, 60))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = shown(folder, plain, (16, 16), icc_profile=profile)
    expected = shown(folder, plain, (16, 16)).pixels_CHW
    assert (same.pixels_CHW - expected).abs().max() < 0.02
    broken = shown(folder, plain, (16, 16), icc_profile=b"broken")
    assert (broken.pixels_CHW == expected).all()


def shown(folder: Path, image: Image.Image, size: tuple[int, int], **options: Any) -> Picture:
    path = folder / "picture.png"
    image.save(path, **options)
    return read_picture(path, hashlib.sha256(path.read_bytes()).hexdigest(), size)


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif
