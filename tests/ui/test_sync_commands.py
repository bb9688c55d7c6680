"""`quoth sync` as people use it: folders, stores and sites in step, in words and exit codes; watching."""

from __future__ import annotations

import functools
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from tests.shell import Shell

pytestmark = pytest.mark.integration

LEAVE = "Parental leave lasts twenty weeks for every parent. It is paid in full.\n"
WITHIN_S = 120  # for what takes a second or two when the machine has nothing else to do


# -- folders -----------------------------------------------------------------------------------------------------------


def test_files_added_changed_renamed_and_removed_are_so_as_documents(
    shell: Shell, folder_of: Callable[..., Path]
) -> None:
    root = folder_of({"hr/leave.txt": LEAVE, "pay.txt": "Pay day is the 25th.\n", "old.txt": "A rule of 1990.\n"})
    code, first = shell.lines("sync", str(root), "--collection", "folder", "--readers", "hr", "--owner", "HR")
    assert code == 0
    assert {line["status"] for line in first.values()} == {"added"}
    assert set(first) == {"hr/leave.txt", "pay.txt", "old.txt"}

    (root / "hr" / "leave.txt").write_text(LEAVE.replace("twenty", "thirty"))
    (root / "pay.txt").rename(root / "hr" / "salary.txt")
    (root / "old.txt").unlink()
    (root / "empty.txt").touch()
    code, out, err = shell("sync", str(root), "--collection", "folder")
    assert code == 1  # the empty one failed
    assert {" ".join(line.split()[:2]) for line in out.splitlines()} == {
        "updated hr/leave.txt",
        "renamed hr/salary.txt",
        "removed old.txt",
        "failed empty.txt",
    }
    assert "1 updated" in err
    assert "1 renamed" in err
    assert "1 removed" in err

    _, out, _ = shell("documents", "--collection", "folder", "--json")
    documents = {line["source"]: line for line in map(json.loads, out.splitlines())}
    assert set(documents) == {"hr/leave.txt", "hr/salary.txt"}
    assert documents["hr/salary.txt"]["document"] == first["pay.txt"]["document"]
    assert documents["hr/salary.txt"]["version"] == 1
    assert documents["hr/leave.txt"]["readers"] == ["hr"]
    assert documents["hr/leave.txt"]["owner"] == "HR"
    _, out, _ = shell("jobs", "--json")
    assert "hr/salary.txt" not in {job["source"] for job in json.loads(out)["jobs"]}  # nobody read it again

    code, again = shell.lines("sync", str(root), "--collection", "folder")
    assert {name: line["status"] for name, line in again.items()} == {
        "hr/leave.txt": "unchanged",
        "hr/salary.txt": "unchanged",
        "empty.txt": "failed",
    }

    for file in ("hr/leave.txt", "hr/salary.txt", "empty.txt"):
        (root / file).unlink()
    code, out, err = shell("sync", str(root), "--collection", "folder")  # as if it were not mounted
    assert (code, out) == (2, "")
    assert "not mounted" in err
    assert "--force" in err
    code, last = shell.lines("sync", str(root), "--collection", "folder", "--force")
    assert code == 0
    assert {name: line["status"] for name, line in last.items()} == {
        "hr/leave.txt": "removed",
        "hr/salary.txt": "removed",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["/no/such/folder"], 2, "'/no/such/folder' does not exist"),
        ([__file__], 2, "not a folder. Use `quoth add`"),
        ([""], 2, "Give a folder or an address"),
        (["nonsense://x"], 2, "no address Quoth can read"),
        (["http://host:port/"], 2, "no address of a web site"),
        (["."], 2, "--every 0 must be at least 1"),
        (["ftp://127.0.0.1:1/x"], 3, "Connection refused"),
        ([], 2, "SOURCE"),
    ],
)
def test_what_cannot_be_a_source_is_refused_with_a_way_out(
    shell: Shell, arguments: list[str], code: int, said: str
) -> None:
    options = ["--every", "0"] if arguments == ["."] else []
    ended, out, err = shell("sync", *arguments, *options)
    assert (ended, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


def test_help_teaches(shell: Shell) -> None:
    code, out, _ = shell("sync", "--help")
    assert code == 0
    assert "quoth sync /srv/handbook --watch" in out


# -- stores and sites --------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """A bucket of a server that speaks S3, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    ends = time.monotonic() + WITHIN_S
    while time.monotonic() < ends:
        try:
            urllib.request.urlopen(f"{address}/moto-api/", timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="handbook")
    yield client
    server.terminate()
    server.wait(timeout=20)


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A server of one folder: (folder, address with user and password)."""
    root = tmp_path / "ftp"
    root.mkdir()
    authorizer = DummyAuthorizer()
    authorizer.add_user("ada", "hunter2", str(root), perm="elr")
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer})
    server = FTPServer(("127.0.0.1", 0), handler)
    host, port = server.socket.getsockname()[:2]
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            server.serve_forever(timeout=0.05, blocking=False)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield root, f"ftp://ada:hunter2@{host}:{port}"
    ended.set()
    thread.join(timeout=10)
    server.close_all()


@pytest.fixture
def website(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    root = tmp_path / "web"
    root.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(root)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield root, f"http://127.0.0.1:{server.server_address[1]}/index.html"
    server.shutdown()
    server.server_close()


def page(words: str, *links: str) -> str:
    anchors = "".join(f'<p><a href="{link}">{link}</a></p>' for link in links)
    return f"<html><head><title>{words}</title></head><body><h1>Rules</h1><p>{words}</p>{anchors}</body></html>"


def test_a_bucket_an_ftp_folder_and_a_site_are_kept_in_step(
    shell: Shell, bucket, ftp: tuple[Path, str], website: tuple[Path, str]
) -> None:
    bucket.put_object(Bucket="handbook", Key="policies/leave.txt", Body=LEAVE.encode())
    bucket.put_object(Bucket="handbook", Key="policies/old.txt", Body=b"A rule of 1990.")
    (ftp[0] / "pump.txt").write_text("The pump runs at 40 bar.\n")
    (website[0] / "index.html").write_text(page("Every rule of the house is here.", "travel.html", "dogs.html"))
    (website[0] / "travel.html").write_text(page("Travel by train is paid in second class."))
    (website[0] / "dogs.html").write_text(page("Dogs are welcome on Fridays."))
    sync = ("sync", "s3://handbook/policies", ftp[1], website[1], "--collection", "places")
    code, first = shell.lines(*sync)
    assert code == 0
    assert {name: line["status"] for name, line in first.items()} == dict.fromkeys(
        ("leave.txt", "old.txt", "pump.txt", "index.html", "travel.html", "dogs.html"), "added"
    )

    bucket.delete_object(Bucket="handbook", Key="policies/old.txt")
    bucket.copy_object(Bucket="handbook", CopySource="handbook/policies/leave.txt", Key="policies/hr/leave.txt")
    bucket.delete_object(Bucket="handbook", Key="policies/leave.txt")
    (ftp[0] / "pump.txt").write_text("The pump runs at 45 bar, never more.\n")
    (website[0] / "dogs.html").unlink()
    code, out, err = shell(*sync)
    assert code == 0
    assert {" ".join(line.split()[:2]) for line in out.splitlines()} == {
        "removed old.txt",
        "renamed hr/leave.txt",
        "updated pump.txt",
        "unchanged index.html",
        "unchanged travel.html",
        "removed dogs.html",
    }
    assert "hunter2" not in out + err

    code, out, _ = shell("search", "second class train travel", "--collection", "places", "--json")
    assert code == 0
    assert json.loads(out)["hits"][0]["source"] == "travel.html"


# -- watching ----------------------------------------------------------------------------------------------------------


class Watching:
    """`quoth sync --watch` in a process of its own, and what it has printed so far."""

    def __init__(self, environ: dict[str, str], *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ui.command", "sync", *arguments, "--watch"],
            env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job's is ignored
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip())

    def expect(self, *words: str) -> None:
        """Wait for a line that holds all the words; it is forgotten, as a file may be too fresh for the first pass."""
        ends = time.monotonic() + WITHIN_S
        looked = 0
        while time.monotonic() < ends:
            while looked < len(self.lines):
                looked += 1
                if all(word in self.lines[looked - 1] for word in words):
                    del self.lines[looked - 1]
                    return
            assert self._process.poll() is None, self.lines
            time.sleep(0.05)
        raise AssertionError(f"{words} never came: {self.lines}")

    def end(self, number: signal.Signals) -> int:
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        code = self._process.wait(timeout=WITHIN_S)
        self._reader.join(timeout=10)
        return code


def test_a_watched_folder_is_followed_at_once_until_interrupted(
    environ: dict[str, str], folder_of: Callable[..., Path]
) -> None:
    root = folder_of({"leave.txt": LEAVE})
    watching = Watching(environ, str(root), "--collection", "watched", "--every", "3600")
    try:
        watching.expect("added", "leave.txt")
        watching.expect("Watching. Ctrl-C stops it.")
        (root / "dogs.txt").write_text("Dogs are welcome on Fridays.\n")
        watching.expect("added", "dogs.txt")
        (root / "dogs.txt").rename(root / "cats.txt")
        watching.expect("renamed", "cats.txt", "'dogs.txt'")
        (root / "cats.txt").unlink()
        watching.expect("removed", "cats.txt")
        assert not [line for line in watching.lines if "unchanged  " in line]  # only what is news
    finally:
        code = watching.end(signal.SIGINT)
    assert code == 130
    assert watching.lines[-1] == "Interrupted."
    assert "Traceback" not in "\n".join(watching.lines)


def test_a_watched_site_is_looked_at_every_so_often_until_terminated(
    environ: dict[str, str], website: tuple[Path, str]
) -> None:
    root, address = website
    (root / "index.html").write_text(page("The canteen opens at eleven."))
    watching = Watching(environ, address, "--collection", "canteen", "--every", "1")
    try:
        watching.expect("added", "index.html")
        (root / "index.html").write_text(page("The canteen opens at noon on every day of the week."))
        watching.expect("updated", "index.html")
    finally:
        code = watching.end(signal.SIGTERM)
    assert code == 130
    assert "Traceback" not in "\n".join(watching.lines)
