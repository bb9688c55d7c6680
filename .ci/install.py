"""Create .venv from the lock files, or complete it. Standard library only, so that a bare Python can run it.

    python3 .ci/install.py          what Quoth needs to run
    python3 .ci/install.py --test   what its tests need as well

Every package is installed as the lock pins it, by hash, and so is what builds the few that come as source. A second
run finds its stamp in .venv and calls no pip, so it needs no network.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

OLDEST = (3, 11)
TOO_NEW = (3, 14)
RUN_LOCK = "requirements.lock"
TEST_LOCK = "requirements-test.lock"  # holds everything of RUN_LOCK, in the same versions
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install", "--use-pep517")


class Stamp(TypedDict):
    """What .venv holds: its Python ("3.12"), the SHA-256 of each lock installed, and the project's key."""

    python: str | None
    locks: dict[str, str]
    project: str | None


class SetUpError(Exception):
    """What went wrong and what to do, in words for whoever typed `make`."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test", action="store_true", help="install what the tests need as well")
    parser.add_argument("--packages-only", action="store_true", help="leave out the project itself (image layers)")
    parser.add_argument("--suitable", action="store_true", help="only tell, by exit code, whether this Python will do")
    arguments = parser.parse_args(argv)
    if arguments.suitable:
        return 0 if unsuitable() is None else 1
    try:
        reason = unsuitable()
        if reason:
            raise SetUpError(reason)
        root = Path(__file__).resolve().parents[1]
        set_up(root, [RUN_LOCK, TEST_LOCK] if arguments.test else [RUN_LOCK], project=not arguments.packages_only)
    except SetUpError as error:
        print(f"install: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("install: interrupted; the next run starts where it can.", file=sys.stderr)
        return 130
    return 0


def unsuitable() -> str | None:
    """Why this interpreter cannot make the environment, or None."""
    running = ".".join(map(str, sys.version_info[:3]))
    if not OLDEST <= sys.version_info[:3] < TOO_NEW:
        return f"Quoth needs Python 3.11 to 3.13, this is {running}."
    try:
        import ensurepip  # noqa: F401  (Debian packs it apart from Python)
        import venv  # noqa: F401
    except ImportError:
        return f"Python {running} lacks the venv module. On Debian and Ubuntu: apt-get install python3-venv"
    return None


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def set_up(root: Path, locks: Sequence[str], *, project: bool = True, say: Callable[[str], None] = tell) -> None:
    """Make `root/.venv` hold the packages of `locks` (the last one holds all) and, if asked, the project itself.

    Raises:
        SetUpError: pip failed, or .venv is something this cannot work with.
    """
    with Path(__file__).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # `make run` beside `make test`: one installs, the other then finds it done
        environment = Environment(root)
        environment.prepare(say)
        wanted = {name: digest((root / name).read_bytes()) for name in locks}
        stamp = environment.read_stamp()
        if not wanted.items() <= stamp["locks"].items():
            say("Installing packages, about two minutes the first time")
            environment.install_packages(root / locks[-1])
            stamp = {**stamp, "locks": wanted}
            environment.write_stamp(stamp)
        # The folder's own path is in the key because scripts hold it: a folder that moved gets new ones.
        key = digest((root / "pyproject.toml").read_bytes() + os.fsencode(root)) if project else stamp["project"]
        if stamp["project"] != key:
            environment.install_project()
            environment.write_stamp({**stamp, "project": key})


class Environment:
    """`.venv` with two files of ours: the stamp says what is complete, the mark that something is under way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.python = self.folder / "bin" / "python"
        self.stamp = self.folder / "quoth-installed.json"
        self.mark = self.folder / "quoth-installing"

    def prepare(self, say: Callable[[str], None]) -> None:
        """Leave a virtual environment whose Python runs, making or making anew what is missing or was interrupted."""
        if self.mark.exists():
            say("The last set-up was interrupted: starting over")
            shutil.rmtree(self.folder)
        elif self.stamp.exists() and self.version() != self.read_stamp()["python"]:
            say("The Python behind .venv has changed: starting over")
            shutil.rmtree(self.folder)
        if not self.folder.exists() or not any(self.folder.iterdir()):
            self.folder.mkdir(exist_ok=True)
            self.mark.touch()
            done = subprocess.run([sys.executable, "-m", "venv", self.folder], capture_output=True, text=True)
            if done.returncode:
                shutil.rmtree(self.folder)
                raise SetUpError(f"python -m venv failed. {done.stdout}{done.stderr}".strip())
            self.write_stamp({"python": self.version(), "locks": {}, "project": None})
            self.mark.unlink()
        elif not self.stamp.exists():
            # Somebody made it by other means: it is completed, never deleted.
            if self.version() is None or self._run("-c", "import pip").returncode:
                raise SetUpError(f"{self.folder} was not made by this and has no working pip. Move it away, try again.")
            self.write_stamp({"python": self.version(), "locks": {}, "project": None})

    def version(self) -> str | None:
        """The environment's Python as "3.12", or None when it does not run."""
        try:
            done = self._run("-c", "import sys; print('%d.%d' % sys.version_info[:2])")
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    def install_packages(self, lock: Path) -> None:
        text = lock.read_text(encoding="utf-8")
        steps = [lock]
        if builder_of(text):
            builder = self.folder / "quoth-builder.txt"
            builder.write_text(builder_of(text), encoding="utf-8")
            steps.insert(0, builder)
        with self._under_way():
            for requirements in steps:
                # The lock is complete, so there is nothing to resolve.
                self._pip("--require-hashes", "--no-deps", "--no-build-isolation", "-r", str(requirements))

    def install_project(self) -> None:
        with self._under_way():
            self._pip("--no-index", "--no-deps", "--no-build-isolation", "-e", str(self.root))

    def read_stamp(self) -> Stamp:
        try:
            stamp: Stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
            return stamp
        except (OSError, ValueError):
            return {"python": None, "locks": {}, "project": None}

    def write_stamp(self, stamp: Stamp) -> None:
        fresh = self.stamp.with_suffix(".new")
        fresh.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
        fresh.replace(self.stamp)

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Keep the mark while packages change; it stays, and the next run starts over, if they changed in part."""
        before = self._installed()
        self.mark.touch()
        try:
            yield
        except BaseException:
            # No network fails before the first change: then what was complete still is, and still works offline.
            if self._installed() == before:
                self.mark.unlink()
            raise
        self.mark.unlink()

    def _installed(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("lib/python*/site-packages/*"))

    def _pip(self, *arguments: str) -> None:
        done = subprocess.run([self.python, *PIP, *arguments], cwd=self.root)
        if done.returncode:
            raise SetUpError(
                "pip failed, see above. Packages come from the index that pip is configured for; try again."
            )

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.python, *arguments], capture_output=True, text=True)


def builder_of(lock: str) -> str:
    """The lock's entry for setuptools, installed first because source packages are then built with it, not with
    whatever an index offers on the day; empty when the lock has none."""
    found = re.search(r"^setuptools==(?:.*\\\n)*.*\n", lock, re.MULTILINE)
    return found[0] if found else ""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
