"""The one-machine servers in bad days: killed processes, broken files, wrong versions."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app import embedded
from app.embedded import ServersError, processes
from tests.app.embedded.conftest import HERE, ROOT, Supervise
from tests.app.embedded.observing import (
    ask,
    connect,
    is_alive,
    kept,
    put,
    server_pids,
    socket_folder,
    until,
)


@pytest.fixture
def bystander() -> Iterator[int]:
    """Some process that has nothing to do with us."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    yield process.pid
    process.kill()
    process.wait()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_killed_supervisor_leaves_no_server(home: Path, supervise: Supervise) -> None:
    supervisor = supervise()
    servers = embedded.running(home)
    assert servers is not None
    put(servers, "before the kill")
    pids = server_pids(home)
    with connect(servers) as connection:
        pids["backend"] = connection.info.backend_pid
        supervisor.kill()
        assert until(lambda: not any(is_alive(pid) for pid in pids.values()))
    with embedded.start(home, durable=False) as running:
        assert kept(running.servers) == (["before the kill"], ["before the kill"])


def test_a_forked_child_of_a_killed_supervisor_does_not_keep_the_home(
    home: Path, supervise: Supervise
) -> None:
    supervisor = supervise("fork")
    supervisor.kill()
    supervisor.wait()
    children = _children_on(home)
    try:
        with embedded.start(home, durable=False) as running:
            assert ask(running.servers, "SELECT 1") == 1
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


def _children_on(home: Path) -> list[int]:
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    lines = [line for line in listed.stdout.splitlines() if f"supervise.py {home} fork" in line]
    pids = [int(line.split()[0]) for line in lines]
    return [pid for pid in pids if is_alive(pid)]


def test_servers_that_a_killed_supervisor_left_are_stopped(
    home: Path, supervise: Supervise
) -> None:
    supervisor = supervise()
    servers = embedded.running(home)
    assert servers is not None
    put(servers, "kept")
    pids = server_pids(home)
    # A stopped process does not notice that its supervisor died.
    for pid in pids.values():
        os.kill(pid, signal.SIGSTOP)
    supervisor.kill()
    supervisor.wait()
    said: list[str] = []

    def wake(text: str) -> None:
        said.append(text)
        for pid in pids.values():
            if is_alive(pid):
                os.kill(pid, signal.SIGCONT)

    with embedded.start(home, durable=False, report=wake) as running:
        assert kept(running.servers) == (["kept"], ["kept"])
        assert set(server_pids(home).values()) & set(pids.values()) == set()
    assert f"Stopping postgres (process {pids['postgres']})" in said[0]


def test_a_start_that_follows_a_kill_at_once_comes_up(home: Path, supervise: Supervise) -> None:
    for turn in range(3):
        supervisor = supervise()
        servers = embedded.running(home)
        assert servers is not None
        put(servers, str(turn))
        supervisor.kill()
        supervisor.wait()
    with embedded.start(home, durable=False) as running:
        assert kept(running.servers)[0] == ["0", "1", "2"]


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_killed_server_is_noticed_and_comes_back(home: Path, name: str) -> None:
    with embedded.start(home, durable=False) as running:
        put(running.servers, "committed")
        before, pids = running.servers, server_pids(home)
        with connect(running.servers):
            os.kill(pids[name], signal.SIGKILL)
            assert until(lambda: running.poll() != ())
            (death,) = running.poll()
            assert (death.name, death.pid, death.exit_code) == (name, pids[name], -9)
            assert f"{name} (process {pids[name]}) ended with signal 9" in str(death)
        running.restart()
        assert running.poll() == ()
        assert running.servers == before
        rows, _ = kept(running.servers)
        assert rows == ["committed"]
        other = {"postgres": "redis", "redis": "postgres"}[name]
        assert server_pids(home)[other] == pids[other]


def test_servers_killed_with_their_supervisor_recover(home: Path, supervise: Supervise) -> None:
    supervisor = supervise()
    servers = embedded.running(home)
    assert servers is not None
    put(servers, "kept")
    pids = server_pids(home)
    for pid in [supervisor.pid, *pids.values()]:
        os.kill(pid, signal.SIGKILL)
    supervisor.wait()
    with embedded.start(home, durable=False) as running:
        assert kept(running.servers)[0] == ["kept"]


