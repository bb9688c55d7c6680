"""Looking at an embedded Postgres: does it answer, is it ours, which processes has it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import psutil
import psycopg

from ingest.errors import ConfigurationError
from ingest.postgres_account import SYSTEM_FOLDER, shell_as
from ingest.postgres_files import Place, existing_place

SUPERUSER: Final = "postgres"
CONNECT_TIMEOUT_S: Final = 5
PROCESSES_IN: Final = 'for p in /proc/[0-9]*; do [ "$p/cwd" -ef "$1" ] && echo "${p#/proc/} $(cat $p/comm)"; done'


def connect(place: Place) -> psycopg.Connection:
    """A connection of the superuser to the server's own database."""
    return psycopg.connect(
        host=place.host,
        port=place.port,
        user=SUPERUSER,
        password=place.password_file.read_text(encoding="utf-8").strip(),
        dbname="postgres",
        connect_timeout=CONNECT_TIMEOUT_S,
        application_name="quoth supervisor",
        autocommit=True,
    )


def refusal(place: Place) -> str | None:
    """Why this cluster does not answer; None: it does.

    Raises:
        ConfigurationError: a server answers there, but it is another, or it was given another password.
    """
    try:
        with connect(place) as connection:
            row = connection.execute("show data_directory").fetchone()
    except psycopg.OperationalError as error:
        said = str(error).strip().splitlines()[-1]
        if "password authentication failed" in said:
            raise ConfigurationError(
                f"The embedded database refuses the password in {str(place.password_file)!r}. Put the one back that "
                "it was made with."
            ) from error
        return said
    assert row is not None
    with contextlib.suppress(FileNotFoundError):
        if Path(row[0]).samefile(place.data):
            return None
    raise ConfigurationError(
        f"At {place.host!r} a server of another data folder answers: {row[0]!r}. Stop it, then try again."
    )


def processes_of(place: Place) -> list[int]:
    """The postgres processes whose working directory is the data folder: the server and its backends."""
    if place.account is not None and Path("/proc/self/cwd").exists():
        # Asked as the account itself: in a container root may not look at another user's processes.
        lines = shell_as(place.account, PROCESSES_IN, place.data).stdout.decode(errors="replace").splitlines()
        return [int(line.split()[0]) for line in lines if line.endswith(" postgres")]
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name().removesuffix(".exe") == "postgres" and _works_in(process, place.data):
                found.append(process.pid)
    return found


def was_killed(home: Path, *, binaries: Path | None = None, system_folder: Path = SYSTEM_FOLDER) -> bool:
    """Whether a home's server ended otherwise than in order: its lock file is left, none of its processes is.

    Whoever stops the server wants it stopped; one that was killed may be started again at once.
    """
    place = existing_place(home.resolve(), binaries, system_folder)
    return place is not None and recorded_pid(place) is not None and not processes_of(place)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    link = Path(f"/proc/{process.pid}/cwd")  # the folder itself: its path may have been given to another since
    return (link if link.exists() else Path(process.cwd())).samefile(folder)


def _recorded(place: Place) -> list[str]:
    """postmaster.pid: process, data folder, time, port, sockets, address, shared memory, state."""
    try:
        return (place.data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def recorded_pid(place: Place) -> int | None:
    """The number that the server left; after a crash it may be any process's."""
    lines = _recorded(place)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def recorded_state(place: Place) -> str:
    """What the server last wrote about itself: starting, ready, stopping."""
    lines = _recorded(place)
    return lines[7].strip() if len(lines) > 7 else ""
