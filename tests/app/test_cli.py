"""The command line as people and scripts use it: a process, its exit code, and what it prints."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import cli, doctor
from app.agents.models import AgentRun
from app.commands import criteria, waiting
from app.database import unit_of_work
from app.datasets.models import Dataset
from app.embedded import ServersError
from app.embedded import redis as redis_server
from app.errors import AppError
from app.images.models import Image
from app.jobs import claiming
from app.jobs.models import Job
from app.labels.models import Label
from app.settings import settings
from method.manifests import verify
from taxonomy.formats.json import read_json
from taxonomy.shipped import painting_criteria
from tests.app.datasets.gallery import BLUE, Gallery, encoded, open_gallery, picture
from tests.factories import Make

PAINTING = Path(cli.__file__).parents[1] / "taxonomy" / "painting.yaml"
COMMANDS = [
    "",
    "up",
    "demo",
    "doctor",
    "import",
    "export",
    "criteria",
    "criteria check",
    "criteria show",
    "criteria diff",
    "criteria export",
    "criteria import",
    "agent",
    "agent run",
    "agent trust",
    "agent differences",
    "images",
    "images list",
    "images aside",
    "images restore",
    "images replace",
    "images erase",
    "labels",
    "labels export",
    "labels recount",
    "train",
    "evaluate",
    "tiny-model",
]
NOWHERE = {
    "MORELLI_DATABASE_URL": "postgresql+psycopg://morelli:SECRET@127.0.0.1:1/morelli",
    "MORELLI_REDIS_URL": "redis://:SECRET@127.0.0.1:1",
}


def run(*arguments: str | Path, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with nothing of ours in its environment."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("MORELLI_")}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *map(str, arguments)],
        env=plain | {"MORELLI_HOME": str(home)} | variables,
        cwd=PAINTING.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def assert_failed(done: subprocess.CompletedProcess[str], words: str, *, code: int = 1) -> None:
    """It failed in a sentence, kept stdout for data, and told no secret."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert words in done.stderr
    assert done.stderr.startswith("morelli: ")
    assert "Traceback" not in done.stderr
    assert "SECRET" not in done.stderr


@pytest.fixture
def own_home(tmp_path: Path) -> Path:
    """A MORELLI_HOME that is not there."""
    return tmp_path / "home"


