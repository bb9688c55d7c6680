"""Where an embedded Postgres keeps its files: beside the home where its account can enter, else in a system folder.

HOME/postgres/            or SYSTEM_FOLDER/HASH-RANDOM/, which HOME/postgres.location then names
    data/                 the cluster
    password              of the superuser `postgres`, 0600
    sockets/              or a short folder below /tmp, which sockets.location names
    log                   of initdb, pg_ctl and the server
HOME/postgres.lock        held while starting and stopping
HOME/postgres.users       held, shared, by every process that uses the server
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.errors import ConfigurationError
from ingest.postgres_account import (
    Account,
    account_of,
    is_root,
    make_system_folder,
    package_binaries,
    reachable_binaries,
    service_account,
    shell_as,
)

MAX_SOCKET_PATH_BYTES: Final = 100  # the kernel holds 107, macOS 103
PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9_/.+-]+")  # the folder passes through a shell and a comma-separated list
SOCKET_NAME: Final = ".s.PGSQL.5432"
LOG_MAX_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one cluster, and who runs it."""

    folder: Path
    binaries: Path
    account: Account | None  # None: the user of this process
    sockets: Path | None  # None: on Windows, which listens on `port` of the loopback instead
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    @property
    def host(self) -> str:
        return "127.0.0.1" if self.sockets is None else str(self.sockets)


def existing_place(home: Path, binaries: Path | None, system_folder: Path) -> Place | None:
    """The place of a cluster that was made before, nothing being changed; None where there is none."""
    folder = _remembered(home) or home / "postgres"
    if not (folder / "data").is_dir():
        return None
    account = account_of(folder) if is_root() else None
    reached = reachable_binaries(binaries or package_binaries(), account, system_folder, copy=False)
    return Place(folder, reached, account, *_address(folder))


def prepared_place(home: Path, binaries: Path | None, system_folder: Path, say: Callable[[str], None]) -> Place:
    """Find or make everything that must be there before the cluster itself. Call it under the lock of the home.

    Raises:
        ConfigurationError: when the account that has to run Postgres cannot reach what it needs.
    """
    remembered = _remembered(home)
    folder = remembered or home / "postgres"
    account: Account | None = None
    if is_root():
        account = account_of(folder) or account_of(home) or service_account()
    if folder.is_dir():
        if account is not None and account_of(folder) is None:
            raise ConfigurationError(
                f"{str(folder)!r} belongs to root or to nobody who is known. Postgres refuses to run as root: give "
                f"the folder to an ordinary user with `chown -R`, or remove it to begin anew."
            )
        if not _enters(account, folder):
            who = f"the user {account.name!r}" if account else "you"
            raise ConfigurationError(
                f"The embedded database is in {str(folder)!r}, which {who} may not enter and write any more. "
                "Give access to it and the folders above it again, or use the account that made it."
            )
    elif remembered is not None:
        raise ConfigurationError(
            f"The embedded database was in {str(folder)!r}, which is gone. Bring that folder back, or delete "
            f"{str(home / 'postgres.location')!r} to begin with an empty one."
        )
    else:
        folder = _make_folder(home, account, system_folder, say)
    reached = reachable_binaries(binaries or package_binaries(), account, system_folder)
    if not (folder / "password").exists():
        write_private(folder / "password", secrets.token_urlsafe(24), account)
    sockets, port = _address(folder)
    if os.name != "posix":
        if port == 0:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            write_private(folder / "port", str(port), account)
    else:
        sockets = _make_sockets(folder, sockets, account)
    return Place(folder, reached, account, sockets, port)


def make_home(home: Path) -> None:
    """Root's is open to be passed through, not listed, so that the account running Postgres gets to its own folder."""
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            home.mkdir(mode=0o711 if is_root() else 0o700)