def test_a_pid_file_cut_short_does_not_matter(home: Path, bystander: int) -> None:
    with embedded.start(home, durable=False) as running:
        put(running.servers, "kept")
    for content in ("", "\n", "12", "not a number\n", f"{bystander}\n", "-5\n"):
        (home / "servers" / "postgres" / "postmaster.pid").write_text(content)
        with embedded.start(home, durable=False) as running:
            assert kept(running.servers)[0] == ["kept"]


def test_a_pid_file_whose_id_is_used_by_another_program(
    home: Path, supervise: Supervise, bystander: int
) -> None:
    supervisor = supervise()
    servers = embedded.running(home)
    assert servers is not None
    put(servers, "kept")
    pids = server_pids(home)
    for pid in [pids["postgres"], supervisor.pid]:
        os.kill(pid, signal.SIGKILL)
    supervisor.wait()
    left = home / "servers" / "postgres" / "postmaster.pid"
    left.write_text(left.read_text().replace(str(pids["postgres"]), str(bystander), 1))
    (socket_folder(home) / ".s.PGSQL.5432.lock").write_text(f"{bystander}\n")
    with embedded.start(home, durable=False) as running:
        assert kept(running.servers)[0] == ["kept"]
    assert is_alive(bystander)


def test_a_record_with_a_reused_process_id_stops_nobody(home: Path, bystander: int) -> None:
    known = processes.mark(bystander)
    assert known is not None
    record = json.loads((home / "servers.json").read_text())
    record["running"] = {"postgres": vars(known), "redis": {"pid": bystander, "started": "1"}}
    (home / "servers.json").write_text(json.dumps(record))
    with embedded.start(home, durable=False):
        assert is_alive(bystander)


def test_a_damaged_record_does_not_matter(home: Path) -> None:
    with embedded.start(home, durable=False) as running:
        put(running.servers, "kept")
    wrong = {"postgres": 5, "redis": "six", "sockets": []}
    for content in ("", "{", "[]", '{"running": {"a": 1}}', json.dumps(wrong)):
        (home / "servers.json").write_text(content)
        with embedded.start(home, durable=False) as running:
            assert kept(running.servers) == (["kept"], ["kept"])


def test_a_first_start_that_was_killed_is_done_again(new_home: Path) -> None:
    growing = new_home / "servers" / "postgres.new"
    growing.mkdir(parents=True)
    (growing / "PG_VERSION").write_text("18\n")
    (new_home / "servers" / "postgres.password").write_text("old")
    with embedded.start(new_home, durable=False) as running:
        assert ask(running.servers, "SELECT 1") == 1
    assert not growing.exists()
    assert not (new_home / "servers" / "postgres.password").exists()


def test_a_database_that_was_not_made_completely_is_completed(home: Path) -> None:
    with embedded.start(home, durable=False) as running:
        passwords = json.loads((home / "servers.password").read_text())
        address = running.servers.database_url.replace("+psycopg", "")
        administrator = address.replace("//morelli:", "//postgres:").replace(
            "/morelli?", "/postgres?"
        )
        administrator = administrator.replace(passwords["application"], passwords["administrator"])
        with psycopg.connect(administrator, autocommit=True) as connection:
            connection.execute("DROP DATABASE morelli")
            connection.execute("DROP ROLE morelli")
    with embedded.start(home, durable=False) as running:
        put(running.servers, "new")
        assert kept(running.servers)[0] == ["new"]


def test_data_of_another_postgres_version_is_not_touched(home: Path) -> None:
    (home / "servers" / "postgres" / "PG_VERSION").write_text("12\n")
    before = contents(home / "servers")
    with pytest.raises(ServersError, match=r"made by PostgreSQL 12.*pg_dump"):
        embedded.start(home, durable=False)
    assert contents(home / "servers") == before
    assert "made by PostgreSQL 12" in embedded.versions(home)["postgres program"]


def test_a_lost_password_file_is_named(home: Path) -> None:
    (home / "servers.password").unlink()
    with pytest.raises(ServersError, match=r"servers\.password.*backup"):
        embedded.start(home, durable=False)
    assert not (home / "servers.password").exists()


