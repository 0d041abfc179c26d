"""The one-machine servers in good days: start, stop, addresses, who can reach them."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kombu.connection
import pytest
import sqlalchemy

from app import embedded
from app.embedded import ServersError
from app.embedded.memory import memory_of_machine, share_of
from tests.app.embedded.conftest import Supervise
from tests.app.embedded.observing import ask, is_alive, kept, put, server_pids, socket_folder, until

connect_as_celery: Callable[[str], Any] = kombu.connection.Connection  # it has no types
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_data_is_there_again_after_a_restart(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with embedded.start(home) as running:
        put(running.servers, "first")
        pids = server_pids(home)
    assert not any(is_alive(pid) for pid in pids.values())
    with embedded.start(home) as running:
        assert kept(running.servers) == (["first"], ["first"])


def test_addresses_work_for_the_libraries_that_use_them(new_home: Path) -> None:
    strange = new_home.with_name('it\'s "5%" {a=b} \\ ü')
    with embedded.start(strange, durable=False) as running:
        engine = sqlalchemy.create_engine(running.servers.database_url)
        with engine.connect() as connection:
            assert connection.scalar(sqlalchemy.text("SELECT current_user")) == "morelli"
        engine.dispose()
        with connect_as_celery(running.servers.redis_url) as broker:
            queue = broker.SimpleQueue("jobs")
            queue.put("work")
            message = queue.get(block=True, timeout=5)
            assert message.payload == "work"
            message.ack()
            queue.close()


def test_the_application_role_owns_its_database_and_no_more(new_home: Path) -> None:
    with embedded.start(new_home, durable=False) as running:
        servers = running.servers
        role = "SELECT rolsuper OR rolcreaterole OR rolreplication FROM pg_roles"
        assert ask(servers, f"{role} WHERE rolname = current_user") is False
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'morelli'"
        assert ask(servers, owner) == "morelli"
        assert ask(servers, "SHOW server_encoding") == "UTF8"
        assert ask(servers, "SHOW timezone") == "UTC"
        assert ask(servers, "SELECT 'É' = upper('é') AND 'Z' < 'a'") is True
        assert servers.postgres_version == ask(servers, "SHOW server_version")


@pytest.mark.parametrize("durable", [True, False])
def test_only_durable_servers_force_data_to_the_disk(home: Path, durable: bool) -> None:
    with embedded.start(home, durable=durable) as running:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            assert ask(running.servers, f"SHOW {name}") == ("on" if durable else "off")


def test_pages_of_the_database_get_a_share_of_the_memory_unless_the_owner_chose(
    new_home: Path,
) -> None:
    shown = "SELECT setting::bigint * 8192 FROM pg_settings WHERE name = 'shared_buffers'"
    with embedded.start(new_home, durable=False) as running:
        assert ask(running.servers, shown) == share_of(memory_of_machine()) >> 20 << 20
    file = new_home / "servers" / "postgres" / "postgresql.conf"
    with file.open("a") as config:
        config.write("shared_buffers = '144 MB'   # mine\n")
    with embedded.start(new_home, durable=False) as running:
        assert ask(running.servers, shown) == 144 * 2**20
    (file.parent / "mine.conf").write_text("Shared_Buffers 152MB\n")
    with file.open("a") as config:
        config.write("include 'mine.conf'\n")
    with embedded.start(new_home, durable=False) as running:
        assert ask(running.servers, shown) == 152 * 2**20
    (file.parent / "postgresql.auto.conf").write_text("shared_buffers = '160MB'\n")
    with embedded.start(new_home, durable=False) as running:
        assert ask(running.servers, shown) == 160 * 2**20


@pytest.mark.parametrize(("memory", "share"), [(1, 128), (4096, 256), (24 * 1024, 1024)])
def test_the_share_is_neither_useless_nor_greedy(memory: int, share: int) -> None:
    assert share_of(memory * 2**20) == share * 2**20


def test_a_wrong_password_is_refused(home: Path) -> None:
    with embedded.start(home, durable=False) as running:
        address = sqlalchemy.make_url(running.servers.database_url)
        engine = sqlalchemy.create_engine(address.set(password="guessed"))
        with pytest.raises(sqlalchemy.exc.OperationalError, match="authentication failed"):
            engine.connect()
        engine.dispose()


def test_nobody_else_can_enter_or_read_anything(new_home: Path) -> None:
    old = os.umask(0)
    try:
        with embedded.start(new_home, durable=False):
            sockets = socket_folder(new_home)
            entries = [new_home, *new_home.rglob("*"), sockets, *sockets.iterdir()]
            names = {entry.name for entry in entries}
            assert {".s.PGSQL.5432", "redis.sock", "PG_VERSION", "servers.password"} <= names
            assert [entry for entry in entries if entry.lstat().st_mode & 0o077] == []
    finally:
        os.umask(old)


@linux
def test_no_network_port_is_opened(home: Path) -> None:
    with embedded.start(home, durable=False):
        handles = set()
        for pid in server_pids(home).values():
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                handles.add(os.readlink(handle))
        network = set()
        for table in ("tcp", "tcp6", "udp", "udp6"):
            path = Path("/proc/net") / table
            lines = path.read_text().splitlines()[1:] if path.exists() else []
            network |= {f"socket:[{line.split()[9]}]" for line in lines}
        assert any(handle.startswith("socket:") for handle in handles)
        assert handles & network == set()


@linux
def test_passwords_are_in_no_process_list_and_no_log(new_home: Path) -> None:
    with embedded.start(new_home, durable=False) as running:
        secrets = json.loads((new_home / "servers.password").read_text()).values()
        assert len(set(secrets)) == 2
        shown = repr(running.servers)
        for pid in server_pids(new_home).values():
            for name in ("cmdline", "environ"):
                shown += Path(f"/proc/{pid}/{name}").read_text()
    with embedded.start(new_home, durable=False):
        pass
    for file in [new_home / "servers.json", *(new_home / "server-logs").iterdir()]:
        shown += file.read_text()
    assert "ready to accept connections" in shown
    assert not any(secret in shown for secret in secrets)
    everywhere = [file for file in (new_home / "servers").rglob("*") if file.is_file()]
    assert not any(s.encode() in file.read_bytes() for file in everywhere for s in secrets)


def test_servers_are_not_in_the_session_of_the_terminal(home: Path) -> None:
    with embedded.start(home, durable=False):
        sessions = {os.getsid(pid) for pid in server_pids(home).values()}
        assert os.getsid(0) not in sessions


def test_servers_outlive_the_thread_that_started_them(home: Path) -> None:
    started: list[embedded.Running] = []
    thread = threading.Thread(target=lambda: started.append(embedded.start(home, durable=False)))
    thread.start()
    thread.join()
    with started[0] as running:
        assert not until(lambda: running.poll() != (), seconds=0.5)
        assert ask(running.servers, "SELECT 1") == 1


def test_a_second_start_names_the_process_that_runs(home: Path, supervise: Supervise) -> None:
    first = supervise()
    with pytest.raises(ServersError, match=rf"already running .*process {first.pid}\)"):
        embedded.start(home, durable=False)
    assert all(is_alive(pid) for pid in server_pids(home).values())
    assert first.poll() is None


def test_a_second_start_in_the_same_process_is_refused(home: Path) -> None:
    with embedded.start(home, durable=False) as running:
        with pytest.raises(ServersError, match=f"process {os.getpid()}"):
            embedded.start(home, durable=False)
        assert running.poll() == ()


def test_another_process_finds_the_running_servers(home: Path, supervise: Supervise) -> None:
    assert embedded.running(home) is None
    supervise()
    servers = embedded.running(home)
    assert servers is not None
    assert ask(servers, "SELECT 1") == 1
    assert embedded.versions(home)["running"] == "yes"


def test_nothing_is_found_after_a_stop(home: Path) -> None:
    running = embedded.start(home, durable=False)
    running.stop()
    running.stop()
    assert embedded.running(home) is None
    known = embedded.versions(home)
    assert known["running"] == "no"
    assert known["postgres data"] == running.servers.postgres_version.split(".")[0]
    assert known["redis last run"] == running.servers.redis_version


def test_versions_of_an_empty_home_change_nothing(new_home: Path) -> None:
    assert embedded.versions(new_home)["postgres last run"] == "never"
    assert not new_home.exists()


def test_a_deep_home_gets_short_sockets(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 30)
    with embedded.start(home, durable=False) as running:
        put(running.servers, "deep")
        sockets = socket_folder(home)
        assert home not in sockets.parents
        assert sockets.stat().st_mode & 0o777 == 0o700
    assert not sockets.exists()
    with embedded.start(home, durable=False) as running:
        assert kept(running.servers)[0] == ["deep"]


def test_a_remembered_socket_folder_that_is_open_is_not_used(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 30)
    embedded.start(home, durable=False).stop()
    trap = tmp_path / "trap"
    trap.mkdir()
    trap.chmod(0o755)  # whatever this process masks
    record = json.loads((home / "servers.json").read_text())
    (home / "servers.json").write_text(json.dumps({**record, "sockets": str(trap)}))
    with embedded.start(home, durable=False) as running:
        assert str(trap) not in running.servers.redis_url
    assert list(trap.iterdir()) == []


def test_leaving_by_an_error_stops_the_servers(home: Path) -> None:
    pids: dict[str, int] = {}

    def work() -> None:
        with embedded.start(home, durable=False):
            pids.update(server_pids(home))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids.values())


def test_ending_without_a_stop_ends_the_servers(home: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from app import embedded;"
        "running = embedded.start(Path(sys.argv[1]), durable=False);"
        "print((Path(sys.argv[1]) / 'servers.json').read_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(home)], capture_output=True, text=True, check=True
    )
    pids = [one["pid"] for one in json.loads(done.stdout)["running"].values()]
    assert len(pids) == 2
    assert until(lambda: not any(is_alive(pid) for pid in pids))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_does_not_stop_the_servers(home: Path) -> None:
    with embedded.start(home, durable=False) as running:
        child = os.fork()
        if child == 0:
            running.stop()
            os._exit(0)
        os.waitpid(child, 0)
        assert running.poll() == ()
        assert ask(running.servers, "SELECT 1") == 1


def test_unix_sockets_are_where_the_addresses_say(home: Path) -> None:
    with embedded.start(home, durable=False) as running:
        path = running.servers.redis_client_url.removeprefix("unix://").partition("?")[0]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b"PING\r\n")
            assert client.recv(16) == b"+PONG\r\n"
        os.kill(server_pids(home)["redis"], signal.SIGTERM)
        assert until(lambda: running.poll() != ())