def touch(file: Path) -> Path:
    """Make a file of the home, owned as the home is: a root's must not lock the owner out."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return file
    with os.fdopen(descriptor, "wb") as made:
        owner = account_of(file.parent) if is_root() else None
        if owner is not None:
            os.fchown(made.fileno(), owner.uid, owner.gid)
    return file


def write_private(file: Path, text: str, account: Account | None) -> None:
    """Write a file that only its account reads, whole or not at all."""
    new = file.with_name(f"{file.name}.new-{secrets.token_hex(4)}")
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as made:
        made.write(text.encode())
        if account is not None:
            os.fchown(made.fileno(), account.uid, account.gid)
        made.flush()
        os.fsync(made.fileno())
    new.replace(file)


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a loss of power."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def open_log(place: Place) -> int:
    """A descriptor that appends to the log, which is put aside once it is large."""
    with contextlib.suppress(FileNotFoundError):
        if place.log.stat().st_size > LOG_MAX_BYTES:
            place.log.replace(place.log.with_name("log.old"))
    flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(place.log, flags, 0o600)
    if place.account is not None:
        os.fchown(descriptor, place.account.uid, place.account.gid)
    return descriptor


def _remembered(home: Path) -> Path | None:
    try:
        return Path((home / "postgres.location").read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None


def _make_folder(home: Path, account: Account | None, system_folder: Path, say: Callable[[str], None]) -> Path:
    """The cluster's folder: in the home where its account can live there, else in the system folder."""
    for leftover in home.glob("postgres.new-*"):
        with contextlib.suppress(OSError):
            leftover.rmdir()
    new = home / f"postgres.new-{secrets.token_hex(4)}"
    new.mkdir(mode=0o700)
    if _given_to(account, new):
        new.rename(home / "postgres")
        return home / "postgres"
    new.rmdir()
    assert account is not None
    make_system_folder(system_folder)
    prefix = hashlib.sha256(os.fsencode(home)).hexdigest()[:12] + "-"
    for earlier in system_folder.glob(f"{prefix}*/data"):
        say(f"{str(earlier.parent)!r} holds an earlier database of this home, now unused. Delete it when not needed.")
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=system_folder))
    if not _given_to(account, folder):
        folder.rmdir()
        raise ConfigurationError(
            f"Postgres has to run as the user {account.name!r}, which can live neither in {str(home)!r} nor in "
            f"{str(system_folder)!r}. Set QUOTH_HOME to a folder that it can enter, or run as an ordinary user."
        )
    write_private(home / "postgres.location", f"{folder}\n", account_of(home))
    say(f"{str(home)!r} is closed to the user {account.name!r}: the database is kept in {str(folder)!r}.")
    return folder


def _given_to(account: Account | None, folder: Path) -> bool:
    if account is not None:
        try:
            os.chown(folder, account.uid, account.gid)
        except OSError:  # shared folders of some virtual machines and network drives know no owners
            return False
    return _enters(account, folder)


def _enters(account: Account | None, folder: Path) -> bool:
    if account is None:
        return os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    return shell_as(account, '[ -d "$1" ] && [ -r "$1" ] && [ -w "$1" ] && [ -x "$1" ]', folder).returncode == 0


def _address(folder: Path) -> tuple[Path | None, int]:
    """Where the server listens: a folder of sockets, or on Windows a port (0: none was chosen yet)."""
    if os.name != "posix":
        chosen = folder / "port"
        return None, int(chosen.read_text()) if chosen.exists() else 0
    try:
        return Path((folder / "sockets.location").read_text(encoding="utf-8").strip()), 5432
    except FileNotFoundError:
        return folder / "sockets", 5432


def _make_sockets(folder: Path, sockets: Path | None, account: Account | None) -> Path:
    own = folder / "sockets"
    if len(os.fsencode(own / SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES and PLAIN_PATH.fullmatch(str(own)):
        if not own.is_dir():
            own.mkdir(mode=0o700)
            if account is not None:
                os.chown(own, account.uid, account.gid)
        return own
    if sockets is not None and sockets != own and _is_private(sockets, account):
        return sockets
    short = Path(tempfile.mkdtemp(prefix="quoth-", dir="/tmp"))  # TMPDIR is often long, or closed to other users
    if account is not None:
        os.chown(short, account.uid, account.gid)
    write_private(folder / "sockets.location", f"{short}\n", account)
    return short


def _is_private(folder: Path, account: Account | None) -> bool:
    """Whether the folder is still the one we made: /tmp is cleaned, and open to everyone."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    owner = account.uid if account else os.geteuid()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077


def remove_place(home: Path) -> None:
    """Delete a stopped cluster with everything that belongs to it, and nothing else of the home."""
    folder = _remembered(home) or home / "postgres"
    if folder.is_dir():
        sockets, _ = _address(folder)
        if sockets is not None and sockets.parent != folder:
            shutil.rmtree(sockets, ignore_errors=True)
        shutil.rmtree(folder)
    (home / "postgres.location").unlink(missing_ok=True)
