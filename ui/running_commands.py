"""Commands of whoever operates Quoth: up, down, doctor."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from dataclasses import asdict

from assistant.bootstrap import Quoth
from assistant.diagnosis import diagnose, settings_shown, worker_alive
from assistant.machine_checks import Check
from assistant.settings import Settings
from assistant.sign_in import sign_in_from
from evals.run_jobs import RunJobs
from evals.sampling import load_samples
from ingest import postgres
from ingest.access import LOCAL
from ingest.errors import ConfigurationError, ServiceError
from ui.command_line import command, json_option, open_store, print_json, say
from ui.document_commands import progress_bar

DEFAULT_PORT = 8501
START_TIMEOUT_S = 180.0  # while it lives; a crowded machine takes more than a minute
STOP_TIMEOUT_S = 10.0


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = command(
        commands,
        "up",
        help="start the database and the web app, and stay until Ctrl-C",
        example="quoth up --sample\nquoth up --port 8080 --no-browser",
    )
    up.add_argument("--sample", action="store_true", help="add the sample documents when the store is empty")
    up.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    up.add_argument("--port", type=int, help=f"port to listen on ({DEFAULT_PORT}, or the next free one)")
    up.add_argument("--no-browser", action="store_true", help="do not open a browser")
    up.set_defaults(run=run_up)

    down = command(commands, "down", help="stop an embedded database left running", example="quoth down")
    down.set_defaults(run=run_down)

    doctor = command(
        commands,
        "doctor",
        help="list every setting and check that all parts work",
        example="quoth doctor\nquoth doctor --json",
    )
    doctor.add_argument(
        "--worker", action="store_true", help="only whether a worker lives, for health checks; exit code 0 or 3"
    )
    json_option(doctor)
    doctor.set_defaults(run=run_doctor)


def run_up(arguments: argparse.Namespace) -> int:
    if sign_in_from(os.environ) is None:
        refuse_other_hosts(arguments.host)
    port = free_port(arguments.host, arguments.port)
    with open_store() as quoth:
        quoth.serve_metrics(offset=1)  # the app, which answers, is at the port itself
        quoth.worker.take_on(RunJobs(quoth).kind)
        quoth.worker.start()
        failed = add_samples(quoth) if arguments.sample else 0
        quoth.rest()  # the app is a process of its own; this one keeps the database and takes files in
        address = quoth.settings.public_url or (
            f"http://{'localhost' if is_loopback(arguments.host) else arguments.host}:{port}"
        )
        app = start_app(arguments.host, port, address)
        try:
            wait_until_it_answers(app, arguments.host, port)
            print(f"Quoth answers at {address}", flush=True)
            say("Ctrl-C stops it.")
            if not arguments.no_browser:
                open_browser(address)
            code = app.wait()
            raise ServiceError(f"The web app ended with exit code {code}; its messages are above.")
        finally:
            stop_app(app)
            if failed:
                say(f"{failed} sample documents could not be added; see above.")


def refuse_other_hosts(host: str) -> None:
    """Without sign-in, whoever reaches the port reads everything: only this machine may."""
    if not is_loopback(host):
        raise ConfigurationError(
            f"Refusing to listen on {host!r}: without sign-in anybody who reaches it could read every document. "
            "Use --host 127.0.0.1, or let people sign in: set QUOTH_OIDC_ISSUER and QUOTH_OIDC_CLIENT_ID."
        )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def free_port(host: str, wanted: int | None, default: int = DEFAULT_PORT) -> int:
    """The port wanted, or the first free one from the default on.

    Raises:
        ConfigurationError: the port wanted is taken or impossible.
    """
    if wanted is not None and not 1 <= wanted <= 65535:
        raise ConfigurationError(f"--port {wanted} is no port. Use 1 to 65535.")
    for port in [wanted] if wanted is not None else range(default, default + 50):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise ConfigurationError(f"Port {wanted or default} of {host} is taken. Choose another with --port.")


def add_samples(quoth: Quoth) -> int:
    """Add the sample documents to an empty store; returns how many failed."""
    if quoth.catalog.documents(LOCAL):
        return 0
    say("Adding the sample documents")
    with progress_bar("Adding") as report:
        receipts = load_samples(quoth, report)
    for receipt in receipts:
        if receipt.status == "failed":
            say(f"{receipt.source}: {receipt.reason}: {receipt.detail}")
    say(f"{sum(receipt.status != 'failed' for receipt in receipts)} sample documents can be searched")
    return sum(receipt.status == "failed" for receipt in receipts)


def start_app(host: str, port: int, public_url: str) -> subprocess.Popen[bytes]:
    """The web app as a process of its own group, which ends when this one does, however it ends."""
    from ui.server import streamlit_command

    return subprocess.Popen(
        streamlit_command(host, port, public_url=public_url),
        env={**os.environ, "QUOTH_PUBLIC_URL": public_url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # its own banner; what goes wrong is on stderr
        start_new_session=True,
        preexec_fn=_end_with_parent() if sys.platform == "linux" else None,
    )


def _end_with_parent() -> Callable[[], None]:
    library = ctypes.CDLL(None)
    set_parent_death_signal = 1
    return lambda: library.prctl(set_parent_death_signal, signal.SIGTERM)


def wait_until_it_answers(app: subprocess.Popen[bytes], host: str, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    shown = f"[{host}]" if ":" in host else host
    while time.monotonic() < deadline:
        if app.poll() is not None:
            raise ServiceError(f"The web app ended at once with exit code {app.returncode}; its messages are above.")
        with contextlib.suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(f"http://{shown}:{port}/_stcore/health", timeout=2).close()
            return
        time.sleep(0.2)
    raise ServiceError(f"The web app did not answer within {START_TIMEOUT_S:.0f} s. Try again, or see `quoth doctor`.")


def open_browser(address: str) -> None:
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return  # nothing to open it in; a text browser would take the terminal
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(address)


def stop_app(app: subprocess.Popen[bytes]) -> None:
    if app.poll() is None:
        app.terminate()
        try:
            app.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(app.pid, signal.SIGKILL)
            app.wait()


def run_down(arguments: argparse.Namespace) -> int:
    settings = Settings.from_env(os.environ)
    if settings.database_url is not None:
        say("The database is a server of its own (QUOTH_DATABASE_URL); it is left running.")
        return 0
    stopped = postgres.stop(settings.home)
    print("The embedded database was stopped." if stopped else "The embedded database was not running.")
    return 0


def run_doctor(arguments: argparse.Namespace) -> int:
    settings = Settings.from_env(os.environ)
    if arguments.worker:
        check = worker_alive(settings, os.environ)
        print(check.detail)
        if not check.ok:
            say(check.cure)
        return 0 if check.ok else 3
    checks = list(diagnose(settings, os.environ))
    if arguments.json:
        print_json(
            {
                "settings": settings_shown(settings, os.environ),
                "checks": [asdict(check) for check in checks],
            }
        )
    else:
        print_diagnosis(settings, checks)
    return 0 if all(check.ok or check.kind == "advice" for check in checks) else 3


def print_diagnosis(settings: Settings, checks: list[Check]) -> None:
    width = shutil.get_terminal_size().columns
    print("Settings")
    for name, shown in settings_shown(settings, os.environ).items():
        print(f"  {name:24} {shown['value'] or '(unset)'}  ({shown['origin']})"[: max(width, 60)])
    print("\nChecks")
    for check in checks:
        mark = "ok  " if check.ok else "FAIL" if check.kind == "fault" else "note"
        print(f"  {mark}  {check.name}: {check.detail}")
        if not check.ok and check.cure:
            print(f"        {check.cure}")
