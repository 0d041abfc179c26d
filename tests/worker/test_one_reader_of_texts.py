"""Whatever program saved a text, every reader of people's files reads it or says in one sentence why not."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.commands import criteria
from app.criteria import uploads
from app.errors import AppError
from app.images.companions import TextRefused, read_companion
from app.images.listings import ListingRefused, read_listing
from method.training.config_reading import load_config, write_yaml
from method.training.failures import Ended
from method.training.recipes import tiny_sft
from taxonomy.formats import read_criteria
from taxonomy.formats.json import write_json
from taxonomy.tree import InvalidCriteria
from worker.pairs.from_generated import agent_judge
from worker.pairs.reading import read_rows

Reader = Callable[[Path], Any]
WESTERN = "Café, vue de la fenêtre à l’été"
CHINESE = "山水画，远处有高山和流水，近处有树木和小桥"
TREE = """format: morelli-criteria/1
name: Painting
language: en
max_levels: 5
dimensions:
  - key: color-relationship
    name: Color Relationship
    definition: The relations of colours.
    exclusive: false
    pairs:
      - key: warm-dominance
        relation: flaw
        positive:
          name: Warm dominance
          definition: {0}
        negative:
          name: Warm monotony
          definition: All of it is warm.
"""


def config(path: Path) -> Any:
    return load_config(path).samples.prompts


def tree_on_the_command_line(path: Path) -> Any:
    return criteria.read_criteria_file(path)


def tree_in_the_browser(path: Path) -> Any:
    return read_criteria(uploads.decode(path.read_bytes()))


def tree_of_a_judge(path: Path) -> Any:
    return agent_judge(path)[1]["pairs_decided"]


def list_of_images(path: Path) -> Any:
    found = read_listing(path.read_bytes())
    if found.problems:
        raise ListingRefused(f"line {found.problems[0][0]}: {found.problems[0][1]}")
    return found.rows


def lines_of_images(path: Path) -> Any:
    found = read_listing(path.read_bytes(), lines_of_json=True)
    if found.problems:
        raise ListingRefused(f"line {found.problems[0][0]}: {found.problems[0][1]}")
    return found.rows


def caption(path: Path) -> Any:
    return read_companion(("a.txt", path.read_bytes)).prompt


def rows_of_a_study(path: Path) -> Any:
    problems: list[str] = []
    rows = [row for _, row in read_rows(path, {"prompt": str}, problems)]
    if problems:
        raise Ended(problems[0])
    return rows


def config_text(words: str) -> str:
    return write_yaml(tiny_sft("run", "dataset", "model", (words,)))


def tree_as_json(words: str) -> str:
    tree = json.loads(write_json(read_criteria(TREE.format("WORDS"))))
    return json.dumps(tree, ensure_ascii=False, indent=1).replace("WORDS", words)


READERS: dict[str, tuple[Reader, Callable[[str], str]]] = {
    "config": (config, config_text),
    "criteria, command line, YAML": (tree_on_the_command_line, TREE.format),
    "criteria, browser, YAML": (tree_in_the_browser, TREE.format),
    "criteria, browser, JSON": (tree_in_the_browser, tree_as_json),
    "criteria of a judge": (tree_of_a_judge, tree_as_json),
    "list, CSV": (list_of_images, lambda words: f'file,prompt\na.png,"{words}"\nb.png,"{words}"\n'),
    "list, JSON lines": (
        lines_of_images,
        lambda words: f'{{"file": "a.png", "prompt": "{words}"}}\n',
    ),
    "caption": (caption, lambda words: f"{words}\n"),
    "study": (rows_of_a_study, lambda words: f'{{"prompt": "{words}"}}\n{{"prompt": "b"}}\n'),
}
EACH = pytest.mark.parametrize(("read", "write"), READERS.values(), ids=READERS)
SAVED: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "UTF-8 with a mark": (WESTERN, lambda text: text.encode("utf-8-sig")),
    "UTF-16, little end": (WESTERN, lambda text: b"\xff\xfe" + text.encode("utf-16-le")),
    "UTF-16, big end": (WESTERN, lambda text: b"\xfe\xff" + text.encode("utf-16-be")),
    "UTF-16 without a mark": (WESTERN, lambda text: text.encode("utf-16-le")),
    "Windows-1252": (WESTERN, lambda text: text.encode("cp1252")),
    "GBK": (CHINESE, lambda text: text.encode("gb18030")),
    "Windows line ends": (WESTERN, lambda text: text.replace("\n", "\r\n").encode()),
    "old Mac line ends": (WESTERN, lambda text: text.replace("\n", "\r").encode()),
}


@EACH
@pytest.mark.parametrize(("words", "encode"), SAVED.values(), ids=SAVED)
def test_what_is_certain_is_read(
    tmp_path: Path,
    read: Reader,
    write: Callable[[str], str],
    words: str,
    encode: Callable[[str], bytes],
) -> None:
    path = tmp_path / "file"
    path.write_bytes(write(words).encode())
    expected = read(path)
    path.write_bytes(encode(write(words)))
    assert read(path) == expected


def archive(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name in names:
            made.writestr(name, f"<{name}/>" * 30)
    return out.getvalue()


NO_TEXT: dict[str, tuple[bytes, str]] = {
    "ZIP": (archive("criteria.yaml"), "a ZIP archive"),
    "XLSX": (archive("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook"),
    "DOCX": (archive("[Content_Types].xml", "word/document.xml"), "an Office document"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n", "a PDF"),
    "plain PDF": (b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n", "a PDF"),
    "RTF": (b"{\\rtf1\\ansi A painting\\par }", "a document (RTF)"),
    "web page": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page"),
    "picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0", ""),
    "gzip": (b"\x1f\x8b\x08\0\0\0\0\0\0\3\x4b\x04\0\x43\xbe\xb7\xe8", "a gzip archive"),
    "empty": (b"", ""),
    "zero byte": (b"a: \0b\nfile,prompt\n", ""),
    "Latin letters of no encoding": (b"a: \x81\x8d\x8f\x90\x9d \xff\xfe\x81\n" * 3, "UTF-8"),
}


@EACH
@pytest.mark.parametrize(("data", "words"), NO_TEXT.values(), ids=NO_TEXT)
def test_what_is_no_text_is_refused_in_one_sentence(
    tmp_path: Path, read: Reader, write: Callable[[str], str], data: bytes, words: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    said = refusal(read, path)
    if said is None:
        assert not data or read is caption, "it was read"
        return
    assert words in said
    assert_one_sentence(said)


@EACH
def test_one_damaged_place_is_named(
    tmp_path: Path, read: Reader, write: Callable[[str], str]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(write("Before \0 after").encode())
    said = refusal(read, path)
    assert said is not None, "it was read"
    assert_one_sentence(said)
    assert any(word in said for word in ("zero byte", "line", "NUL", "U+0000"))


@EACH
def test_a_folder_is_refused(tmp_path: Path, read: Reader, write: Callable[[str], str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    try:
        said = refusal(read, folder)
    except IsADirectoryError:  # whoever reads the bytes says it: see the imports
        return
    assert said is not None and "folder" in said
    assert_one_sentence(said)


def refusal(read: Reader, path: Path) -> str | None:
    """What the reader says, or None where it reads the file."""
    try:
        read(path)
    except (AppError, Ended, InvalidCriteria, ListingRefused, TextRefused) as error:
        return f"{error}"
    except Exception as error:
        if type(error).__module__.startswith("taxonomy"):
            return str(error)
        raise
    return None


def assert_one_sentence(said: str) -> None:
    assert said.strip() and "Traceback" not in said and "codec" not in said and "Errno" not in said
    assert len(said) < 600
    assert all(char.isprintable() or char == "\n" for char in said)