def test_every_command_explains_itself(own_home: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        shown = list(
            pool.map(lambda command: run(*command.split(), "--help", home=own_home), COMMANDS)
        )
    for command, done in zip(COMMANDS, shown, strict=True):
        assert (done.returncode, done.stderr) == (0, ""), command
        assert "Usage:" in done.stdout
        assert command.partition(" ")[0] in shown[0].stdout  # the list of all commands
    assert not own_home.exists()


WRONG_USE = [
    ["paint"],
    ["criteria"],
    ["criteria", "check"],
    ["criteria", "check", "one.yaml", "two.yaml"],
    ["doctor", "--loud"],
    ["criteria", "show", "paintings", "--version", "new"],
    ["evaluate", "run", "--prompts", "0"],
]


def test_wrong_use_exits_with_2(own_home: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda arguments: run(*arguments, home=own_home), WRONG_USE):
            assert done.returncode == 2, done.args
            assert "Traceback" not in done.stderr
    assert not own_home.exists()


def test_checks_the_painting_criteria_without_any_server(own_home: Path) -> None:
    done = run("criteria", "check", "taxonomy/painting.yaml", "--json", home=own_home, **NOWHERE)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found == found | {"name": "Painting", "root_dimensions": 7, "levels": 5, "problems": []}
    assert found["attribute_pairs"] == len(painting_criteria().pairs())
    assert sum(found["by_root"].values()) == found["attribute_pairs"]
    assert len(found["by_root"]) == 7
    assert found["dimensions"] > 0
    assert len(found["sha256"]) == 64
    assert not own_home.exists()


def test_bad_criteria_fail_in_sentences(tmp_path: Path, own_home: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("format: morelli-criteria/1\nname: Bad\ndimensions: 3\n")
    done = run("criteria", "check", bad, home=own_home)
    assert done.returncode == 1
    assert "error: " in done.stdout
    assert "dimensions" in done.stdout
    assert "Traceback" not in done.stderr
    found = json.loads(run("criteria", "check", bad, "--json", home=own_home).stdout)
    assert found["problems"][0]["severity"] == "error"
    assert found["sha256"] is None
    shown = run("criteria", "show", bad, home=own_home)
    assert_failed(shown, "these are not criteria")


def test_files_that_cannot_be_read_are_named(tmp_path: Path, own_home: Path) -> None:
    """And told apart, by the exit code, from files that can be read and have problems."""
    unclear, round_about = tmp_path / "unclear.yaml", tmp_path / "round.yaml"
    unclear.write_bytes(b"name: \xe8\xfe")
    round_about.symlink_to(round_about)
    missing = "There is no file missing.yaml. Check the path."
    named: list[tuple[tuple[str | Path, ...], str]] = [
        (("criteria", "check", unclear), "Save it again as UTF-8"),
        (("criteria", "check", "missing.yaml"), missing),
        (("criteria", "check", round_about), "symbolic links"),
        # No server is started to look for a project of this name.
        (("criteria", "show", "missing.yaml"), missing),
        (("criteria", "diff", tmp_path, PAINTING), "is a folder"),
        (("export", "paintings", tmp_path), "exists already"),
        (("images", "replace", "paintings", "1", "missing.png"), "missing.png cannot be read"),
    ]
    for arguments, words in named:
        assert_failed(run(*arguments, home=own_home), words, code=2)
    unset = run("criteria", "check", "$NOWHERE/x", home=own_home)
    assert unset.returncode == 2 and "$NOWHERE in $NOWHERE/x is not set" in unset.stderr
    (tmp_path / "tree.yaml").write_bytes(PAINTING.read_bytes())
    found = run("criteria", "check", "~/tree.yaml", home=own_home, HOME=str(tmp_path))
    assert found.returncode == 0, found.stderr
    assert not own_home.exists()


def test_says_what_changed_between_two_files(tmp_path: Path, own_home: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(PAINTING.read_text("utf-8").replace("name: Painting\n", "name: Pictures\n"))
    done = run("criteria", "diff", PAINTING, other, home=own_home)
    assert done.returncode == 0
    assert "Painting" in done.stdout and "Pictures" in done.stdout
    (change,) = json.loads(run("criteria", "diff", PAINTING, other, "--json", home=own_home).stdout)
    assert (change["before"], change["after"]) == ("Painting", "Pictures")
    same = run("criteria", "diff", PAINTING, PAINTING, home=own_home)
    assert (same.returncode, same.stdout) == (0, "No difference.\n")
    assert not own_home.exists()


def test_shows_a_file_in_words_and_as_json(own_home: Path) -> None:
    shown = run("criteria", "show", PAINTING, home=own_home).stdout
    assert "[brushwork-and-texture]" in shown and "+ " in shown and "− " in shown
    as_json = run("criteria", "show", PAINTING, "--json", home=own_home).stdout
    assert read_json(as_json) == painting_criteria()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MORELLI_PORT": "SECRET"}, "the setting MORELLI_PORT is wrong"),
        (NOWHERE, "the database does not answer"),
        (NOWHERE | {"MORELLI_DATABASE_URL": "SECRET"}, "MORELLI_DATABASE_URL is not"),
        (
            {"MORELLI_DATABASE_URL": NOWHERE["MORELLI_DATABASE_URL"]},
            "Only one of MORELLI_DATABASE_URL and MORELLI_REDIS_URL is set.",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(
    variables: dict[str, str], words: str, own_home: Path
) -> None:
    done = run("criteria", "show", "paintings", home=own_home, **variables)
    assert_failed(done, words)
    assert len(done.stderr.splitlines()) == 1


def test_the_doctor_looks_and_changes_nothing(own_home: Path) -> None:
    done = run("doctor", "--json", home=own_home)
    found = {each["what"]: each for each in json.loads(done.stdout)}
    assert done.returncode == 0
    assert found["Morelli"]["verdict"] == "ok"
    assert found["Home"]["verdict"] == "note"
    assert "not running" in found["Servers"]["found"]
    assert found["postgres program"]["verdict"] == found["redis program"]["verdict"] == "ok"
    assert not own_home.exists()


def test_the_doctor_says_what_does_not_answer(own_home: Path) -> None:
    done = run("doctor", home=own_home, **NOWHERE)
    assert done.returncode == 1
    assert "    bad  Database: does not answer" in done.stdout
    assert "    bad  Redis: does not answer" in done.stdout
    assert "SECRET" not in done.stdout + done.stderr


def test_the_doctor_finds_the_database_up_to_date(servers: None, own_home: Path) -> None:
    done = run("doctor", home=own_home, **addresses())
    assert done.returncode == 0, done.stdout
    assert "migrations up to date" in done.stdout


def test_the_doctor_calls_a_missing_program_bad(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ServersError("No Redis is installed here.")

    monkeypatch.setattr(settings(), "home", own_home)
    monkeypatch.setattr(settings(), "database_url", None)
    monkeypatch.setattr(settings(), "redis_url", None)
    monkeypatch.setattr(redis_server, "find_program", missing)
    bad = [each for each in doctor.examine() if each.verdict == "bad"]
    assert [(each.what, each.found) for each in bad] == [
        ("redis program", "No Redis is installed here.")
    ]


# With a database.


def addresses() -> dict[str, str]:
    """The test's servers, as settings of a process."""
    return {name: os.environ[name] for name in ("MORELLI_DATABASE_URL", "MORELLI_REDIS_URL")}


@pytest.fixture
def gallery(db: Session, make: Make, own_storage: None) -> Gallery:
    return open_gallery(db, make)


@pytest.fixture
def morelli(gallery: Gallery, own_home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command on the test's database and the gallery's storage."""

    def do(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return run(*arguments, home=own_home, **addresses())

    return do


Morelli = Callable[..., subprocess.CompletedProcess[str]]


def test_shows_the_criteria_of_a_project(gallery: Gallery, morelli: Morelli) -> None:
    shown = morelli("criteria", "show", "paintings")
    assert shown.returncode == 0, shown.stderr
    assert "  + Warm dominance  − Warm monotony  [warm-dominance]" in shown.stdout
    gallery.nodes["warm-dominance"].positive_name = "Warmth"
    gallery.db.commit()
    assert "+ Warm dominance " in morelli("criteria", "show", "paintings", "--version", "1").stdout
    told = morelli("criteria", "diff", "paintings", "paintings", "--old-version", "1")
    assert told.returncode == 0
    assert "Warmth" in told.stdout


def test_imports_labels_and_exports(gallery: Gallery, morelli: Morelli, tmp_path: Path) -> None:
    source = tmp_path / "from"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.png").write_bytes(encoded(picture(number, BLUE)))
    (source / "page.png").write_text("<html>")
    done = morelli("import", "paintings", source, "--json")
    assert done.returncode == 1  # one file was refused
    summary = json.loads(done.stdout)
    assert (summary["added"], summary["duplicates"], summary["refused"]) == (3, 0, 1)
    assert [each["name"] for each in summary["problems"]] == ["page.png"]
    (source / "page.png").unlink()
    again = morelli("import", "paintings", source)
    assert (again.returncode, again.stdout) == (0, "0 added, 3 already there, 0 refused\n")

    done = morelli("agent", "run", "paintings", "--json")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    labels = gallery.labels()
    assert job["state"] == "succeeded"
    assert job["result"] == {"images": 3, "labels": len(labels)}
    assert labels

    assert_failed(morelli("agent", "trust", "paintings"), "Nothing was learned yet.", code=2)
    member = str(labels[0].agent_run_id)
    done = morelli("agent", "run", "paintings", "--agent", "ensemble", "--of", member, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["is_trust_known"] is False
    told = morelli("agent", "trust", "paintings", "--learn")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("0 answers of 0 people about 0 labels\ntoo few to learn from")
    together = str(gallery.db.scalar(select(func.max(AgentRun.id))))
    listed = json.loads(morelli("agent", "differences", "paintings", together, "--json").stdout)
    assert listed == {"items": [], "next": None}

    folder = tmp_path / "made" / "spring"
    refused = morelli("export", "paintings", folder)
    assert_failed(refused, "No label is confirmed yet. A dataset freezes confirmed labels")
    assert not folder.exists()
    for image in gallery.db.scalars(select(Image)):
        gallery.decide(image, "cool-dominance")
    refused = morelli("export", "paintings", folder)
    assert_failed(refused, "No image with confirmed labels is finished (3 are not). Mark some")
    assert "--unfinished" in refused.stderr
    assert not gallery.db.scalars(select(Job).where(Job.kind == "dataset")).all()
    done = morelli("export", "paintings", folder, "--name", "Spring", "--unfinished", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["folder"], told["images"]) == (str(folder), 3)
    assert verify(folder) == []
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (manifest["name"], manifest["sha256"]) == ("Spring", told["sha256"])
    assert [each.name for each in folder.parent.iterdir()] == ["spring"]
    assert_failed(morelli("export", "paintings", folder), "exists already.", code=2)
    assert len(gallery.db.scalars(select(Dataset)).all()) == 1


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["criteria", "show", "nowhere"], "There is no project “nowhere”. Check its address.", 2),
        (["criteria", "show", "paintings", "--version", "9"], "version 9", 2),
        (["import", "nowhere", "{tmp}"], "There is no project “nowhere”. Check its address.", 2),
        (["import", "paintings", "{tmp}/missing"], "missing", 2),
        (["agent", "run", "nowhere"], "There is no project “nowhere”. Check its address.", 2),
        (["agent", "run", "paintings", "--agent", "oracle"], "There is no agent “oracle”", 1),
        (["agent", "run", "paintings"], "There are no images to label yet.", 1),
        (
            ["export", "nowhere", "{tmp}/out"],
            "There is no project “nowhere”. Check its address.",
            2,
        ),
    ],
)
def test_what_cannot_be_done_is_said(
    db: Session,
    gallery: Gallery,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
    code: int,
) -> None:
    given = [each.format(tmp=tmp_path) for each in arguments]
    monkeypatch.setattr(sys, "argv", ["morelli", *given])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("morelli: ") and words in told.err
    assert len(told.err.splitlines()) == 1
    assert db.scalars(select(Job)).all() == []
    assert db.scalars(select(Label)).all() == []


def test_our_own_mistakes_are_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.explain(KeyError("ours")) is None

    def broken(*_: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(sys, "argv", ["morelli", "criteria", "check", str(PAINTING)])
    monkeypatch.setattr(criteria, "read_bytes", broken)
    with pytest.raises(KeyError):
        cli.main()


def test_a_job_that_is_to_be_tried_again_is_done_here_again(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be no other worker, and a command that waits for one would wait for ever."""
    gallery.hang_many(1)
    _, job = gallery.launch()
    calls: list[tuple[str, ...]] = []

    def work(*arguments: str) -> int:
        calls.append(arguments)
        with unit_of_work() as db:
            mine = claiming.claim(db, job.id, owner="me")
            assert mine is not None
            if len(calls) == 1:
                claiming.fail(
                    db, mine.id, mine.attempt, kind="infrastructure", message="Away.", again=True
                )
                db.get_one(Job, job.id).not_before = job.created_at
            else:
                claiming.finish(db, mine.id, mine.attempt, {"images": 1})
        return 0

    monkeypatch.setattr(waiting, "run_worker_module", work)
    found = waiting.finish_job(job.id)
    assert calls == [("worker", str(job.id))] * 2
    assert (found["state"], found["result"]) == ("succeeded", {"images": 1})


def test_a_worker_that_does_not_start_ends_the_wait(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = gallery.make.job(gallery.project)
    monkeypatch.setattr(waiting, "run_worker_module", lambda *_: 1)
    with pytest.raises(AppError, match="ended without doing job"):
        waiting.finish_job(job.id)


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "one").write_text("1")
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(AppError, match="cannot be written") as caught:
        cli.copy_folder(source, in_the_way / "out")
    assert caught.value.hint is not None and str(source) in caught.value.hint
    cli.copy_folder(source, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out", "source"]


def test_training_codes_become_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    codes: dict[int, Any] = {0: 0, 75: 1, 4: 1, 2: 2, 1: 1, -9: 1}
    for given, expected in codes.items():
        monkeypatch.setattr(cli, "run_worker_module", lambda *_, code=given: code)
        with pytest.raises(SystemExit) as caught:
            cli.cli(["train", str(tmp_path / "config.yaml")])
        assert caught.value.code == expected


def test_what_cannot_be_written_whole_leaves_what_was_there(tmp_path: Path) -> None:
    to = tmp_path / "tree.yaml"
    to.write_text("what was there")
    # A file may have no more than 4 KiB here: the same as a disk that fills up in the middle.
    program = 'ulimit -f 4; exec "$@"'
    command = [sys.executable, "-m", "app.cli", "criteria", "export", str(PAINTING), str(to)]
    done = subprocess.run(
        ["bash", "-c", program, "bash", *command],
        cwd=PAINTING.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert_failed(done, "tree.yaml cannot be written: File too large.")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [
        ("tree.yaml", "what was there")
    ]
