"""The pairs of a pair dataset through page and API: read a page at a time, with pictures that are safe."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pictures
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.datasets.models import PairDataset
from app.images import image_files, storage
from app.settings import settings
from tests.app.datasets.gallery import encoded, picture
from tests.factories import Make
from tests.people import Cast, cast

pytestmark = pytest.mark.usefixtures("own_storage")

SignInAt = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
PAGE, API = "/projects/paintings/datasets/pairs", "/api/v1/projects/paintings/datasets/pairs"
REASON = {"negative": {"winner": 1, "loser": 4}, "positive": {"winner": 2, "loser": 2}}


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def ben(browser: TestClient, sign_in: SignInAt, people: Cast) -> TestClient:
    return sign_in(browser, people.ben)


def put_picture(folder: Path, data: bytes, ending: str = "png") -> str:
    name = f"{hashlib.sha256(data).hexdigest()}.{ending}"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "images" / name).write_bytes(data)
    return name


def line(index: int, **changes: Any) -> dict[str, Any]:
    made = {
        "pair_id": f"pair-{index}", "prompt": f"Häuser am Meer {index}", "winner_id": f"w{index}",
        "loser_id": f"l{index}", "winner": f"{2 * index:064x}.png", "loser": f"{2 * index + 1:064x}.jpg",
        "reason": REASON,
    }  # fmt: skip
    return made | changes


def keep(db: Session, people: Cast, lines: list[dict[str, Any]], **values: Any) -> PairDataset:
    """A ready pair dataset whose manifest lists what its folder holds."""
    folder = settings().pairs_folder / "pairs-1"
    (folder / "train").mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines)
    (folder / "train" / "pairs.jsonl").write_text(text, encoding="utf-8")
    files = [{"path": each.relative_to(folder).as_posix()} for each in sorted(folder.rglob("*.*"))]
    (folder / "manifest.json").write_text(json.dumps({"files": files}, indent=1))
    counts = {"pairs": len(lines), "train": len(lines), "validation": 0, "test": 0}
    ready = {"folder": "pairs-1", "manifest_sha256": "c" * 64, "bytes": 1}
    counts |= {"images": 2, "candidates": len(lines)}
    pairs = PairDataset(
        **{"project_id": people.project.id, "number": 1, "name": "Pairs", "source": "import"}
        | {"counts": counts} | ready | values
    )  # fmt: skip
    db.add(pairs)
    db.commit()
    return pairs


def link(text: str, rel: str) -> str | None:
    """The address of the previous or next page."""
    _, found, rest = text.partition(f'rel="{rel}" href="')
    return rest.partition('"')[0].replace("&amp;", "&").partition("#")[0] if found else None


def prompts_in(text: str) -> list[str]:
    return [each.partition("</p>")[0] for each in text.split('<p class="prompt">')[1:]]


def test_a_page_shows_pairs_with_both_pictures_and_the_reason(
    ben: TestClient, db: Session, people: Cast
) -> None:
    folder = settings().pairs_folder / "pairs-1"
    won, lost = (put_picture(folder, encoded(picture(seed))) for seed in (1, 2))
    reason = REASON | {
        "similarity": 0.62109, "prompts": {"winner": "a <house>", "loser": "a house & trees"}
    }  # fmt: skip
    one = line(0, prompt="a <house>", winner=won, loser=lost, reason=reason)
    pairs = keep(db, people, [one])
    text = ben.get(f"{PAGE}/{pairs.id}").text
    assert prompts_in(text) == ["a &lt;house&gt;"]
    assert "1 negative attribute against 4." in text
    assert "another prompt (similarity 0.62): “a house &amp; trees”" in text
    shown = [f"{PAGE}/{pairs.id}/thumb/{each}" for each in (won, lost)]
    places = [text.index(each) for each in ("Preferred", shown[0], "Not preferred", shown[1])]
    assert places == sorted(places)
    assert link(text, "next") is None and link(text, "prev") is None


def test_pages_lead_through_all_pairs_and_back(ben: TestClient, db: Session, people: Cast) -> None:
    pairs = keep(db, people, [line(index) for index in range(30)])
    text = ben.get(f"{PAGE}/{pairs.id}").text
    pages = [prompts_in(text)]
    while address := link(text, "next"):
        text = ben.get(address).text
        pages.append(prompts_in(text))
    assert [len(each) for each in pages] == [12, 12, 6]
    assert [each for page in pages for each in page] == [line(n)["prompt"] for n in range(30)]
    back = [pages[-1]]
    while address := link(text, "prev"):
        text = ben.get(address).text
        back.append(prompts_in(text))
    assert back == pages[::-1]


def test_long_prompts_do_not_confuse_the_way_back(
    ben: TestClient, db: Session, people: Cast
) -> None:
    prompts = [f"{index} " + "ö" * 40_000 for index in range(13)]
    pairs = keep(db, people, [line(index, prompt=each) for index, each in enumerate(prompts)])
    last = ben.get(link(ben.get(f"{PAGE}/{pairs.id}").text, "next") or "").text
    assert prompts_in(last) == prompts[12:]
    assert prompts_in(ben.get(link(last, "prev") or "").text) == prompts[:12]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ({"negative": {"winner": 0, "loser": 1}}, "0 negative attributes against 1"),
        (
            {"negative": {"winner": 2, "loser": 2}, "positive": {"winner": 3, "loser": 1}},
            "3 positive attributes against 1; 2 negative attributes each",
        ),
        ({"votes": {"winner": 1, "loser": 0}}, "1 vote against 0"),
        ("The sky is calmer", "The sky is calmer"),
        ({"score": 0.5, "judge": "a"}, "score: 0.5; judge: a"),
    ],
)
def test_reasons_in_words(
    api: TestClient, token_for: TokenFor, db: Session, people: Cast, reason: Any, words: str
) -> None:
    pairs = keep(db, people, [line(0, reason=reason)])
    answer = api.get(f"{API}/{pairs.id}/pairs", headers=token_for(people.ben)).json()
    assert answer["items"][0]["reason"] == words


def test_api_pages_and_names_other_prompts(
    api: TestClient, token_for: TokenFor, db: Session, people: Cast
) -> None:
    near = {"similarity": 0.5, "prompts": {"winner": "a", "loser": "b"}}
    lines = [line(0, reason=REASON | near), line(1), line(2)]
    pairs = keep(db, people, lines)
    ben, address = token_for(people.ben), f"{API}/{pairs.id}/pairs"
    first = api.get(address, params={"limit": 2}, headers=ben).json()
    assert first["items"][0] == {
        "pair_id": "pair-0", "prompt": "Häuser am Meer 0", "other_prompt": "b", "similarity": 0.5,
        "winner": {"image_id": "w0", "file": lines[0]["winner"]},
        "loser": {"image_id": "l0", "file": lines[0]["loser"]},
        "reason": "1 negative attribute against 4",
    }  # fmt: skip
    rest = api.get(address, params={"after": first["next"]}, headers=ben).json()
    assert ([each["pair_id"] for each in rest["items"]], rest["next"]) == (["pair-2"], None)
    empty = api.get(address, params={"split": "test"}, headers=ben).json()
    assert empty == {"items": [], "next": None}
    for after in (1, first["next"] - 1, 10**9):
        wrong = api.get(address, params={"after": after}, headers=ben)
        assert (wrong.status_code, wrong.json()["field"]) == (422, "after")
        assert "No image pair begins there" in wrong.json()["detail"]
    assert api.get(address, params={"split": "all"}, headers=ben).status_code == 422


@pytest.mark.parametrize(
    "damage",
    [
        {"winner": "../../../etc/passwd"},
        {"loser": f"{1:064x}.svg"},
        {"prompt": None},
        {"reason": 4},
    ],
)
def test_a_damaged_line_is_said_where_it_is_and_hides_nothing_before_it(
    ben: TestClient, db: Session, people: Cast, damage: dict[str, Any]
) -> None:
    lines = [line(index) for index in range(14)]
    lines[13] |= damage
    pairs = keep(db, people, lines)
    first = ben.get(f"{PAGE}/{pairs.id}").text
    assert len(prompts_in(first)) == 12
    second = ben.get(link(first, "next") or "").text
    assert "An image pair in train/pairs.jsonl cannot be read" in second
    assert "c" * 64 in second and prompts_in(second) == []


def test_states_without_pairs(
    ben: TestClient, api: TestClient, token_for: TokenFor, db: Session, people: Cast
) -> None:
    pairs = keep(db, people, [line(0)])
    assert "No image pairs in this split" in ben.get(f"{PAGE}/{pairs.id}?split=validation").text
    assert "No image pair begins there" in ben.get(f"{PAGE}/{pairs.id}?after=3").text
    (settings().pairs_folder / "pairs-1").rename(settings().pairs_folder / "elsewhere")
    gone = ben.get(f"{PAGE}/{pairs.id}").text
    assert "the folder of this pair dataset is gone" in gone and "c" * 64 in gone
    unready: dict[str, Any] = {"number": 2, "folder": None, "manifest_sha256": None, "counts": {}}
    waiting = keep(db, people, [], **unready)
    assert "The image pairs" not in ben.get(f"{PAGE}/{waiting.id}").text
    headers = token_for(people.ben)
    answer = api.get(f"{API}/{waiting.id}/pairs", headers=headers)
    assert (answer.status_code, "not ready yet" in answer.json()["detail"]) == (409, True)
    answer = api.get(f"{API}/{waiting.id}/thumb/{line(0)['winner']}", headers=headers)
    assert answer.status_code == 409


# Pictures -----------------------------------------------------------------------------------------


def test_pictures_are_encoded_anew_small_and_without_metadata(
    ben: TestClient, api: TestClient, token_for: TokenFor, db: Session, people: Cast
) -> None:
    folder = settings().pairs_folder / "pairs-1"
    exif = Pictures.Exif()
    exif[0x010E] = "where the painter lives"
    data = encoded(picture(1, size=(900, 600)), "JPEG", exif=exif)
    file = put_picture(folder, data, "jpg")
    pairs = keep(db, people, [line(0, winner=file)])
    for kind, form, width in (("thumb", "WEBP", 400), ("display", "JPEG", 900)):
        answer = ben.get(f"{PAGE}/{pairs.id}/{kind}/{file}")
        assert answer.headers["content-type"] == f"image/{form.lower()}"
        assert "immutable" in answer.headers["cache-control"]
        assert "private" in answer.headers["cache-control"]
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert b"painter" in data and b"painter" not in answer.content
        shown = Pictures.open(io.BytesIO(answer.content))
        assert (shown.format, shown.width) == (form, width)
        known = {"If-None-Match": answer.headers["etag"]}
        again = ben.get(f"{PAGE}/{pairs.id}/{kind}/{file}", headers=known)
        assert (again.status_code, again.content) == (304, b"")
        same = api.get(f"{API}/{pairs.id}/{kind}/{file}", headers=token_for(people.ben))
        assert same.content == answer.content
    assert ben.get(f"{PAGE}/{pairs.id}/original/{file}").status_code == 422


def test_an_image_of_the_project_is_not_encoded_again(
    ben: TestClient, db: Session, people: Cast
) -> None:
    data = encoded(picture(1, size=(900, 600)))
    sha256 = image_files.keep(data).sha256
    made_before = encoded(picture(2), "WEBP")
    storage.put(storage.key_of("thumb", sha256), made_before)
    file = put_picture(settings().pairs_folder / "pairs-1", data)
    pairs = keep(db, people, [line(0, winner=file)])
    assert ben.get(f"{PAGE}/{pairs.id}/thumb/{file}").content == made_before


def test_only_pictures_that_the_manifest_lists_are_served(
    ben: TestClient, db: Session, people: Cast
) -> None:
    folder = settings().pairs_folder / "pairs-1"
    good = put_picture(folder, encoded(picture(1)))
    svg = put_picture(folder, b"<svg/>", "svg")
    pairs = keep(db, people, [line(0, winner=good)])
    assert ben.get(f"{PAGE}/{pairs.id}/thumb/{good}").status_code == 200
    late = put_picture(folder, encoded(picture(2)))
    for file in (
        late, svg, good.upper(), good.removesuffix(".png"), f"{good}%0A", f"{good}%00", "manifest.json",
        "..%2Fmanifest.json", f"..%2Fimages%2F{good}", "%2e%2e", f"{good[:63]}.png",
    ):  # fmt: skip
        answer = ben.get(f"{PAGE}/{pairs.id}/thumb/{file}")
        assert answer.status_code == 404, file
        assert "image/" not in answer.headers["content-type"]


def test_links_changed_and_broken_pictures_are_refused(
    ben: TestClient, db: Session, people: Cast, tmp_path: Path
) -> None:
    folder = settings().pairs_folder / "pairs-1"
    data = [encoded(picture(seed)) for seed in range(3)]
    linked, changed = (put_picture(folder, each) for each in data[:2])
    broken = put_picture(folder, b"\x89PNG torn")
    pairs = keep(db, people, [line(0)])
    (tmp_path / "outside.png").write_bytes(data[0])
    (folder / "images" / linked).unlink()
    (folder / "images" / linked).symlink_to(tmp_path / "outside.png")
    (folder / "images" / changed).write_bytes(data[2])
    for file, status, words in (
        (linked, 404, "is missing"),
        (changed, 422, "was changed after"),
        (broken, 422, "cannot be shown"),
    ):
        answer = ben.get(f"{PAGE}/{pairs.id}/thumb/{file}")
        assert (answer.status_code, words in answer.text) == (status, True)
    (folder / "images").rename(tmp_path / "images")
    (folder / "images").symlink_to(tmp_path / "images")
    assert ben.get(f"{PAGE}/{pairs.id}/thumb/{changed}").status_code == 404


def test_strangers_see_neither_pairs_nor_pictures(
    browser: TestClient, sign_in: SignInAt, api: TestClient, token_for: TokenFor, db: Session,
    people: Cast,
) -> None:  # fmt: skip
    file = put_picture(settings().pairs_folder / "pairs-1", encoded(picture(1)))
    pairs = keep(db, people, [line(0, winner=file)])
    dora, headers = sign_in(browser, people.dora), token_for(people.dora)
    for project in ("paintings", "elsewhere"):
        here = f"/projects/{project}/datasets/pairs/{pairs.id}"
        assert dora.get(here).status_code == 404
        assert dora.get(f"{here}/thumb/{file}").status_code == 404
        for rest in ("pairs", f"thumb/{file}"):
            assert api.get(f"/api/v1{here}/{rest}", headers=headers).status_code == 404
