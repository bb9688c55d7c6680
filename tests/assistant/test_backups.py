"""Backing up a store, wiping it, and restoring it: what people can see is the same as before, to the letter."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from assistant.backups import backup, looked_at
from assistant.bootstrap import Quoth, open_quoth, restore_store
from assistant.model import Answer, AnswerId
from assistant.wire import answer_json, document_json, search_json
from ingest.access import LOCAL, Reader
from ingest.errors import ServiceError, UsageError

pytestmark = pytest.mark.integration
QUESTION = "How heavy may a trunk on the night train be?"
BO = Reader("bo", frozenset({"rail"}))


@pytest.fixture
def empty_store(server_url: str, environ: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of another, empty place."""
    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(make_url(server_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    yield {**environ, "QUOTH_HOME": str(tmp_path / "elsewhere"), "QUOTH_DATABASE_URL": url}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database {name} with (force)"))


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    folder = tmp_path_factory.mktemp("documents")
    rules = folder / "night-train.md"
    for weight in (28, 30):
        rules.write_text(f"# Night train\n\nA trunk on the night train may weigh {weight} kilograms at most.\n")
        list(quoth.pipeline.add([rules], readers=["rail"], owner="Rosa"))
    (folder / "menu.txt").write_text("The dining car serves lentils on Mondays.")
    list(quoth.pipeline.add([folder / "menu.txt"]))
    quoth.groups.set_of_user("ada", ["rail"])
    *_, _ = quoth.ask(QUESTION, BO)
    return quoth


def seen(quoth: Quoth, answers: list[AnswerId]) -> dict[str, Any]:
    documents = quoth.catalog.documents(LOCAL)
    found = search_json(quoth.search("trunk night train", BO))
    return {
        "documents": [document_json(one) for one in documents],
        "texts": [quoth.catalog.text(LOCAL, one.id, n) for one in documents for n in range(1, one.version + 1)],
        "originals": [quoth.catalog.original(LOCAL, one.id, one.version) for one in documents],
        "answers": [answer_json(quoth.answers.get(BO, one)) for one in answers],
        "hits": [{name: hit[name] for name in ("chunk", "score", "ranks", "text")} for hit in found["hits"]],
        "groups": quoth.groups.of_users(),
    }


def saved(quoth: Quoth, file: Path) -> Path:
    backup(quoth.database, quoth.originals, quoth.settings.home, file)
    return file


def test_a_restored_store_is_the_store_that_was_saved(
    filled: Quoth, empty_store: dict[str, str], tmp_path: Path
) -> None:
    *_, answer = filled.ask(QUESTION, BO)
    assert isinstance(answer, Answer) and answer.status == "answered"
    _, token = filled.api_keys.create("ada", roles=["owner"])
    before = seen(filled, [answer.id])
    events = filled.verify_audit().events
    file = saved(filled, tmp_path / "store.tar")
    assert file.stat().st_mode & 0o077 == 0
    manifest, again = restore_store(empty_store, file, replace=False)
    assert (manifest.documents, again) == (2, 0)
    with open_quoth(empty_store) as restored:
        assert seen(restored, [answer.id]) == before
        assert restored.api_keys.caller(token).reader.name == "ada"
        chain = restored.verify_audit()
        assert chain.whole and chain.events >= events
        for_zoe = restored.search("trunk", Reader("zoe", frozenset())).hits
        assert {one.source for one in for_zoe} == {"menu.txt"}, "nobody reads more than before"
        *_, asked = restored.ask(QUESTION, BO)
        assert isinstance(asked, Answer) and asked.text == answer.text


def test_what_was_removed_since_the_backup_is_removed_again(
    filled: Quoth, empty_store: dict[str, str], tmp_path: Path, folder_of: Callable[..., Path]
) -> None:
    folder = folder_of({"secret.txt": "The conductor keeps the heron key under the seventh sleeper."})
    (receipt,) = filled.pipeline.add([folder])
    assert receipt.document is not None
    file = saved(filled, tmp_path / "store.tar")
    restore_store(empty_store, file, replace=False)
    with open_quoth(empty_store) as other:
        assert other.search("heron key", LOCAL).hits
        other.catalog.remove(receipt.document)
    with pytest.raises(UsageError, match="--replace"):
        restore_store(empty_store, file, replace=False)
    _, again = restore_store(empty_store, file, replace=True)
    assert again == 1
    shutil.rmtree(tmp_path / "elsewhere" / "scratch")
    with open_quoth(empty_store) as other:
        assert not [one for one in other.search("heron key", LOCAL).hits if "heron" in one.text]
        assert other.verify_audit().whole, "a restore that was meant is no gap"
    filled.catalog.remove(receipt.document)


def test_a_damaged_backup_is_refused_before_anything_changes(
    filled: Quoth, empty_store: dict[str, str], tmp_path: Path
) -> None:
    file = saved(filled, tmp_path / "store.tar")
    assert looked_at(file).documents == 2
    whole = file.read_bytes()
    at = whole.index(b"lentils")
    for name, content in (
        ("flipped", whole[:at] + b"herring" + whole[at + 7 :]),
        ("cut", whole[: len(whole) // 2]),
        ("empty", b""),
        ("other", b"not a backup at all" * 100),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError):
            restore_store(empty_store, tmp_path / name, replace=True)
    with open_quoth(empty_store) as untouched:
        assert untouched.catalog.documents(LOCAL) == []


def test_a_backup_is_never_overwritten_and_never_half(filled: Quoth, tmp_path: Path) -> None:
    file = saved(filled, tmp_path / "store.tar")
    before = file.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        saved(filled, file)
    assert file.read_bytes() == before
    with pytest.raises(UsageError, match="cannot be written"):
        saved(filled, tmp_path / "nowhere" / "store.tar")
    assert [one.name for one in tmp_path.iterdir() if "store" in one.name] == ["store.tar"]
    with tarfile.open(file) as tar:
        assert json.loads(tar.extractfile("manifest.json").read())["format"] == 1  # type: ignore[union-attr]


def test_a_store_in_use_is_not_replaced(filled: Quoth, empty_store: dict[str, str], tmp_path: Path) -> None:
    file = saved(filled, tmp_path / "store.tar")
    with open_quoth(empty_store) as other:
        other.search("anything", LOCAL)
        with pytest.raises(UsageError, match="Stop Quoth"):
            restore_store(empty_store, file, replace=True)


# -- a restore that does not come to its end ---------------------------------------------------------------------------


@pytest.fixture
def held(filled: Quoth, empty_store: dict[str, str], folder_of: Callable[..., Path]) -> dict[str, str]:
    """A store with a document and a key of its own, which a restore is to replace."""
    with open_quoth(empty_store) as other:
        list(other.pipeline.add([folder_of({"ferry.txt": "The ferry to the island leaves at seven."})]))
    return empty_store


def sources(environ: dict[str, str]) -> tuple[set[str], bool, list[str]]:
    """What the store holds, whether its audit is whole with its keys, and what its start said."""
    said: list[str] = []
    with open_quoth(environ, say=said.append) as found:
        return {one.source for one in found.catalog.documents(LOCAL)}, found.verify_audit().whole, said


def with_dump(file: Path, target: Path, change: Callable[[bytes], bytes]) -> Path:
    """A backup whose dump is another, under hashes that are right: only reading it tells."""
    with tarfile.open(file) as tar, tarfile.open(target, "w") as out:
        dump = change(tar.extractfile("database.dump").read())  # type: ignore[union-attr]
        for member in tar.getmembers():
            content = tar.extractfile(member).read()  # type: ignore[union-attr]
            if member.name == "manifest.json":
                content = json.dumps({**json.loads(content), "dump_sha256": hashlib.sha256(dump).hexdigest()}).encode()
            content = dump if member.name == "database.dump" else content
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return target


def flipped(dump: bytes) -> bytes:
    """Bytes here and there in its second half: some lie in what pg_restore does not look at."""
    changed = bytearray(dump)
    for at in range(len(dump) // 2, len(dump) - 4, len(dump) // 60):
        changed[at] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize("damage", ["cut", "flipped", "nonsense"])
def test_a_dump_that_cannot_be_read_to_its_end_changes_nothing(
    filled: Quoth, held: dict[str, str], tmp_path: Path, damage: str
) -> None:
    changes: dict[str, Callable[[bytes], bytes]] = {
        "cut": lambda dump: dump[: len(dump) * 3 // 4],
        "flipped": flipped,
        "nonsense": lambda dump: dump[:200] + bytes(1000),
    }
    file = with_dump(saved(filled, tmp_path / "store.tar"), tmp_path / "bad.tar", changes[damage])
    key = (Path(held["QUOTH_HOME"]) / "audit.key").read_bytes()
    with pytest.raises(ServiceError, match="as it was before"):
        restore_store(held, file, replace=True)
    assert sources(held) == ({"ferry.txt"}, True, [])
    assert (Path(held["QUOTH_HOME"]) / "audit.key").read_bytes() == key
    assert not list(Path(held["QUOTH_HOME"]).glob("restoring*"))


KILLED = """
import os, signal, sys
from pathlib import Path
from assistant import restoring
from assistant.bootstrap import restore_store

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def pumped(source, sink):  # all that a small dump is, and no word to commit
    sink.write(source.read())
    sink.flush()
    die()

at = sys.argv[2]
if at == "ready":
    restoring.fill = die
elif at == "filling":
    restoring._pumped = pumped
elif at == "filled":
    restoring.settle = die
    fill = restoring.fill
    restoring.fill = lambda *given: (fill(*given), die())
elif at == "keys":
    import shutil
    restoring.shutil.copyfile = die
elif at == "removing":
    restoring.done = die
restore_store(dict(os.environ), Path(sys.argv[1]), replace=True)
"""


@pytest.mark.parametrize(
    ("at", "new"), [("ready", False), ("filling", False), ("filled", True), ("keys", True), ("removing", True)]
)
def test_a_restore_that_is_killed_leaves_the_old_or_the_new_and_the_next_start_says_which(
    filled: Quoth, held: dict[str, str], tmp_path: Path, at: str, new: bool
) -> None:
    file = saved(filled, tmp_path / "store.tar")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(file), at], env=held, capture_output=True, check=False)
    assert ended.returncode == -9, ended.stderr
    found, whole, said = sources(held)
    assert found == ({"night-train.md", "menu.txt"} if new else {"ferry.txt"}) and whole
    assert any("restore is complete" in one for one in said) is new
    assert any("ended before it was done" in one for one in said) is not new
    assert sources(held) == (found, True, []), "once is enough"
    assert not list(Path(held["QUOTH_HOME"]).glob("restoring*"))
    restore_store(held, file, replace=True)
    assert sources(held) == ({"night-train.md", "menu.txt"}, True, [])


def test_a_restore_killed_at_some_moment_leaves_the_old_or_the_new(
    filled: Quoth, held: dict[str, str], tmp_path: Path
) -> None:
    file = saved(filled, tmp_path / "store.tar")
    for wait_s in (0.2, 0.6, 1.0):
        script = "import os, sys; from pathlib import Path; from assistant.bootstrap import restore_store\n"
        script += "print(flush=True); restore_store(dict(os.environ), Path(sys.argv[1]), replace=True)"
        with subprocess.Popen([sys.executable, "-c", script, str(file)], env=held, stdout=subprocess.PIPE) as begun:
            assert begun.stdout is not None
            begun.stdout.readline()
            time.sleep(wait_s)
            begun.kill()
        found, whole, _ = sources(held)
        assert whole and found in ({"ferry.txt"}, {"night-train.md", "menu.txt"})
