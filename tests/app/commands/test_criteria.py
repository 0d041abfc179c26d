"""`morelli criteria export` and `import`: files out of a project and back into it."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app import cli
from app.criteria.editing import rename
from app.criteria.loading import load_criteria
from app.criteria.reading import working_criteria
from app.criteria.undoing import undo
from taxonomy.formats.csv import write_csv
from taxonomy.formats.xlsx import read_xlsx, write_xlsx
from taxonomy.shipped import painting_criteria, painting_edition
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast, cast
from tests.taxonomy.strategies import change_node

Morelli = Callable[..., int]
RENAMED = change_node(SMALL, "edges", lambda each: replace(each, name="Contours"))


@pytest.fixture
def morelli(monkeypatch: pytest.MonkeyPatch) -> Morelli:
    """Runs the command here and gives its exit code."""

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["morelli", "criteria", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return int(left.value.code or 0)

    return run


@pytest.fixture
def people(make: Make, db: Session) -> Cast:
    """A project with small criteria."""
    found = cast(make)
    load_criteria(db, found.project, SMALL, by=found.lea)
    db.commit()
    return found


def test_a_dry_run_says_what_an_import_then_does(
    db: Session,
    people: Cast,
    morelli: Morelli,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "criteria.csv"
    file.write_text(write_csv(RENAMED))
    assert morelli("import", "paintings", file, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["kind"] for each in told["changes"]] == ["renamed"]
    db.expire_all()
    assert working_criteria(db, people.project) == SMALL
    assert morelli("import", "paintings", file) == 0
    assert "“Edges” was renamed to “Contours”" in capsys.readouterr().out
    db.expire_all()
    assert working_criteria(db, people.project) == RENAMED
    assert morelli("import", "paintings", file) == 1
    assert "nothing to import" in capsys.readouterr().err


def test_an_empty_project_is_given_the_criteria_of_a_file(
    db: Session, make: Make, morelli: Morelli, tmp_path: Path
) -> None:
    people = cast(make)
    file = tmp_path / "criteria.xlsx"
    file.write_bytes(write_xlsx(SMALL))
    assert morelli("import", "paintings", file) == 0
    db.expire_all()
    assert working_criteria(db, people.project) == SMALL


def test_the_newest_edition_is_taken_over(
    db: Session, make: Make, morelli: Morelli, capsys: pytest.CaptureFixture[str]
) -> None:
    people = cast(make)
    load_criteria(db, people.project, painting_edition(1), by=people.lea)
    rename(db, people.project, "tenebrism", based_on=1, by=people.lea, positive="Dark")
    db.commit()
    assert morelli("take-over", "paintings", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "both changed tenebrism/positive.name: here “Dark”" in said
    assert "yours is kept." in said
    undo(db, people.project, 2, by=people.lea)
    db.commit()
    assert morelli("take-over", "paintings", "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert "split" in {each["kind"] for each in told["succession"]}
    db.expire_all()
    assert working_criteria(db, people.project) == painting_edition(1)
    assert morelli("take-over", "paintings") == 0
    assert "changes made." in capsys.readouterr().out
    db.expire_all()
    assert working_criteria(db, people.project) == painting_criteria()
    assert morelli("take-over", "paintings") == 1
    assert "No newer edition" in capsys.readouterr().err


def test_a_wrong_file_is_told_with_its_place(
    db: Session,
    people: Cast,
    morelli: Morelli,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "criteria.csv"
    file.write_text(write_csv(SMALL).replace("flaw", "odd"))
    assert morelli("import", "paintings", file) == 1
    assert "line 7, column “relation”" in capsys.readouterr().err
    assert morelli("check", file) == 1
    assert "line 7, column “relation”" in capsys.readouterr().out
    assert working_criteria(db, people.project) == SMALL


def test_an_export_says_what_the_format_cannot_hold(
    people: Cast, morelli: Morelli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert morelli("export", "paintings", tmp_path / "a.xlsx") == 0
    assert read_xlsx((tmp_path / "a.xlsx").read_bytes()) == SMALL
    assert "does not hold" not in capsys.readouterr().err
    assert morelli("export", tmp_path / "a.xlsx", tmp_path / "a.xml") == 0
    assert "Label Studio does not hold relations" in capsys.readouterr().err
    assert morelli("export", "paintings", tmp_path / "a.doc") == 1
    assert "has no ending that is known" in capsys.readouterr().err
    assert morelli("export", "paintings", tmp_path / "nowhere" / "a.csv") == 1
    assert "cannot be written" in capsys.readouterr().err
