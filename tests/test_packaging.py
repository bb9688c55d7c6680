"""The set-up from the lock files, the lock files themselves, and the files that carry Quoth elsewhere."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from assistant.settings import NAMES, Settings
from ui.command import parser

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-test.lock")
PYTHONS = ("3.11", "3.12", "3.13")
# Strong copyleft, or gigabytes nobody asked for.
UNWANTED = ("torch", "torchvision", "pymupdf", "ebooklib", "pg-search", "pgembed", "pypandoc-binary", "nvidia-cublas")


# --- the locks


def pins(lock: str) -> Iterator[tuple[Requirement, list[str]]]:
    """Each requirement of a lock with its hashes."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    for entry in entries:
        requirement, *hashes = entry.split("--hash=")
        yield Requirement(requirement.strip()), [value.strip() for value in hashes]


def versions(lock: str, python: str, platform: str = "linux") -> dict[str, str]:
    """The versions that one Python gets."""
    environment = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
        "platform_system": {"linux": "Linux", "darwin": "Darwin"}[platform],
    }
    chosen: dict[str, str] = {}
    for requirement, _ in pins(lock):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in chosen, f"{lock} gives Python {python} two versions of {name}"
            chosen[name] = str(requirement.specifier)
    return chosen


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_to_one_version_by_sha256(lock: str) -> None:
    entries = list(pins(lock))
    assert len(entries) > 100
    for requirement, hashes in entries:
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert requirement.url is None
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address_and_no_option(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE), "an index or a find-links option would bind it to one machine"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_nothing_unwanted(lock: str) -> None:
    names = {canonicalize_name(requirement.name) for requirement, _ in pins(lock)}
    assert not names & set(UNWANTED)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_the_test_lock_adds_packages_and_changes_none(python: str, platform: str) -> None:
    run, test = (versions(lock, python, platform) for lock in LOCKS)
    assert run.items() < test.items()
    assert "pytest" in test and "pytest" not in run


