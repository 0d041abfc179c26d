"""Server processes: whom they run as, how they start, how they are found again and stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

Report = Callable[[str], None]

# A plain value: type checkers skip what stands behind a comparison with sys.platform.
_IS_LINUX: bool = bool(sys.platform == "linux")
_LAUNCHER = Path(__file__).with_name("launcher.py")


class ServersError(Exception):
    """The one-machine servers cannot do what was asked; the text says why and what to do."""


@dataclass(frozen=True)
class Identity:
    """Whom the servers run as.

    `kind` is "self" (the user who started us), "namespace" (a user namespace in which we are
    `uid`; files on disk stay ours) or "account" (the account `uid`, which owns the files too).
    """

    kind: str = "self"
    uid: int = -1
    gid: int = -1

    @property
    def owner(self) -> int:
        """User id that owns the servers' files on disk."""
        return self.uid if self.kind == "account" else os.geteuid()

    def describe(self) -> str:
        if self.kind == "namespace":
            return f"a user namespace (as user {self.uid})"
        return f"account {self.uid}" if self.kind == "account" else "the current user"


@dataclass(frozen=True)
class Mark:
    """One process for good: a process id alone is given to another process after some time."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        return started_at(self.pid) == self.started


@cache
def _spawner() -> ThreadPoolExecutor:
    # Linux sends the death signal when the THREAD that started the child ends, so children are
    # started from one thread that lives as long as the process.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="servers")


# A forked child has the object but not its thread.
os.register_at_fork(after_in_child=_spawner.cache_clear)


def environment() -> dict[str, str]:
    """What a server sees: nothing of ours, so that no PG... variable changes its behaviour."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def launch(
    command: Sequence[str],
    *,
    folder: Path,
    identity: Identity,
    death_signal: signal.Signals,
    output: IO[bytes] | int,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stay: bool = not _IS_LINUX,
    variables: Mapping[str, str] | None = None,
    inherits: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in `folder` that gets `death_signal` when this process dies.

    It runs in a session of its own: Ctrl-C in a terminal reaches us, and we stop it in order. Of our open files
    it has those that it `inherits`, under their numbers.
    """
    wanted = {"namespace": {"namespace": [identity.uid, identity.gid]}}
    wanted["account"] = {"account": [identity.uid, identity.gid]}
    spec = {
        "command": list(command),
        "folder": str(folder),
        "parent": os.getpid(),
        "death_signal": int(death_signal),
        "as": wanted.get(identity.kind),
        "stay": stay,
    }
    arguments = [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(spec)]

    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            arguments,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment() if variables is None else dict(variables),
            start_new_session=True,
            pass_fds=inherits,
        )

    return _spawner().submit(spawn).result()


def run(command: Sequence[str], *, folder: Path, identity: Identity) -> tuple[int, str]:
    """Run a program to its end; its exit code and everything it printed."""
    process = launch(
        command,
        folder=folder,
        identity=identity,
        death_signal=signal.SIGKILL,
        output=subprocess.PIPE,
    )
    try:
        printed, _ = process.communicate()
    except BaseException:
        process.kill()
        raise
    return process.returncode, printed.decode(errors="replace").strip()


def started_at(pid: int) -> str | None:
    """When a process started, in the system's own words; None when there is no such process."""
    if _IS_LINUX:
        fields = _stat(pid)
        # A zombie is dead: nothing but its exit code is left.
        return fields[19] if fields and fields[0] not in "ZX" else None
    return _ask_ps("-o", "lstart=", "-p", str(pid)) or None


def mark(pid: int) -> Mark | None:
    """The process that has this id now, None when there is none."""
    started = started_at(pid)
    return Mark(pid, started) if started else None


def started_seconds(known: Mark) -> float:
    """When a process started, in seconds since 1970 (to about a second)."""
    if not _IS_LINUX:
        return time.mktime(time.strptime(known.started, "%a %b %d %H:%M:%S %Y"))
    lines = Path("/proc/stat").read_text().splitlines()
    booted = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    return booted + int(known.started) / os.sysconf("SC_CLK_TCK")


def program_of(pid: int) -> str:
    """Name of the program that a process runs, "" when it is gone."""
    if _IS_LINUX:
        try:
            return Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            return ""
    return Path(_ask_ps("-o", "comm=", "-p", str(pid))).name


def find(folder: Path, program: str) -> list[Mark]:
    """Processes of `program` that work in `folder`, without those that such a process started.

    This finds servers of a supervisor that was killed, also when they left no readable pid file.
    """
    found = _find_by_folder(folder) if _IS_LINUX else _find_by_command(folder)
    named = {pid: parent for pid, parent in found.items() if program in program_of(pid)}
    roots = [pid for pid, parent in named.items() if parent not in named]
    return [known for pid in roots if (known := mark(pid))]


def stop(mark: Mark, steps: Sequence[tuple[signal.Signals, float]], report: Report) -> None:
    """Stop a process that is not our child: signal after signal, each with its time in seconds."""
    stop_all([(mark.pid, steps)], lambda _pid: not mark.is_alive(), report)


def stop_children(
    children: Sequence[tuple[subprocess.Popen[bytes], Sequence[tuple[signal.Signals, float]]]],
    report: Report,
) -> None:
    """Stop our own children, all at the same time."""
    processes = {child.pid: child for child, _ in children}
    stop_all(
        [(child.pid, steps) for child, steps in children],
        lambda pid: processes[pid].poll() is not None,
        report,
    )


def stop_all(
    targets: Sequence[tuple[int, Sequence[tuple[signal.Signals, float]]]],
    is_gone: Callable[[int], bool],
    report: Report,
) -> None:
    """Send each target its signals in turn until it is gone."""
    waiting = {pid: list(steps) for pid, steps in targets}
    deadlines = dict.fromkeys(waiting, 0.0)
    pause = 0.01
    while waiting:
        for pid in [pid for pid in waiting if is_gone(pid)]:
            del waiting[pid]
        for pid in [pid for pid in waiting if time.monotonic() >= deadlines[pid]]:
            if not waiting[pid]:
                raise ServersError(f"Process {pid} does not end, not even when killed.")
            number, seconds = waiting[pid].pop(0)
            if deadlines[pid]:
                report(f"Process {pid} is still there; sending {number.name}.")
            deadlines[pid] = time.monotonic() + seconds
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def tail(log: Path, lines: int = 5) -> str:
    """Last lines of a log file, for an error text."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the program's name, which may contain anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _find_by_folder(folder: Path) -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # Only the owner and a privileged root may look; others are not ours.
            same = (entry / "cwd").samefile(folder)
        except OSError:
            continue
        fields = _stat(int(entry.name))
        if same and fields:
            found[int(entry.name)] = int(fields[1])
    return found


def _find_by_command(folder: Path) -> dict[int, int]:
    found = {}
    for line in _ask_ps("-axww", "-o", "pid=,ppid=,command=").splitlines():
        pid, parent, command = line.split(None, 2)
        if str(folder) in command:
            found[int(pid)] = int(parent)
    return found


def _ask_ps(*arguments: str) -> str:
    """What `ps` says, for systems without /proc."""
    listed = subprocess.run(
        ["ps", *arguments], capture_output=True, text=True, check=False, env=environment()
    )
    return listed.stdout.strip()
