"""Files of every format, told apart by name or by how they begin."""

from collections.abc import Callable

import pytest

from taxonomy.formats.data import MAX_BYTES
from taxonomy.formats.existing import Existing
from taxonomy.formats.files import FORMATS, FileFormat, FormatName, format_of, read_file
from taxonomy.formats.yaml import write_yaml
from taxonomy.tree import Attribute, Criteria, Dimension, InvalidCriteria, Pair
from tests.taxonomy.trees import small_tree, telling_tree


def decode(content: bytes) -> str:
    return content.decode("utf-8-sig")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("file", ["criteria", "a.b", ""])
def test_a_format_is_told_by_how_a_file_begins(name: FormatName, file: str) -> None:
    content = FORMATS[name].write(small_tree())
    again = read_file(file, content, Existing(small_tree()), decode)
    assert write_yaml(again) == write_yaml(small_tree())


@pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)
def test_an_own_export_changes_nothing_where_it_came_from(format_: FileFormat) -> None:
    tree = telling_tree()
    again = read_file(f"a{format_.endings[0]}", format_.write(tree), Existing(tree), decode)
    assert write_yaml(again) == write_yaml(tree)
    assert format_of(f"PAINTING{format_.endings[0].upper()}") is not None


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.json", FORMATS["jsonld"].write(small_tree())),
        ("a.xlsx", FORMATS["csv"].write(small_tree())),
        ("a.csv", b"sep=,\r\n" + FORMATS["csv"].write(small_tree()).removeprefix(b"\xef\xbb\xbf")),
    ],
)
def test_what_programs_save_under_a_neighbours_name_is_read(file: str, content: bytes) -> None:
    again = read_file(file, content, Existing(small_tree()), decode)
    assert write_yaml(again) == write_yaml(small_tree())


@pytest.mark.parametrize("file", ["a.rdf", "a.owl", "a"])
def test_rdf_in_xml_is_called_what_it_is(file: str) -> None:
    content = b"<?xml version='1.0'?>\n<rdf:RDF xmlns:rdf='http://www.w3.org/'></rdf:RDF>"
    with pytest.raises(InvalidCriteria, match="Turtle"):
        read_file(file, content, Existing(), decode)


def test_what_is_no_text_is_refused_by_whoever_decodes_it() -> None:
    def refuse(_: bytes) -> str:
        raise InvalidCriteria(["no text"])

    refused: Callable[[bytes], str] = refuse
    with pytest.raises(InvalidCriteria, match="no text"):
        read_file("a.csv", b"\xff\xfe\x00", Existing(), refused)
    with pytest.raises(InvalidCriteria, match="larger than 5 MB"):
        read_file("a.csv", b"a" * 5_000_001, Existing(), refused)


def test_a_project_of_five_thousand_nodes_fits_into_a_file_of_every_format() -> None:
    seen = "A sentence that says what is seen here, at some length."

    def pair(key: str) -> Pair:
        positive, negative = Attribute(f"Positive {key}", seen), Attribute(f"Negative {key}", seen)
        return Pair(key, "opposed", positive, negative)

    dimensions = tuple(
        Dimension(f"d-{a}", f"Dimension {a}", pairs=tuple(pair(f"p-{a}-{b}") for b in range(99)))
        for a in range(50)
    )
    tree = Criteria("Large", dimensions=dimensions)
    assert all(len(each.write(tree)) < MAX_BYTES for each in FORMATS.values())
