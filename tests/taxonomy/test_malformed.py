"""Files that are wrong in every way: one sentence for each fault with its place, soon, and in little memory."""

import io
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from taxonomy.formats import read_criteria
from taxonomy.formats.csv import read_csv, write_csv
from taxonomy.formats.json import write_json
from taxonomy.formats.jsonld import read_jsonld, write_jsonld
from taxonomy.formats.label_studio import read_label_studio, write_label_studio
from taxonomy.formats.turtle import read_turtle, write_turtle
from taxonomy.formats.xlsx import read_xlsx, write_xlsx
from taxonomy.formats.yaml import write_yaml
from taxonomy.tree import Criteria, InvalidCriteria
from tests.taxonomy.trees import small_tree, telling_tree

HEAD = "key,dimension 1,relation,positive name,negative name\n"
PREFIXES = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix m: <urn:morelli:terms:> .
@prefix c: <urn:morelli:criteria:> .
"""
TEXTS: list[tuple[str, Callable[[str], Criteria], Callable[[Criteria], str]]] = [
    ("YAML", read_criteria, write_yaml),
    ("JSON", read_criteria, write_json),
    ("CSV", read_csv, write_csv),
    ("Turtle", read_turtle, write_turtle),
    ("JSON-LD", read_jsonld, write_jsonld),
    ("Label Studio", read_label_studio, write_label_studio),
]
READERS = [pytest.param(read, id=name) for name, read, _ in TEXTS]


def problems_of(read: Callable[..., Criteria], content: str | bytes) -> list[str]:
    with pytest.raises(InvalidCriteria) as caught:
        read(content)
    assert all(0 < len(each) < 2_000 and "\n" not in each for each in caught.value.problems)
    return caught.value.problems


def outcome(read: Callable[..., Criteria], content: str | bytes) -> Criteria | list[str]:
    """What reading gives: criteria or problems, and nothing else."""
    try:
        return read(content)
    except InvalidCriteria as error:
        return error.problems


@contextmanager
def soon_and_small(seconds: float, megabytes: float) -> Iterator[None]:
    """Hold time on the processor and memory taken meanwhile to limits."""
    tracemalloc.start()
    begun = time.process_time()
    try:
        yield
        taken = time.process_time() - begun
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < seconds
    assert most < megabytes * 1_000_000


# Tables -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column of criteria"),
        ("\n\n", "no column of criteria"),
        ("a,b,c\n1,2,3\n", "line 1, column 1: “a” is no column of criteria"),
        (HEAD, "no row below"),
        (HEAD.replace("relation", "key"), "line 1: the column “key” stands here twice"),
        (HEAD + 'a,Light,opposed,"never closed\n', "line 2: this is not CSV"),
        (HEAD + "a,Light,opposed,A,B,more\n", "line 2: has more cells than the header has"),
        (HEAD + "a,Light,opposite,A,B\n", "line 2, column “relation”: must be opposed or flaw or"),
        (HEAD + "Bad Key,Light,opposed,A,B\n", "line 2, column “key”: must be a-z, 0-9"),
        (HEAD + "a,,opposed,A,B\n", "line 2, column “dimension 1”: a pair stands below"),
        (HEAD + "a,L,flaw,A,B\na,L,flaw,C,D\n", "line 3: the key a stands at line 2 too"),
        (HEAD + "a,L,flaw,=1+1,B\n", "line 2, column “positive name”: is a formula"),
        (HEAD + f"a,L,flaw,{'x' * 4001},B\n", "line 2, column “positive name”: has 4001 char"),
        (HEAD + "a,L,flaw,A\x00,B\n", "line 2"),
        ("row," + HEAD + "leaf,a,L,flaw,A,B\n", "line 2, column “row”: “leaf” is none of pair"),
        (
            "row," + HEAD + "dimension,l,,flaw,,\n",
            "line 2, column “relation”: a row of kind dimension has no such cell",
        ),
        ("row,key,name\ncontent,hands,\n", "line 2, column “name”: is missing"),
        ("row,name\ncriteria,A\ncriteria,B\n", "line 3: the criteria themselves have a row"),
        ("row,name,max levels\ncriteria,A,many\n", "column “max levels”: must be a whole number"),
        ("row,key,successors\nsuccessors,Old One,new\n", "line 2, column “successors”: must be"),
        (
            "row,key,name,dimension 1\ndimension,a,A,X [b]\ndimension,b,B,Y [a]\n",
            "line 2: a is below b is below a, which is a circle",
        ),
        ("row,name,exclusive\ndimension,A,perhaps\n", "column “exclusive”: must be true or false"),
        ("row,key,name\ndimension,,A\ndimension,,A\n", "line 3: “A” stands at line 2 too"),
        (
            "row,key,name,dimension 1,dimension 2\ndimension,c,C,,B\n",
            "line 2, column “dimension 1”: is empty, yet a dimension below it is named",
        ),
        (
            HEAD.replace("relation", "positive styles") + "a,L,impressionism,A,B\n",
            "line 2, column “positive styles”: impressionism must be neutral or positive",
        ),
        (
            HEAD.replace("relation", "positive exact match") + "a,L,300015636,A,B\n",
            "line 2, column “positive exact match”: [0] must be a full URI",
        ),
        (
            HEAD.replace("relation", "positive name (not a language)") + "a,L,x,A,B\n",
            "“positive name (not a language)” is no column",
        ),
    ],
)
def test_a_wrong_table_is_refused_with_its_cell(text: str, words: str) -> None:
    assert words in "\n".join(problems_of(read_csv, text))


def test_every_fault_of_a_table_is_told() -> None:
    text = HEAD + "a,L,odd,A,B\nB,L,flaw,C,D\nc,L,flaw,E,F\n"
    assert len(problems_of(read_csv, text)) == 2


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_read_too(separator: str) -> None:
    text = (HEAD + "a,Light,flaw,A,B\n").replace(",", separator)
    assert read_csv(text).path_of("a") == ("light", "a")


def workbook(*rows: list[object], sheet: str = "Pairs") -> Workbook:
    book = Workbook()
    book.active.title = sheet
    for row in (HEAD.strip().split(","), *rows):
        book.active.append(row)
    return book


def saved(book: Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_workbook_as_a_person_makes_one_is_read() -> None:
    book = workbook(["", "Light", "Opposed", 12, "B"], sheet="Sheet1")
    tree = read_xlsx(saved(book))
    assert [each.positive.name for each in tree.pairs()] == ["12"]
    assert tree.path_of("12") == ("light", "12")


def test_formulas_errors_and_merged_cells_are_refused_with_their_cells() -> None:
    book = workbook(["a", "Light", "flaw", "=A1", "B"], ["b", "Light", "flaw", "C", "#REF!"])
    book.active.merge_cells("B2:B3")
    found = problems_of(read_xlsx, saved(book))
    assert found == [
        "Pairs!D2: is a formula; put its value there.",
        "Pairs!E3: holds the error #REF!; correct it.",
        "Pairs!B2:B3: the cells are merged; unmerge them.",
    ]


def test_faults_in_a_workbook_name_sheet_and_cell() -> None:
    book = workbook(["A b", "Light", "odd", "A", "B"])
    assert [each.partition(":")[0] for each in problems_of(read_xlsx, saved(book))] == [
        "Pairs!A2",
        "Pairs!C2",
    ]
    book.active["Z9"] = "a note"
    assert "Pairs!Z9: has no header" in "\n".join(problems_of(read_xlsx, saved(book)))
    book.create_sheet("Notes").append(["x"])
    assert "“Notes” is no sheet of criteria" in problems_of(read_xlsx, saved(book))[0]


def archive(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return out.getvalue()


def with_sheet(sheet: bytes, name: str = "xl/worksheets/sheet1.xml") -> bytes:
    """A workbook of ours whose first sheet (or another part) is this."""
    with zipfile.ZipFile(io.BytesIO(write_xlsx(small_tree()))) as made:
        parts = {each: made.read(each) for each in made.namelist()}
    return archive(parts | {name: sheet})


START = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
ENTITIES = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">%s]>' + START
BOMB = ENTITIES % b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no Excel workbook"),
        (b"PK\x03\x04 and then nothing", "no Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 99, "no Excel workbook"),
        (archive({"a.txt": b"x"}), "no Excel workbook"),
        (with_sheet(b"<worksheet>"), "is damaged"),
        (with_sheet(BOMB + b"<row><c r='A1' t='str'><v>&j;</v></c></row>"), "entities"),
        (with_sheet(b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + START), "entities"),
        (with_sheet(START + b"<row><c><v>1</v></c></row>"), "does not say where"),
        (with_sheet(START + b'<row><c r="A1" t="s"><v>7</v></c></row>'), "Pairs!A1: the workbook"),
        (with_sheet(b"x", "xl/workbook.xml"), "damaged"),
    ],
)
def test_a_broken_workbook_is_refused(content: bytes, words: str) -> None:
    assert words in problems_of(read_xlsx, content)[0]


def test_a_cut_workbook_is_refused_wherever_it_ends() -> None:
    whole = write_xlsx(small_tree())
    for end in range(0, len(whole), len(whole) // 60):
        problems_of(read_xlsx, whole[:end])


def far_cells() -> bytes:
    cells = (b'<row><c r="XFD%d" t="str"><v>x</v></c></row>' % each for each in range(1, 500_000))
    return START + b"".join(cells)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: with_sheet(b" " * 300_000_000), id="300 MB of nothing"),
        pytest.param(lambda: with_sheet(START + b"<row>" + b"<c/>" * 9_000_000), id="many cells"),
        pytest.param(lambda: with_sheet(far_cells()), id="half a million far cells"),
        pytest.param(lambda: archive({f"{each}": b"" for each in range(20_000)}), id="many parts"),
    ],
)
def test_a_bomb_goes_off_nowhere(build: Callable[[], bytes]) -> None:
    content = build()
    with soon_and_small(60, 250):
        problems_of(read_xlsx, content)


# SKOS -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "describes no skos:Concept"),
        ("this is nonsense", "line 1: this is not Turtle"),
        (PREFIXES + "c:a a skos:Concept\n\nc:b", "line 6: this is not Turtle"),
        (PREFIXES + "x:a a skos:Concept .", "not Turtle"),
        (
            PREFIXES + "c:a a skos:Concept ; skos:prefLabel 'a' ; skos:broader c:b .",
            "not described",
        ),
        (
            PREFIXES
            + "c:a a skos:Concept .\nc:b a skos:Concept .\n"
            + "c:d a skos:Concept ; skos:prefLabel 'D' ; skos:broader c:a, c:b .",
            "line 6: “D” stands below <urn:morelli:criteria:a> and below",
        ),
        (
            PREFIXES
            + "c:a a skos:Concept ; skos:broader c:b .\nc:b a skos:Concept ; skos:broader c:a .",
            "is a circle",
        ),
        (PREFIXES + "c:a a skos:Concept ; skos:broader c:a .", "is a circle"),
        (
            PREFIXES + "\nc:a a skos:Concept ; skos:prefLabel 'A'@en, 'B'@en .",
            "line 5: “A” has two values of skos:prefLabel in en",
        ),
        (PREFIXES + "c:a a skos:Concept, m:Dimension .\nc:A a m:Pair ; m:below c:a .", "must be"),
        (PREFIXES + "c:a a skos:Concept, m:Dimension ; m:exclusive 7 .", "must be true or false"),
        ("[" * 100_000, "too deep"),
    ],
)
def test_wrong_turtle_is_refused_with_its_line(text: str, words: str) -> None:
    assert words in "\n".join(problems_of(read_turtle, text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1, column 1: this is not JSON"),
        ("[]", "describes no skos:Concept"),
        ("7", "neither an object nor a list"),
        ('{"@context": "https://vocab.example.org/c.json", "@graph": []}', "is elsewhere"),
        ('[{"a": {"@context": ["https://vocab.example.org/c.json"]}}]', "is elsewhere"),
        ('{"@context": {"@import": "https://vocab.example.org/c.json"}}', "imports another"),
        ('{"@id": 7, "@type": ["a"]}', ""),
        ('{"@context": 7}', ""),
        ("[" * 200_000, "too deep"),
        ('{"@graph": ' * 900 + "1" + "}" * 900, ""),
    ],
)
def test_wrong_json_ld_is_refused_and_nothing_is_fetched(
    text: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert words in "\n".join(problems_of(read_jsonld, text))


CIRCLE = {
    "turtle": (
        read_turtle,
        """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
