"""A Postgres server for tests, over TCP and with a password, out of the embedded wheel's own binaries.

    python tests/postgres_server.py --run pytest -m integration

runs a command with QUOTH_TEST_DATABASE_URL set to a server in a temporary folder, and ends with the command's exit
code once the server is stopped and its folder deleted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ingest.postgres_account import is_root, package_binaries, reachable_binaries, run_as, service_account

DURABILITY_OFF = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")  # nothing here outlives the run
ATTEMPTS = 3  # a free port may be taken by another between asking and listening


@contextlib.contextmanager
def running_server() -> Iterator[str]:
    """Yield the superuser's URL (postgresql://postgres:...@127.0.0.1:PORT/postgres) of a server for this block."""
    account = service_account("nobody") if is_root() else None
    folder = Path(tempfile.mkdtemp(prefix="quoth-test-server-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        binaries = reachable_binaries(package_binaries(), account, folder / "system")
        home, password = folder / "home", secrets.token_urlsafe(24)
        home.mkdir(mode=0o700)
        (home / "password").write_text(password, encoding="utf-8")
        if account is not None:
            for path in (home, home / "password"):
                os.chown(path, account.uid, account.gid)
        data = home / "data"
        with (folder / "log").open("wb") as log:
            made = run_as(
                account,
                [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256", "--no-sync",
                 f"--pwfile={home / 'password'}", "--encoding=UTF8", "--locale-provider=builtin",
                 "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"],
                output=log,
            )  # fmt: skip
            for _ in range(ATTEMPTS if made.returncode == 0 else 0):
                port = free_port()
                settings = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=",
                            "session_preload_libraries=vector", "timezone=UTC", *DURABILITY_OFF]  # fmt: skip
                options = " ".join(f"-c {setting}" for setting in settings)
                started = run_as(
                    account, [binaries / "pg_ctl", "start", "-w", "-s", "-o", options], output=log, PGDATA=str(data)
                )
                if started.returncode == 0:
                    break
            else:
                raise RuntimeError(f"the test server does not start: {(folder / 'log').read_text()[-2000:]}")
            try:
                yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
            finally:
                run_as(account, [binaries / "pg_ctl", "stop", "-w", "-m", "immediate"], output=log, PGDATA=str(data))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(arguments: list[str]) -> int:
    if arguments[:1] != ["--run"] or len(arguments) < 2:
        print("usage: python tests/postgres_server.py --run COMMAND [ARGUMENT...]", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped on the way out
    with running_server() as url:
        environ = {**os.environ, "QUOTH_TEST_DATABASE_URL": url}
        try:
            return subprocess.run(arguments[1:], env=environ, check=False).returncode
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
