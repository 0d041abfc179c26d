"""How long a newcomer waits: a first and a second `morelli up`, and the web process alone.

python -m bench.start
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from app import embedded
from app.demo.walking import free_port
from bench import machine


def until_serving(
    environment: dict[str, str], *options: str
) -> tuple[float, subprocess.Popen[str]]:
    """Seconds until `morelli up` has printed the sign-in link, and the process."""
    began = time.monotonic()
    up = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "up", *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert up.stdout is not None
    for line in up.stdout:
        if "/welcome/" in line:
            break
    return time.monotonic() - began, up


def stop(up: subprocess.Popen[str]) -> float:
    """Seconds that Ctrl-C takes."""
    began = time.monotonic()
    up.send_signal(signal.SIGINT)
    up.communicate()
    return time.monotonic() - began


def web_alone(environment: dict[str, str]) -> float:
    """Seconds until the web process answers `/readyz`, with the servers up already."""
    port = str(free_port())
    began = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "app.main:app",
        "--port",
        port,
        "--log-level",
        "error",
    ]
    web = subprocess.Popen(command, env=environment)
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                    return time.monotonic() - began
            except OSError:
                time.sleep(0.01)
    finally:
        web.terminate()
        web.wait()


def main() -> None:
    """Measure and print."""
    print(machine.describe())
    with tempfile.TemporaryDirectory(prefix="morelli-bench-") as folder:
        environment = {
            **os.environ,
            "MORELLI_HOME": folder,
            "MORELLI_PORT": str(free_port()),
            "PYTHONUNBUFFERED": "1",
        }
        first, up = until_serving(environment, "--no-worker")
        stopped = stop(up)
        second, up = until_serving(environment, "--no-worker")
        servers = embedded.running(Path(folder))
        assert servers is not None
        own = environment | {
            "MORELLI_DATABASE_URL": servers.database_url,
            "MORELLI_REDIS_URL": servers.redis_client_url,
        }
        web = min(web_alone(own) for _ in range(3))
        stop(up)
    print(f"first `morelli up`, seeding included   {first:6.1f} s")
    print(f"Ctrl-C until everything has ended      {stopped:6.1f} s")
    print(f"second `morelli up`                    {second:6.1f} s   (promised: < 10)")
    print(f"web process alone, best of three       {web:6.1f} s   (promised: < 2)")


if __name__ == "__main__":
    main()
