"""Stores behind fsspec: a real S3 server and a real FTP server, listed, fetched, and failing in words."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import fsspec
import pytest
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from ingest.errors import ConfigurationError, DocumentError, ServiceError, UsageError
from ingest.source_addresses import source_at
from ingest.sources import Entry
from ingest.store_source import StoreSource, fingerprint_of, without_credentials


def nothing() -> Iterator[tuple[str, str]]:
    return iter(())


def entries(source: StoreSource) -> dict[str, Entry]:
    return {one.source: one for one in source.entries(nothing) if isinstance(one, Entry)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- S3 ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    """A server that speaks S3 over HTTP, in a process of its own."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{address}/moto-api/", timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield address
    server.terminate()
    server.wait(timeout=20)


@pytest.fixture
def s3(s3_address: str, monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "AWS_ENDPOINT_URL": s3_address,
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return boto3.client("s3")


def test_a_bucket_is_listed_page_by_page_and_fetched(s3, tmp_path: Path) -> None:
    s3.create_bucket(Bucket="handbook")
    for i in range(1003):  # a page of a listing has a thousand
        s3.put_object(Bucket="handbook", Key=f"many/{i:04}.txt", Body=b"text %d" % i)
    s3.put_object(Bucket="handbook", Key="docs/hr/leave caf\u00e9.txt", Body=b"Twenty weeks.")
    s3.put_object(Bucket="handbook", Key="docs/.hidden", Body=b"x")
    s3.put_object(Bucket="handbook", Key="docs/folder/", Body=b"")
    s3.put_object(Bucket="handbook", Key="docs-of-others/a.txt", Body=b"not beneath the prefix")
    assert len(entries(StoreSource("s3://handbook/many"))) == 1003
    source = StoreSource("s3://handbook/docs/")
    found = entries(source)
    assert set(found) == {"hr/leave caf\u00e9.txt"}
    entry = found["hr/leave caf\u00e9.txt"]
    assert entry.size == 13 and source.origin == "s3://handbook/docs"
    assert source.fetch(entry, tmp_path).read_bytes() == b"Twenty weeks."
    assert source.holds(entry.source) and not source.holds("hr/other.txt")

    s3.put_object(Bucket="handbook", Key="docs/hr/leave caf\u00e9.txt", Body=b"Thirty weeks.")
    assert entries(source)[entry.source].fingerprint != entry.fingerprint
    s3.put_object(Bucket="handbook", Key="docs/hr/leave caf\u00e9.txt", Body=b"Twenty weeks.")
    assert entries(source)[entry.source].fingerprint == entry.fingerprint


def test_a_file_that_is_too_large_or_went_away_is_that_files_error(s3, tmp_path: Path) -> None:
    s3.create_bucket(Bucket="limits")
    s3.put_object(Bucket="limits", Key="big.txt", Body=b"x" * 100)
    source = StoreSource("s3://limits", max_bytes=99)
    (entry,) = entries(source).values()
    with pytest.raises(DocumentError, match="larger") as caught:
        source.fetch(entry, tmp_path)
    assert caught.value.reason == "too_large"
    with pytest.raises(DocumentError) as caught:  # the listing told another size
        source.fetch(Entry("big.txt", None, 1, place=entry.place), tmp_path)
    assert caught.value.reason == "too_large"
    with pytest.raises(DocumentError) as caught:
        source.fetch(Entry("gone.txt", None, 1, place="limits/gone.txt"), tmp_path)
    assert caught.value.reason == "unreadable"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_bucket_and_a_missing_server_are_told_apart_without_secrets(
    s3, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no bucket at 's3://nowhere-at-all'"):
        entries(StoreSource("s3://nowhere-at-all"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ServiceError, match="cannot be listed") as caught:
        entries(StoreSource("s3://handbook"))
    assert "hunter2" not in str(caught.value)


# -- FTP ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A server of one folder: (folder, address with user and password)."""
    root = tmp_path / "served"
    root.mkdir()
    authorizer = DummyAuthorizer()
    authorizer.add_user("ada", "hunter2", str(root), perm="elr")

    class Handler(FTPHandler):
        pass

    Handler.authorizer = authorizer
    server = FTPServer(("127.0.0.1", 0), Handler)
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


def test_an_ftp_folder_is_listed_and_fetched(ftp: tuple[Path, str], tmp_path: Path) -> None:
    root, address = ftp
    (root / "docs" / "hr").mkdir(parents=True)
    (root / "docs" / "hr" / "leave.txt").write_text("Twenty weeks.")
    (root / "docs" / "a.txt").write_text("one")
    (root / "docs" / "~$a.docx").write_text("an editor's")
    (root / "elsewhere.txt").write_text("not beneath the folder")
    source = source_at(f"{address}/docs")
    assert isinstance(source, StoreSource)
    assert "hunter2" not in source.origin and "ada" not in source.origin and source.origin.endswith("/docs")
    found = entries(source)
    assert set(found) == {"a.txt", "hr/leave.txt"}
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    assert source.fetch(found["hr/leave.txt"], fetched).read_text() == "Twenty weeks."
    assert found["a.txt"].fingerprint is not None
    (root / "docs" / "a.txt").write_text("one and more")
    assert entries(source)["a.txt"].fingerprint != found["a.txt"].fingerprint
    assert source.holds("a.txt") and not source.holds("b.txt")
    source.close()


def test_ftp_errors_hold_no_password(ftp: tuple[Path, str]) -> None:
    root, address = ftp
    with pytest.raises(UsageError, match="nothing at") as caught:
        entries(StoreSource(f"{address}/missing"))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ServiceError) as refused:
        StoreSource(address.replace("hunter2", "swordfish"))
    assert "swordfish" not in str(refused.value)


# -- any ---------------------------------------------------------------------------------------------------------------


def test_any_store_of_fsspec_serves(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/shelf/a.txt": b"one", "/shelf/sub/b.txt": b"two", "/other/c.txt": b"three"})
    source = StoreSource("memory://shelf")
    found = entries(source)
    assert set(found) == {"a.txt", "sub/b.txt"}
    assert source.fetch(found["sub/b.txt"], tmp_path).read_bytes() == b"two"


def test_a_missing_library_names_the_way_to_install_it() -> None:
    with pytest.raises(ConfigurationError, match=r"'gs://bucket' needs a library.*pip install gcsfs"):
        source_at("gs://bucket")


def test_an_address_of_no_known_kind_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no address Quoth can read"):
        source_at("gopher://hole")


def test_a_store_that_tells_no_change_has_no_fingerprint() -> None:
    assert fingerprint_of({"name": "a", "size": 3}) is None
    assert fingerprint_of({"size": 3, "ETag": '"abc"'}) == "abc 3"
    assert fingerprint_of({"size": 3, "modify": "2026"}) != fingerprint_of({"size": 4, "modify": "2026"})


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("ftp://ada:pw@host/x", "ftp://host/x"),
        ("sftp://ada@host", "sftp://host"),
        ("cannot reach ftp://a:b@h:1/ now", "cannot reach ftp://h:1/ now"),
        ("s3://bucket/at@sign", "s3://bucket/at@sign"),
    ],
)
def test_addresses_are_shown_without_credentials(given: str, shown: str) -> None:
    assert without_credentials(given) == shown
