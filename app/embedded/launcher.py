"""Start one server program so that it cannot outlive the process that asked for it.

Run as a file (`python -I -S launcher.py SPEC`), never imported: it needs a fresh process with one
thread, because entering a user namespace and changing the user are only possible there, and code
between fork and exec of a process with several threads is not safe. SPEC is a JSON object:

    command       the program and its arguments
    folder        the working directory
    parent        process id of the caller; when it is gone already, nothing is started
    death_signal  number of the signal that the program gets when the caller dies
    as            null (nobody else), {"namespace": [uid, gid]} or {"account": [uid, gid]}
    stay          true: wait beside the program and watch the caller, for systems that cannot send
                  a signal by themselves when a process dies

On Linux the launcher becomes the program: same process id, nothing left in between. Exit codes
before that: 121 the program cannot be run, 122 the folder is out of reach, 123 the system refuses
the change of user, 124 the caller is gone.
"""

import ctypes
import json
import os
import signal
import sys
import time
from typing import Any, NoReturn

PROGRAM_UNREACHABLE = 121
FOLDER_UNREACHABLE = 122
REFUSED = 123
CALLER_GONE = 124

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)


def give_up(code: int, message: str) -> NoReturn:
    """End before the program started, and say why."""
    print(message, file=sys.stderr, flush=True)
    os._exit(code)


def enter_namespace(uid: int, gid: int) -> None:
    """Become `uid` in a user namespace of our own; on disk we stay who we are."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    # The kernel lets a process map its own group only after giving up setgroups.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def take_account(uid: int, gid: int) -> None:
    """Become another account, for good and without further groups."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def change_user(spec: dict[str, Any]) -> None:
    """Become whom the specification asks for, or end with REFUSED."""
    wanted = spec["as"] or {}
    try:
        if "namespace" in wanted:
            enter_namespace(*wanted["namespace"])
        elif "account" in wanted:
            take_account(*wanted["account"])
    except OSError as error:
        give_up(REFUSED, f"the system refuses the change of user: {error}")


def ask_for_death_signal(number: int) -> None:
    """Must come after the change of user, which the kernel answers by forgetting the request."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def become(command: list[str]) -> NoReturn:
    """Turn this process into the program."""
    # Python ignores these for itself; a server would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, *_PASSED_ON):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execv(command[0], command)  # noqa: S606
    except OSError as error:
        give_up(PROGRAM_UNREACHABLE, f"{command[0]} cannot be run: {error}")


def watch(child: int, spec: dict[str, Any]) -> NoReturn:
    """Stand beside the program: pass signals on, and stop it when the caller is gone."""
    for number in _PASSED_ON:
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    told = False
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        if not told and os.getppid() != spec["parent"]:
            os.kill(child, spec["death_signal"])
            told = True
        time.sleep(0.2)


def main() -> NoReturn:
    """Do what the specification in the first argument says."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    os.umask(0o077)
    try:
        # Before the change of user: the new one needs no way through the folders above.
        os.chdir(spec["folder"])
    except OSError as error:
        give_up(FOLDER_UNREACHABLE, f"{spec['folder']} cannot be entered: {error}")
    change_user(spec)
    if spec["as"] and not os.access(".", os.R_OK | os.W_OK | os.X_OK):
        give_up(FOLDER_UNREACHABLE, f"{spec['folder']} cannot be written")
    watcher = os.getpid()
    if spec["stay"] and (child := os.fork()):
        watch(child, spec)
    ask_for_death_signal(signal.SIGKILL if spec["stay"] else spec["death_signal"])
    if os.getppid() != (watcher if spec["stay"] else spec["parent"]):
        give_up(CALLER_GONE, "the process that asked for this program is gone")
    become(spec["command"])


if __name__ == "__main__":
    main()
