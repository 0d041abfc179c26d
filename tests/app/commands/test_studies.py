"""`morelli studies`: what studies found, as files."""

import json
from pathlib import Path

from starlette.testclient import TestClient
from typer.testing import CliRunner

from app.cli import cli
from tests.app.studies.conftest import Atelier, answer_like, atelier

__all__ = ["atelier"]


def test_results_answers_and_pairs_are_written(
    api: TestClient, atelier: Atelier, tmp_path: Path
) -> None:
    study = atelier.study(prompts=2)
    for _, token in atelier.seats(study, 2):
        answer_like(api, token, {"light": "left"})
    run = CliRunner()
    listed = run.invoke(cli, ["studies", "list", "paintings", "--json"])
    assert [each["name"] for each in json.loads(listed.stdout)] == ["Spring study"]

    def export(what: str) -> str:
        told = run.invoke(
            cli, ["studies", "export", "paintings", str(study.id), "-", "--what", what]
        )
        assert told.exit_code == 0, told.output
        return told.stdout

    assert "holm_pairs" in export("results")
    assert len(export("answers").splitlines()) == 1 + 2 * 4 * 3
    assert "User Preference" in export("latex")
    assert {json.loads(line)["choice"] for line in export("pairs").splitlines()} <= {
        "a",
        "b",
        "tie",
    }
    to = tmp_path / "found.csv"
    assert (
        run.invoke(cli, ["studies", "export", "paintings", str(study.id), str(to)]).exit_code == 0
    )
    assert "holm_pairs" in to.read_text()
    nowhere = run.invoke(cli, ["studies", "export", "paintings", "999999", "-"])
    assert nowhere.exit_code != 0