def test_a_password_file_of_another_database_is_named(home: Path) -> None:
    wrong = {"application": "a", "administrator": "b"}
    (home / "servers.password").write_text(json.dumps(wrong))
    with pytest.raises(ServersError, match=r"servers\.password"):
        embedded.start(home, durable=False)


def test_files_that_are_not_a_database_are_not_overwritten(new_home: Path) -> None:
    (new_home / "servers" / "postgres").mkdir(parents=True)
    (new_home / "servers" / "postgres" / "thesis.txt").write_text("three years")
    with pytest.raises(ServersError, match="is not empty"):
        embedded.start(new_home, durable=False)
    assert (new_home / "servers" / "postgres" / "thesis.txt").read_text() == "three years"


def test_a_server_that_does_not_come_up_says_why_and_leaves_nothing(home: Path) -> None:
    settings = home / "servers" / "postgres" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "\nno_such_setting = on\n")
    with pytest.raises(ServersError, match="no_such_setting"):
        embedded.start(home, durable=False)
    assert server_pids(home) == {}
    settings.write_text(good)
    embedded.start(home, durable=False).stop()


@pytest.mark.parametrize("version", ["valkey 99.1.0", "redis 99.1.0", "redis 7.4.1"])
def test_a_queue_that_valkey_cannot_read_is_put_aside(home: Path, version: str) -> None:
    with embedded.start(home, durable=False) as running:
        put(running.servers, "queued")
    record = json.loads((home / "servers.json").read_text())
    (home / "servers.json").write_text(json.dumps({**record, "redis": version}))
    said: list[str] = []
    with embedded.start(home, durable=False, report=said.append) as running:
        assert kept(running.servers) == (["queued"], [])
    (aside,) = (home / "servers").glob(f"redis-of-{version.replace(' ', '-')}-*")
    assert any(aside.iterdir())
    assert str(aside) in said[0]


def test_the_queue_of_an_earlier_morelli_is_taken_over(home: Path) -> None:
    """It was a Redis 6.2 that wrote it, in one file: a snapshot, and what came after."""
    with embedded.start(home, durable=False) as running:
        put(running.servers, "three")
    shutil.rmtree(home / "servers" / "redis")
    shutil.copytree(HERE / "redis-6.2", home / "servers" / "redis")
    record = json.loads((home / "servers.json").read_text())
    (home / "servers.json").write_text(json.dumps({**record, "redis": "redis 6.2.14"}))
    for _ in range(2):  # what was taken over is there at the next start, too
        with embedded.start(home, durable=False) as running:
            assert running.servers.redis_version.startswith("valkey ")
            assert kept(running.servers) == (["three"], ["one", "two"])
    assert list((home / "servers").glob("redis-of-*")) == []


def test_a_queue_cut_short_by_a_power_failure_is_loaded(home: Path) -> None:
    with embedded.start(home, durable=False) as running:
        put(running.servers, "one")
        put(running.servers, "two")
    files = [file for file in (home / "servers" / "redis").rglob("*.aof") if file.stat().st_size]
    log = max(files, key=lambda file: file.stat().st_mtime)
    log.write_bytes(log.read_bytes()[:-3])
    with embedded.start(home, durable=False) as running:
        assert kept(running.servers) == (["one", "two"], ["one"])


@pytest.mark.parametrize("stay", [True, False])
def test_a_program_ends_with_its_caller_on_every_system(tmp_path: Path, stay: bool) -> None:
    """`stay` is how systems without a parent-death signal do it; it works on all."""
    if not stay and sys.platform != "linux":
        pytest.skip("only Linux has a signal for the death of the parent")
    program = f"""
import signal, sys, time
from pathlib import Path
from app.embedded.processes import Identity, launch
script = "import os, time; print(os.getpid(), flush=True); time.sleep(3600)"
launch([sys.executable, "-c", script], folder=Path({str(tmp_path)!r}), identity=Identity(),
       death_signal=signal.SIGTERM, output=sys.stdout.fileno(), stay={stay})
time.sleep(3600)
"""
    caller = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert caller.stdout is not None
    pid = int(caller.stdout.readline())
    assert is_alive(pid)
    caller.kill()
    caller.wait()
    caller.stdout.close()
    assert until(lambda: not is_alive(pid))
