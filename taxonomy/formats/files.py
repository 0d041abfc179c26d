"""The formats that criteria are written in as files, and reading a file whichever of them it is in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from taxonomy.formats import label_studio, skos
from taxonomy.formats.csv import read_csv, write_csv
from taxonomy.formats.data import MAX_BYTES
from taxonomy.formats.existing import Existing
from taxonomy.formats.json import read_json, write_json
from taxonomy.formats.jsonld import read_jsonld, write_jsonld
from taxonomy.formats.label_studio import read_label_studio, write_label_studio
from taxonomy.formats.turtle import read_turtle, write_turtle
from taxonomy.formats.xlsx import read_xlsx, write_xlsx
from taxonomy.formats.yaml import read_yaml, write_yaml
from taxonomy.tree import Criteria, InvalidCriteria

FormatName: TypeAlias = Literal["yaml", "json", "csv", "xlsx", "turtle", "jsonld", "label-studio"]


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format: what people call it, how its files end, what it cannot hold, and how it is written.

    `read` reads its text, beside what is there already; Excel's alone is no text.
    """

    title: str
    endings: tuple[str, ...]
    media_type: str
    write: Callable[[Criteria], bytes]
    read: Callable[[str, Existing], Criteria] | None
    left_out: tuple[str, ...] = ()


def _as_utf8(write: Callable[[Criteria], str]) -> Callable[[Criteria], bytes]:
    return lambda criteria: write(criteria).encode()


def _for_excel(criteria: Criteria) -> bytes:
    # Without the mark Excel takes UTF-8 for the encoding of the country.
    return write_csv(criteria).encode("utf-8-sig")


FORMATS: Mapping[FormatName, FileFormat] = {
    "yaml": FileFormat(
        "YAML",
        (".yaml", ".yml"),
        "application/yaml",
        _as_utf8(write_yaml),
        lambda text, _: read_yaml(text),
    ),
    "json": FileFormat(
        "JSON",
        (".json",),
        "application/json",
        _as_utf8(write_json),
        lambda text, _: read_json(text),
    ),
    "xlsx": FileFormat(
        "Excel",
        (".xlsx",),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        write_xlsx,
        None,
    ),
    "csv": FileFormat("CSV", (".csv", ".tsv"), "text/csv", _for_excel, read_csv),
    "turtle": FileFormat(
        "SKOS, Turtle",
        (".ttl",),
        "text/turtle",
        _as_utf8(write_turtle),
        read_turtle,
        skos.LEFT_OUT,
    ),
    "jsonld": FileFormat(
        "SKOS, JSON-LD",
        (".jsonld",),
        "application/ld+json",
        _as_utf8(write_jsonld),
        read_jsonld,
        skos.LEFT_OUT,
    ),
    "label-studio": FileFormat(
        "Label Studio",
        (".xml",),
        "application/xml",
        _as_utf8(write_label_studio),
        read_label_studio,
        label_studio.LEFT_OUT,
    ),
}
ENDINGS = tuple(ending for each in FORMATS.values() for ending in each.endings)


def read_file(
    name: str, content: bytes, existing: Existing, decode: Callable[[bytes], str]
) -> Criteria:
    """Read criteria from a file by the ending of its name, or else by how it begins.

    `decode` finds the text of its bytes. Raises what that raises, and InvalidCriteria with every fault.
    """
    if len(content) > MAX_BYTES:
        raise InvalidCriteria([f"The file is larger than {MAX_BYTES // 1_000_000} MB; split it."])
    known = format_of(name)
    # An encrypted workbook begins as Office documents did before they were archives.
    is_binary = content.startswith((b"PK", b"\xd0\xcf"))
    if is_binary and (known == "xlsx" or (known is None and b"xl/workbook.xml" in content)):
        return read_xlsx(content, existing)
    text = decode(content)
    if known in (None, "xlsx") or (known == "json" and '"@graph"' in text[:20_000]):
        known = format_of_text(text)
    read = FORMATS[known].read
    assert read is not None
    return read(text, existing)


def format_of(name: str) -> FormatName | None:
    """The format that a file's name ends in, where that is known."""
    ending = f".{name.lower().rpartition('.')[2]}"
    return next((name for name, each in FORMATS.items() if ending in each.endings), None)


def format_of_text(text: str) -> FormatName:
    """The format that a text looks like; YAML where it looks like no other. Raises InvalidCriteria for RDF
    in XML.
    """
    start = text.lstrip("\ufeff \t\r\n")[:2_000]
    if start.startswith(("{", "[")):
        return "jsonld" if '"@context"' in start or '"@graph"' in start else "json"
    if "<rdf:RDF" in start:
        message = "This is RDF in XML, which is not read; save it as Turtle (.ttl) or JSON-LD."
        raise InvalidCriteria([message])
    if start.startswith("<") and not start.startswith("<http"):
        return "label-studio"
    if start.lower().startswith(("@prefix", "@base", "prefix ", "base ", "<http")):
        return "turtle"
    first = start.partition("\n")[0].lower()
    return "csv" if "positive name" in first and ":" not in first else "yaml"
