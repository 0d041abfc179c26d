"""Choose whom the servers run as, which matters when we are root: PostgreSQL refuses root."""

import hashlib
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from app.embedded import launcher, processes
from app.embedded.home import Home, give_to
from app.embedded.processes import Identity, Report, ServersError

# The first that exists. An account of our own is best: other software runs as the others.
ACCOUNTS = ("morelli", "postgres", "nobody")
PROGRAMS = Path("/var/lib/morelli/programs")


def choose(home: Home, program: Path, report: Report) -> Identity:
    """Find an identity under which `program` really starts and can write the servers' folder.

    Raises ServersError when there is none.
    """
    if os.geteuid() != 0 and _account_of(os.geteuid()):
        return Identity()
    owner = home.servers.stat().st_uid
    refused = "the files belong to another account"
    if owner == os.geteuid() and sys.platform == "linux":
        identity = _namespace()
        code, refused = probe(home, program, identity)
        if code == 0:
            return identity
    if os.geteuid() != 0:
        raise ServersError(
            f"The user id {os.geteuid()} has no account on this system, which PostgreSQL needs, "
            f"and a user namespace is not possible ({refused}). Start Morelli as a user who has "
            "an account, or set MORELLI_DATABASE_URL and MORELLI_REDIS_URL."
        )
    return _take_account(home, owner, refused, report)


def probe(home: Home, program: Path, identity: Identity) -> tuple[int, str]:
    """Try: exit code 0, or one of the launcher's and why."""
    return processes.run([str(program), "--version"], folder=home.servers, identity=identity)


def _account_of(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _namespace() -> Identity:
    # PostgreSQL wants a user id that has an account and is not root's; which one is of no weight.
    accounts = [one for one in pwd.getpwall() if one.pw_uid != 0]
    named = {one.pw_name: one for one in accounts}
    best = [named[name] for name in ACCOUNTS if name in named] or accounts
    return Identity("namespace", best[0].pw_uid, best[0].pw_gid) if best else Identity()


def _take_account(home: Home, owner: int, refused: str, report: Report) -> Identity:
    account = _account_of(owner) if owner != 0 else None
    for name in ACCOUNTS:
        if account is None and name in {one.pw_name for one in pwd.getpwall()}:
            account = pwd.getpwnam(name)
    if account is None:
        raise ServersError(
            f"PostgreSQL does not run as root. A user namespace is not possible ({refused}), and "
            f"there is none of the accounts {', '.join(ACCOUNTS)}. Start Morelli as another user."
        )
    identity = Identity("account", account.pw_uid, account.pw_gid)
    if account.pw_uid != owner:
        report(
            f"PostgreSQL does not run as root: the servers run as {account.pw_name}, who gets "
            f"{home.servers}. The folders above it stay as they are."
        )
        give_to(home.servers, account.pw_uid, account.pw_gid)
    return identity


def reachable(home: Home, program: Path, parts: Sequence[Path], identity: Identity) -> Path:
    """A path of `program` that `identity` can run: its own, or that of a copy.

    `parts` are the files and folders, all in one folder, that the program needs. Raises
    ServersError when even the copy cannot be run.
    """
    if identity.kind != "account":
        return program
    code, said = probe(home, program, identity)
    if code == launcher.PROGRAM_UNREACHABLE:
        program = copy_program(program, parts)
        code, said = probe(home, program, identity)
    if code != 0:
        raise ServersError(f"{program} does not start as {identity.describe()}: {said}")
    return program


def copy_program(program: Path, parts: Sequence[Path]) -> Path:
    """Copy `parts` to a place where every account can read them; root owns the copy."""
    top = parts[0].parent
    known = program.stat()
    name = f"{program}\0{known.st_mtime_ns}\0{known.st_size}".encode()
    place = PROGRAMS / hashlib.sha256(name).hexdigest()[:16]
    copied = place / program.relative_to(top)
    if copied.exists():
        return copied
    _make_open(PROGRAMS)
    growing = Path(tempfile.mkdtemp(dir=PROGRAMS, prefix=".new-"))
    try:
        _copy(parts, growing)
        growing.rename(place)
    except OSError as error:
        if not copied.exists():
            raise ServersError(f"{program} cannot be copied to {place}: {error}") from None
    finally:
        shutil.rmtree(growing, ignore_errors=True)
    return copied


def _make_open(folder: Path) -> None:
    for one in (folder.parent, folder):
        try:
            one.mkdir(mode=0o755, parents=True)
            one.chmod(0o755)
        except FileExistsError:
            known = one.stat()
            if known.st_uid != 0 or known.st_mode & 0o022:
                raise ServersError(f"{one} must belong to root and to nobody else.") from None
        except OSError as error:
            raise ServersError(f"{one} cannot be made: {error.strerror}") from None


def _copy(parts: Sequence[Path], into: Path) -> None:
    for part in parts:
        if part.is_dir():
            shutil.copytree(part, into / part.name, symlinks=True)
        else:
            shutil.copy2(part, into / part.name)
    for path in [into, *into.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