<a> a skos:Concept ; skos:prefLabel "A"@en ; skos:broader <b> .
<b> a skos:Concept ; skos:prefLabel "B"@en ; skos:broader <a> .
""",
    ),
    "json-ld": (
        read_jsonld,
        """{"@context": {"skos": "http://www.w3.org/2004/02/skos/core#", "up": {"@id": "skos:broader", "@type": "@id"}}, "@graph": [
{"@id": "a", "@type": "skos:Concept", "skos:prefLabel": "A", "up": "b"},
{"@id": "b", "@type": "skos:Concept", "skos:prefLabel": "B", "up": "a"}]}
""",
    ),
}


@pytest.mark.parametrize("notation", CIRCLE)
def test_names_without_an_address_tell_nothing_of_this_machine(notation: str) -> None:
    read, text = CIRCLE[notation]
    (said,) = problems_of(read, text)
    assert said.startswith("line 2: ") and "is a circle" in said
    (said,) = problems_of(read, text.replace('"B"', "7"))
    assert "file:" not in said and str(Path.cwd()) not in said


def test_a_literal_that_is_xml_does_not_expand() -> None:
    lines = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">{lines}]><a>&j;</a>'
    kind = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#XMLLiteral>"
    text = PREFIXES + f"c:a a skos:Concept ; skos:prefLabel '''{bomb}'''^^{kind} ."
    with soon_and_small(20, 100):
        tree = outcome(read_turtle, text)
    assert isinstance(tree, Criteria)
    assert len(tree.dimensions[0].name) < 1000


# Of every format --------------------------------------------------------------------------------


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("nonsense " * 6_000_000, id="54 MB of words"),
        pytest.param("\n" * 4_900_000, id="empty lines"),
        pytest.param("a: b\n" * 900_000, id="a field many times"),
        pytest.param(",".join("abc" for _ in range(1_200_000)), id="a million columns"),
        pytest.param('"' * 4_900_000, id="quotes"),
        pytest.param("{" * 4_900_000, id="braces"),
        pytest.param("<" * 4_900_000, id="less than"),
        pytest.param("<a>" * 1_600_000, id="elements in elements"),
        pytest.param("\ud800" * 1000, id="broken characters"),
    ],
)
def test_nonsense_is_refused_soon_and_in_little_memory(
    read: Callable[[str], Criteria], text: str
) -> None:
    with soon_and_small(30, 700):
        problems_of(read, text)


@pytest.mark.parametrize(("_", "read", "write"), TEXTS)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused(
    _: str,
    read: Callable[[str], Criteria],
    write: Callable[[Criteria], str],
    data: st.DataObject,
) -> None:
    text = write(telling_tree())
    for _each in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 40)))
        put = data.draw(st.sampled_from([*'"\\{}[]<>@:;,.\n\t=&*!\x00\ufeff', "", "null", "'''"]))
        text = text[:start] + put + text[end:]
    found = outcome(read, text)
    assert isinstance(found, Criteria) or (found and all(found))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_workbook_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(write_xlsx(small_tree()))
    for _each in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = outcome(read_xlsx, bytes(content))
    assert isinstance(found, Criteria) or (found and all(found))
