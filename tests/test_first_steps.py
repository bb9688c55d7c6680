"""The README's first ten minutes, typed as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest import postgres

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(heading: str) -> list[str]:
    """The commands of the first block of code below a heading, without what is said of them."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    code = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert code is not None
    return [re.sub(r"\s{2,}#.*", "", line) for line in code[1].splitlines() if line.strip()]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "quoth"
    postgres.remove(tmp_path / "quoth")


def test_make_run_is_the_installation_and_quoth_up_with_the_samples() -> None:
    """What the test below does in its place; the installation itself is tested in test_packaging."""
    assert block("Two commands")[0].startswith("make run")
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nrun: install\n\t@", 1)[1].splitlines()[0]
    assert recipe == ".venv/bin/quoth up --sample $(ARGS)"


def steps() -> tuple[list[str], list[str]]:
    """The first steps: those about a file of one's own, and those that measure."""
    commands = block("The first ten minutes")
    at = next(number for number, command in enumerate(commands) if command.startswith("quoth eval"))
    return commands[:at], commands[at:]


def typed(commands: list[str], environ: dict[str, str]) -> list[str]:
    """What each command prints, in one shell; it ends with the first that fails."""
    script = "\n".join(f"{command}\necho '\f'" for command in commands)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
        timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.split("\f\n")


@pytest.fixture
def running(home: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """`quoth up --sample` in its terminal; yields the environment of another one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_", "DISPLAY"))}
    (tmp_path / "person").mkdir()
    environ = {**kept, "QUOTH_HOME": str(home), "HOME": str(tmp_path / "person"), "PYTHONPATH": str(ROOT)}
    environ.pop("WAYLAND_DISPLAY", None)
    up = subprocess.Popen(
        [sys.executable, "-m", "ui.command", "up", "--sample"], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=(tmp_path / "up.log").open("wb"), text=True,
    )  # fmt: skip
    try:
        assert up.stdout is not None
        said = up.stdout.readline()
        assert said.startswith("Quoth answers at http://localhost:"), (tmp_path / "up.log").read_text()[-2000:]
        yield environ
    finally:
        up.terminate()
        up.wait(60)


def test_the_first_steps_do_what_is_written_beside_them(running: dict[str, str]) -> None:
    begun = time.monotonic()
    mine, measuring = steps()
    printed = dict(enumerate(typed(mine, running)))
    said = {command: printed[number] for number, command in enumerate(mine)}
    asked = [printed[number] for number, command in enumerate(mine) if command.startswith("quoth ask")]
    assert "at nine in the morning. [1]" in asked[0] and "(lanterns.md, version 1)" in asked[0]
    assert "at ten in the morning. [1]" in asked[1] and "(lanterns.md, version 2)" in asked[1]
    assert said["quoth show lanterns.md@1 --text"].strip() == "The lantern room opens at nine in the morning."
    print(f"file of one's own: {time.monotonic() - begun:.0f} s")
    assert [command.split()[:3] for command in measuring] == [["quoth", "eval", "answers"], ["quoth", "eval", "gate"]]


@pytest.mark.soak
def test_the_first_measurement_passes_its_gate(running: dict[str, str]) -> None:
    begun = time.monotonic()
    measuring = steps()[1]
    activated = "source .venv/bin/activate"
    *_, gate, _ = typed([activated, *measuring], running)
    assert "NOT MET" not in gate and "met " in gate
    print(f"evaluation and gate: {time.monotonic() - begun:.0f} s")