@pytest.mark.parametrize("python", PYTHONS)
def test_the_locks_answer_what_the_project_asks_for(python: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {LOCKS[0]: project["dependencies"], LOCKS[1]: project["optional-dependencies"]["test"]}
    for lock, requirements in asked.items():
        chosen = versions(lock, python)
        for requirement in map(Requirement, requirements):
            pinned = chosen[canonicalize_name(requirement.name)].removeprefix("==")
            assert requirement.specifier.contains(pinned, prereleases=True), f"make lock: {requirement}, not {pinned}"


def test_what_builds_source_packages_is_locked() -> None:
    assert "setuptools" in versions(LOCKS[0], "3.13"), ".ci/install.py builds with the locked setuptools and no other"


def test_installed_packages_fit_together() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# --- the set-up, on a small project of its own, without a network


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two wheels of one module each; made here, so nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheels")
    for name, version in (("alpha", "1.0"), ("alpha", "2.0"), ("beta", "1.0")):
        make_wheel(folder, name, version)
    return folder


def make_wheel(folder: Path, name: str, version: str) -> None:
    metadata = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{metadata}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{wheel_hash(text)},{len(text)}\n" for path, text in files.items())
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{metadata}/RECORD": f"{record}{metadata}/RECORD,,\n"}.items():
            wheel.writestr(path, text)


def wheel_hash(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def locked(wheelhouse: Path, *packages: str) -> str:
    lines = []
    for package in packages:
        name, version = package.split("==")
        wheel = wheelhouse / f"{name}-{version}-py3-none-any.whl"
        lines.append(f"{package} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return "".join(lines)


class Checkout:
    """A project folder with .ci/install.py and locks of our own, and pip cut off from every index but the wheelhouse."""

    def __init__(self, root: Path, wheelhouse: Path) -> None:
        self.root = root
        self.wheelhouse = wheelhouse

    def lock(self, file: str, *packages: str) -> None:
        (self.root / file).write_text(locked(self.wheelhouse, *packages), encoding="utf-8")

    def install(self, *options: str, wheels: Path | None = None) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "VIRTUAL"))}
        environ = {
            **kept,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": (wheels or self.wheelhouse).as_uri(),
        }
        return subprocess.run(
            [sys._base_executable, ".ci/install.py", "--packages-only", *options],  # type: ignore[attr-defined]
            cwd=self.root, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def imports(self, expression: str) -> str:
        python = self.root / ".venv" / "bin" / "python"
        done = subprocess.run([python, "-c", f"print({expression})"], capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    @property
    def stamp(self) -> Path:
        return self.root / ".venv" / "quoth-installed.json"

    @property
    def mark(self) -> Path:
        return self.root / ".venv" / "quoth-installing"


@pytest.fixture(scope="module")
def set_up_once(tmp_path_factory: pytest.TempPathFactory, wheelhouse: Path) -> Checkout:
    """A checkout after its first set-up for running."""
    made = Checkout(tmp_path_factory.mktemp("made") / "a folder, überall", wheelhouse)
    (made.root / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "install.py", made.root / ".ci")
    made.lock("requirements.lock", "alpha==1.0")
    made.lock("requirements-test.lock", "alpha==1.0", "beta==1.0")
    done = made.install()
    assert done.returncode == 0, done.stderr
    assert "Installing packages" in done.stderr
    return made


@pytest.fixture
def checkout(tmp_path: Path, set_up_once: Checkout) -> Checkout:
    """A copy of it, because making an environment takes seconds."""
    shutil.copytree(set_up_once.root, tmp_path / "a folder, überall", symlinks=True)
    return Checkout(tmp_path / "a folder, überall", set_up_once.wheelhouse)


ALPHA = "__import__('alpha').version"
BETA = "__import__('beta').version"
NOTHING = Path("/nonexistent")


def test_a_second_set_up_calls_no_pip_and_the_tests_only_add(checkout: Checkout) -> None:
    assert checkout.imports(ALPHA) == "1.0"
    (checkout.root / ".venv" / "kept").touch()

    again = checkout.install(wheels=NOTHING)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")

    tests = checkout.install("--test")
    assert tests.returncode == 0, tests.stderr
    assert checkout.imports(BETA) == "1.0"
    assert checkout.install(wheels=NOTHING).stderr == "", "running needs nothing more once the tests' packages are in"
    assert (checkout.root / ".venv" / "kept").exists(), "made once"


def test_a_changed_lock_is_installed(checkout: Checkout) -> None:
    checkout.install("--test")
    checkout.lock("requirements.lock", "alpha==2.0")
    assert checkout.install().returncode == 0
    assert checkout.imports(ALPHA) == "2.0"
    checkout.lock("requirements-test.lock", "alpha==2.0", "beta==1.0")
    assert "Installing packages" in checkout.install("--test").stderr


def test_a_package_with_another_hash_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    forged.mkdir()
    make_wheel(forged, "alpha", "2.0")
    with zipfile.ZipFile(forged / "alpha-2.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("more.py", "")
    checkout.lock("requirements.lock", "alpha==2.0")
    done = checkout.install(wheels=forged)
    assert done.returncode == 1
    assert "pip failed" in done.stderr and "hash" in done.stderr.lower()
    assert checkout.imports(ALPHA) == "1.0"
    assert checkout.install().returncode == 0, "and the right package cures it"
    assert checkout.imports(ALPHA) == "2.0"


def test_an_interrupted_set_up_starts_over(checkout: Checkout) -> None:
    (checkout.root / ".venv" / "debris").touch()
    checkout.mark.touch()  # what a kill in the middle of pip leaves
    done = checkout.install()
    assert done.returncode == 0 and "starting over" in done.stderr
    assert not (checkout.root / ".venv" / "debris").exists()
    assert not checkout.mark.exists()
    assert checkout.imports(ALPHA) == "1.0"


def test_without_a_network_what_was_installed_goes_on_working(checkout: Checkout) -> None:
    failed = checkout.install("--test", wheels=NOTHING)
    assert failed.returncode == 1 and "pip failed" in failed.stderr
    offline = checkout.install(wheels=NOTHING)
    assert (offline.returncode, offline.stderr) == (0, "")
    assert checkout.imports(ALPHA) == "1.0"


def test_another_python_starts_over(checkout: Checkout) -> None:
    stamp = json.loads(checkout.stamp.read_text(encoding="utf-8"))
    checkout.stamp.write_text(json.dumps({**stamp, "python": "3.9"}), encoding="utf-8")
    done = checkout.install()
    assert done.returncode == 0 and "has changed" in done.stderr
    assert json.loads(checkout.stamp.read_text(encoding="utf-8"))["python"] == stamp["python"]


def test_an_environment_made_by_others_is_completed_not_deleted(checkout: Checkout) -> None:
    checkout.stamp.unlink()
    (checkout.root / ".venv" / "mine").touch()
    checkout.lock("requirements.lock", "alpha==1.0", "beta==1.0")
    assert checkout.install().returncode == 0
    assert checkout.imports(BETA) == "1.0"
    assert (checkout.root / ".venv" / "mine").exists()


def test_a_folder_that_is_no_environment_is_refused_by_name(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".venv")
    (checkout.root / ".venv").mkdir()
    (checkout.root / ".venv" / "thesis.txt").write_text("years of work", encoding="utf-8")
    done = checkout.install()
    assert done.returncode == 1
    assert str(checkout.root / ".venv") in done.stderr and "Traceback" not in done.stderr
    assert (checkout.root / ".venv" / "thesis.txt").exists()


def test_two_set_ups_at_once_end_in_one_installation(checkout: Checkout) -> None:
    checkout.lock("requirements.lock", "alpha==2.0")
    checkout.lock("requirements-test.lock", "alpha==2.0", "beta==1.0")
    with ThreadPoolExecutor() as both:
        done = list(both.map(lambda option: checkout.install(*option), [(), ("--test",)]))
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    assert checkout.imports(BETA) == "1.0"


@pytest.fixture(scope="module")
def installer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("installer", ROOT / ".ci/install.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pythons_it_takes_are_the_projects(installer: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest, too_new = (".".join(map(str, version)) for version in (installer.OLDEST, installer.TOO_NEW))
    assert project["requires-python"] == f">={oldest},<{too_new}"


def test_the_builder_is_found_in_the_real_lock(installer: ModuleType) -> None:
    found = installer.builder_of((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    assert re.fullmatch(r"setuptools==\S+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", found)


def test_make_without_a_suitable_python_says_what_it_needs(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "head", "make"):
        (tools / name).symlink_to(str(shutil.which(name)))
    (tools / "python3").write_text("#!/bin/sh\necho Python 3.9.2\nexit 1\n", encoding="utf-8")
    (tools / "python3").chmod(0o755)
    done = subprocess.run(
        [tools / "make", "--no-print-directory", "install"],
        cwd=ROOT, env={"PATH": str(tools)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "needs Python 3.11 to 3.13" in done.stderr and "python3: Python 3.9.2" in done.stderr


# --- compose and image


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return parsed


def test_compose_names_only_what_it_defines(compose: dict[str, Any]) -> None:
    assert set(compose) == {"services", "volumes", "x-quoth"}
    for service in compose["services"].values():
        assert ("image" in service) != ("build" in service)
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        for volume in service["volumes"]:
            name, target = volume.split(":")
            assert name in compose["volumes"] and target.startswith("/")


def test_compose_waits_for_a_healthy_database(compose: dict[str, Any]) -> None:
    database = compose["services"]["db"]
    for name in ("app", "worker", "api"):
        assert compose["services"][name]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert "--host=127.0.0.1" in database["healthcheck"]["test"], "the socket answers before the database is ready"
    assert set(database["environment"]["POSTGRES_INITDB_ARGS"].split()) >= {
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C.UTF-8",
    }


def test_compose_shows_nothing_to_the_network_and_knows_no_password(compose: dict[str, Any]) -> None:
    database, app = compose["services"]["db"], compose["services"]["app"]
    assert all(port.startswith("127.0.0.1:") for port in database["ports"])
    assert app["network_mode"] == "host" and "ports" not in app, "published ports do not reach a container's loopback"
    assert "0.0.0.0" not in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for service in compose["services"].values():  # elsewhere only by a setting, which Quoth refuses without sign-in
        hosts = [one for before, one in itertools.pairwise(service["command"]) if before == "--host"]
        assert set(hosts) <= {"${QUOTH_HOST:-127.0.0.1}"}
    assert database["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    # The app takes the port that the database publishes, and the product's settings are spelt as it knows them.
    port = re.search(r"\$\{POSTGRES_PORT:-\d+\}", database["ports"][0])
    address = f"@127.0.0.1:{port[0]}/{database['environment']['POSTGRES_DB']}" if port else None
    assert address and address in app["environment"]["QUOTH_DATABASE_URL"]
    assert {"QUOTH_HOME", "QUOTH_DATABASE_URL"} <= set(app["environment"]) <= NAMES
    Settings.from_env({name: compose_default(value) for name, value in app["environment"].items()})


def compose_default(text: str) -> str:
    """A value as compose reads it where nothing is set."""
    return re.sub(r"\$\{\w+(?::-([^}]*))?\}", lambda found: found[1] or "x", text)


def test_compose_runs_and_asks_commands_that_there_are(compose: dict[str, Any]) -> None:
    for name in ("app", "worker", "api"):
        service = compose["services"][name]
        for command in (service["command"], service["healthcheck"]["test"][1:]):
            words = [compose_default(word) for word in command]
            if words[0] == "quoth":
                parser().parse_args(words[1:])
            else:
                assert words[:2] == ["python", "-c"]
                compile(words[2], name, "exec")
                assert re.search(r":(\d+)/api/ready", words[2])[1] in service["command"]  # type: ignore[index]


def test_every_service_is_bounded_and_starts_again(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["restart"] == "unless-stopped" and service["healthcheck"]["retries"] > 1
        assert re.fullmatch(r"\d+g", compose_default(service["mem_limit"]))
        assert float(compose_default(service["cpus"])) >= 1


def test_a_health_check_fails_where_nothing_answers(compose: dict[str, Any]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = compose["services"]["app"]["healthcheck"]["test"][3].replace("8501", str(port))
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 1


def test_the_image_copies_what_exists_and_leaves_secrets_out() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists() and name not in ignored
    assert {".env", ".git", ".venv", ".quoth"} <= set(ignored)
    assert re.search(r"^USER (?!root)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
