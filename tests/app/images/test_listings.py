"""CSV files of strangers."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.images.listings import ListingRefused, compose_prompt, read_listing


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters(encoding: str, delimiter: str) -> None:
    text = delimiter.join(("file", "prompt", "note")) + "\r\n"
    text += delimiter.join(("é.png", '"a ""quoted"" harbour\nat night"', "ö")) + "\r\n"
    (row,) = read_listing(text.encode(encoding)).rows
    assert (row.location, row.prompt) == ("é.png", 'a "quoted" harbour at night')
    assert (row.details, row.line) == ({"note": "ö"}, 2)


@pytest.mark.parametrize(
    ("header", "row", "location", "details"),
    [
        ("path", "a.png", "a.png", {}),
        ("file_name", "a.png", "a.png", {}),
        ("IMAGE", "a.png", "a.png", {}),
        ("url,title", "https://x.org/a.png,T", "https://x.org/a.png", {"title": "T"}),
        ("file,url", "a.png,https://x.org/a", "a.png", {"url": "https://x.org/a"}),
        ("file,url", ",https://x.org/a", "https://x.org/a", {}),
    ],
)
def test_where_the_image_is(header: str, row: str, location: str, details: dict[str, str]) -> None:
    (found,) = read_listing(f"{header}\n{row}\n".encode()).rows
    assert (found.location, found.details) == (location, details)


def test_bad_rows_are_reported_by_line_and_the_others_read() -> None:
    data = b'file,prompt\na.png,one\n\nb.png\nc.png,x,y\n,nowhere\nd.png,"open\n'
    listing = read_listing(data)
    assert [row.location for row in listing.rows] == ["a.png", "b.png"]
    assert [line for line, _ in listing.problems] == [5, 6, 7]
    assert "3 cells" in listing.problems[0][1] and "not closed" in listing.problems[2][1]


def test_lines_are_counted_over_quoted_line_breaks() -> None:
    listing = read_listing(b'file,prompt\na.png,"two\nlines"\n,x\n')
    assert listing.problems[0][0] == 4


def test_zero_bytes_and_endless_cells_are_reported() -> None:
    data = (
        b"file,prompt\na.png,x\0y\nb.png,"
        + b"x" * 5000
        + b"\nc.png,"
        + b"x" * 200_000
        + b"\nd.png,ok\n"
    )
    listing = read_listing(data)
    assert [row.location for row in listing.rows] == ["d.png"]
    assert len(listing.problems) == 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"title,year\nx,1\n", "No column says where"),
        (b"<!doctype html><html>", "web page"),
        (b"file,file\na,b\n", "there twice"),
        (b"file" + b",x" * 300, "twice"),
        ("file,ye\ufffdar\na.png,1\n".encode(), "The name of column 2 holds the sign"),
        ("file,prompt,\ue000\na.png,a boat,1\n".encode(), "The name of column 3 holds"),
    ],
)
def test_a_file_that_is_no_listing(data: bytes, said: str) -> None:
    with pytest.raises(ListingRefused) as refused:
        read_listing(data)
    assert said in refused.value.reason


def test_a_line_of_json_with_an_unreadable_name_is_told_of_and_the_others_are_read() -> None:
    lines = ['{"file": "a.png", "ye\ufffdar": 1}', '{"file": "b.png", "year": 1}']
    listing = read_listing("\n".join(lines).encode(), lines_of_json=True)
    assert [row.location for row in listing.rows] == ["b.png"]
    assert [line for line, _ in listing.problems] == [1]


def test_the_prompt_is_made_of_title_and_style() -> None:
    details = {
        "title": "The Ninth Wave",
        "painter": "Aivazovsky",
        "year": "1850",
        "style": "Romanticism",
    }
    assert compose_prompt(details) == "The Ninth Wave, Romanticism"
    assert compose_prompt({"style": "Realism"}) == "Realism"
    assert compose_prompt({"year": "1850"}) == ""


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(ListingRefused):
        read_listing(b"file,prompt\n" + data)
        read_listing(data)
