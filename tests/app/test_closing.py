"""What lies in the home is for its owner alone, also what an earlier release left open."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from app.closing import close_home


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(each.lstat().st_mode) for each in folder.rglob("*")}


def test_an_open_home_is_closed_and_links_are_left(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for name in ("images/originals/ab", "runs/1", "datasets/one"):
        (home / name).mkdir(parents=True)
        (home / name / "file").write_bytes(b"x")
        (home / name / "program").write_bytes(b"x")
    for each in home.rglob("*"):
        each.chmod(0o755 if each.is_dir() or each.name == "program" else 0o644)
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    (home / "models").symlink_to(elsewhere)
    assert close_home(home) > 0
    assert modes(home / "images") | modes(home / "runs") <= {0o700, 0o600}
    assert stat.S_IMODE((home / "images").stat().st_mode) == 0o700
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755
    assert close_home(home) == 0


def test_what_the_storage_writes_is_closed_whatever_the_account_is_used_to(tmp_path: Path) -> None:
    code = (
        "import os; os.umask(0o022)\n"
        "from app.closing import close_what_we_write; close_what_we_write()\n"
        "from app.images import storage, uploads\n"
        "storage.put(storage.key_of('original', 'a' * 64), b'bytes')\n"
        "uploads.make_upload_folder(uploads.new_token())\n"
    )
    environment = {**os.environ, "MORELLI_HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    found = modes(tmp_path / "home")
    assert found
    assert all(not mode & 0o077 for mode in found), found
