"""What the modules import, and what importing them does: read from their source, and tried in a fresh process.

The direction between the folders is import-linter's matter (`make lint`).
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ingest", "retrieval", "assistant", "evals", "ui")
BUILT_AROUND = ("openai", "pgvector", "psycopg", "sqlalchemy", "unstructured", "rank_bm25", "streamlit")
PARSING = "ingest/parsing.py"
SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "core", "manager", "managers", "misc", "types"}
# Entry points read the process's environment; the rest get their settings passed in. postgres_account hands the
# environment on, unread, to Postgres's own programs.
ENTRIES = re.compile(r"^(ui/|evals/bench/|ingest/parser_child\.py$|ingest/postgres_account\.py$)")
# What Quoth is compared with runs in a Python of its own, that has these.
RIVALS = {
    "evals/bench/peer_process.py": {
        "haystack", "langchain_classic", "langchain_community", "langchain_core", "langchain_postgres",
    },
}  # fmt: skip
# Run by maintainers in a checkout, with the tests' packages.
BY_HAND = ("evals/samples/", "evals/bench/")


@cache
def sources() -> dict[str, ast.Module]:
    """Every module of the product by its path, parsed."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text(encoding="utf-8"), str(file)) for file in files}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def importers(package: str) -> set[str]:
    return {
        path for path, tree in sources().items() if any(name.partition(".")[0] == package for name in imported(tree))
    }


def test_the_seven_are_asked_for_in_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {re.split(r"[\[<>=~ ]", line)[0].lower().replace("-", "_") for line in project["dependencies"]}
    assert set(BUILT_AROUND) <= asked


@pytest.mark.parametrize("package", BUILT_AROUND)
def test_each_of_the_seven_is_used(package: str) -> None:
    assert importers(package), f"{package} is a dependency and nothing imports it"


def test_one_module_imports_unstructured() -> None:
    assert {path for path in importers("unstructured") if not path.startswith(BY_HAND)} == {PARSING}


def test_only_the_doors_import_streamlit() -> None:
    assert all(path.startswith("ui/") for path in importers("streamlit"))


def distribution(requirement: str) -> str:
    return re.split(r"[\[<>=!~; (]", requirement)[0].lower().replace("_", "-").replace(".", "-")


def test_every_import_comes_from_a_declared_dependency() -> None:
    """A package that is there only because another one asks for it may vanish with that one's next version.

    One pinned to an exact version vouches for what it asks for itself.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {distribution(line) for line in project["dependencies"]}
    for exact in (line for line in project["dependencies"] if "==" in line):
        declared |= {distribution(line) for line in requires(distribution(exact)) or ()}
    made_for_tests = {distribution(line) for line in project["optional-dependencies"]["test"]}
    carriers = packages_distributions()
    strange = {
        f"{path}: {top}"
        for path, tree in sources().items()
        for top in {name.partition(".")[0] for name in imported(tree)}
        if top not in PACKAGES
        and top not in sys.stdlib_module_names
        and top not in RIVALS.get(path, ())
        and not {distribution(name) for name in carriers.get(top, ())}
        & (declared | made_for_tests if path.startswith(BY_HAND) else declared)
    }
    assert not strange


def test_names_say_what_a_module_is_for() -> None:
    named = {path: {part.removesuffix(".py") for part in Path(path).parts} for path in sources()}
    assert not {path for path, parts in named.items() if parts & SAY_NOTHING}


def test_inits_are_empty() -> None:
    assert not {path for path, tree in sources().items() if path.endswith("__init__.py") and tree.body}


def test_only_entry_points_read_the_environment() -> None:
    def reads(tree: ast.AST) -> bool:
        return any(
            isinstance(node, ast.Attribute)
            and node.attr in ("environ", "getenv", "environb")
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            for node in ast.walk(tree)
        ) or any(
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {a.name for a in node.names} & {"environ", "getenv"}
            for node in ast.walk(tree)
        )

    assert not {path for path, tree in sources().items() if reads(tree) and not ENTRIES.match(path)}


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported."""
    for node in body:
        if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.ClassDef)):
            yield from at_import(node.body)
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node


def is_page(path: str) -> bool:
    """Streamlit runs these files from top to bottom; nothing imports them."""
    return path in ("ui/app.py", "ui/web_app.py") or path.startswith("ui/views/") or "/migrations/" in path


def test_no_module_does_anything_when_imported() -> None:
    """No call as a statement of its own, no loop, no open file, no read of the environment or the clock."""
    found = set()
    for path, tree in sources().items():
        if is_page(path):
            continue
        for node in at_import(tree.body):
            called = {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
            loose = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            touches = {name for name in called if re.match(r"(open|print|os\.|time\.|subprocess\.|socket\.)", name)}
            touches |= {name for name in called if re.search(r"\.(read_text|read_bytes|connect|getenv)$", name)}
            if (
                loose
                or touches
                or isinstance(node, (ast.For, ast.While, ast.With))
                or "os.environ" in ast.unparse(node)
            ):
                found.add(f"{path}:{node.lineno}: {ast.unparse(node)[:60]}")
    assert not found


def test_the_commands_start_without_the_parser_and_the_web_app() -> None:
    """What a module imports at its top is paid by every command: `quoth --help` loads neither."""
    script = "import sys, ui.command; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"unstructured", "streamlit", "spacy", "torch"} & set(done.stdout.split())


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files are the project's")
    private = re.compile(rb"(?<![\w.~-])/(?:root|work|home/\w+|Users/\w+|workspace|mnt|tmp/bash_jobs)/[\w.]")
    found = set()
    for name in filter(None, listed.stdout.split("\0")):
        file = ROOT / name
        if file.is_file() and b"\0" not in (content := file.read_bytes()):
            found |= {f"{name}: {match[0].decode()}" for match in private.finditer(content)}
    assert not found
