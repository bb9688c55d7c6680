"""Any store that fsspec reaches as a source: s3://, ftp://, sftp://, gs://, abfs:// and so on.

Credentials come from where the store's library looks for them (environment, profile, the address itself); nothing
here keeps or prints them.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import fsspec

from ingest.errors import ConfigurationError, DocumentError, ServiceError, UsageError
from ingest.sources import (
    FETCH_S,
    MOST_FILE_BYTES,
    Entry,
    Listed,
    Remembered,
    Unlisted,
    refused_name,
    skipped,
    stable_name,
    too_large,
)

BLOCK_BYTES: Final = 1 << 20
CONNECT_S, ANSWER_S = 10, 60
PACKAGES: Final = {
    "s3": "s3fs", "s3a": "s3fs", "sftp": "paramiko", "ssh": "paramiko", "gs": "gcsfs", "gcs": "gcsfs",
    "abfs": "adlfs", "az": "adlfs", "smb": "smbprotocol", "webdav": "webdav4",
}  # fmt: skip
OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "s3": {
        "config_kwargs": {
            "connect_timeout": CONNECT_S,
            "read_timeout": ANSWER_S,
            "retries": {"max_attempts": 3, "mode": "standard"},
        }
    },
    "ftp": {"timeout": ANSWER_S},
    "sftp": {"timeout": CONNECT_S},
}
MARKS: Final = ("ETag", "etag", "md5", "md5Hash", "version_id", "generation")  # change with the content, by themselves
TIMES: Final = ("LastModified", "last_modified", "modify", "mtime", "modified", "updated")  # do so with the size


class StoreSource:
    def __init__(self, address: str, *, max_bytes: int = MOST_FILE_BYTES, fetch_s: float = FETCH_S) -> None:
        """Connect to nothing yet, as far as the store's library allows.

        Raises:
            ConfigurationError: the library for this kind of store is not installed.
            UsageError: the address is of no kind that fsspec knows.
            ServiceError: the store does not answer.
        """
        self._protocol = "s3" if address.startswith("s3a:") else address.partition(":")[0].lower()
        self.origin = without_credentials(address).rstrip("/")
        self._max_bytes = max_bytes
        self._fetch_s = fetch_s
        options = {"use_listings_cache": False, "skip_instance_cache": True, **OPTIONS.get(self._protocol, {})}
        try:
            self._fs, root = fsspec.core.url_to_fs(address, **options)
        except ImportError as error:
            package = PACKAGES.get(self._protocol)
            way = f"Install it: pip install {package}" if package else f"{error}."
            raise ConfigurationError(f"{self.origin!r} needs a library that is not installed. {way}") from error
        except ValueError as error:
            raise UsageError(
                f"{self.origin!r} is no address Quoth can read. Give a folder, s3://BUCKET/PREFIX, ftp://HOST/FOLDER,"
                " sftp://HOST/FOLDER or https://HOST/."
            ) from error
        except Exception as error:  # each library has errors of its own, and some connect here
            raise self._unavailable(error) from None
        self._root = str(root).rstrip("/")

    def entries(self, remembered: Remembered) -> Iterator[Listed]:
        found = self._pages() if hasattr(self._fs, "call_s3") else self._walk()
        for one in found:
            if isinstance(one, Unlisted):
                yield one
                continue
            path = str(one["name"])
            source = stable_name(self._relative(path))
            if not source or skipped(source):
                continue
            refused = refused_name(source)
            if refused is not None:
                yield Unlisted(source.encode("utf-8", "backslashreplace").decode(), refused)
                continue
            yield Entry(source, fingerprint_of(one), one.get("size"), place=path)

    def _walk(self) -> Iterator[Mapping[str, Any] | Unlisted]:
        """Folder by folder, so that no more than one folder's listing is held."""
        waiting = [self._root or "/"]
        while waiting:
            folder = waiting.pop()
            try:
                found = self._fs.ls(folder, detail=True, refresh=True) if folder else []
                self._fs.invalidate_cache()
            except FileNotFoundError:
                if folder == (self._root or "/"):
                    raise UsageError(f"There is nothing at {self.origin!r}. Check the address.") from None
                continue  # gone since its parent was listed
            except PermissionError as error:
                if folder == (self._root or "/"):
                    raise self._unavailable(error) from None
                name = self._relative(folder)
                words = f"The folder {name!r} may not be listed. Nothing in it was retired; ask for access."
                yield Unlisted(stable_name(name), DocumentError("unreadable", words))
                continue
            except Exception as error:
                raise self._unavailable(error) from None
            for one in sorted(found, key=lambda one: str(one["name"])):
                if one["type"] == "directory" and str(one["name"]).rstrip("/") != folder.rstrip("/"):
                    if not skipped(self._relative(str(one["name"]).rstrip("/"))):
                        waiting.append(str(one["name"]).rstrip("/"))
                elif one["type"] == "file":
                    yield one

    def _pages(self) -> Iterator[Mapping[str, Any] | Unlisted]:
        """S3 tells of a thousand keys at a time, whatever their folders."""
        bucket, _, prefix = self._root.partition("/")
        asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix + "/" if prefix else ""}
        while True:
            try:
                answer = self._fs.call_s3("list_objects_v2", **asked)
            except FileNotFoundError:
                raise UsageError(f"There is no bucket at {self.origin!r}. Check the address.") from None
            except Exception as error:
                if "NoSuchBucket" in str(error):
                    raise UsageError(f"There is no bucket at {self.origin!r}. Check the address.") from None
                raise self._unavailable(error) from None
            for one in answer.get("Contents", ()):
                if not one["Key"].endswith("/"):
                    yield {"name": f"{bucket}/{one['Key']}", "size": one["Size"], "ETag": one.get("ETag")}
            if not answer.get("IsTruncated"):
                return
            asked["ContinuationToken"] = answer["NextContinuationToken"]

    def fetch(self, entry: Entry, folder: Path) -> Path:
        if entry.size is not None and entry.size > self._max_bytes:
            raise too_large(entry.source, self._max_bytes)
        ends = time.monotonic() + self._fetch_s
        descriptor, name = tempfile.mkstemp(prefix="fetched-", dir=folder)
        copy = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as target, self._fs.open(entry.place, "rb") as file:
                copied = 0
                while block := file.read(BLOCK_BYTES):
                    copied += target.write(block)
                    if copied > self._max_bytes:
                        raise too_large(entry.source, self._max_bytes)
                    if time.monotonic() > ends:
                        raise DocumentError(
                            "timeout",
                            f"{entry.source!r} was not received within {self._fetch_s:.0f} s. Sync again later.",
                        )
            return copy
        except BaseException as error:
            copy.unlink(missing_ok=True)
            if isinstance(error, DocumentError) or not isinstance(error, Exception):
                raise
            raise DocumentError(
                "unreadable", f"{entry.source!r} could not be received ({self._said(error)}). Sync again."
            ) from None

    def holds(self, source: str) -> bool:
        try:
            self._fs.invalidate_cache()
            forms = (source, unicodedata.normalize("NFD", source))
            return any(self._fs.isfile(f"{self._root}/{form}") for form in forms)
        except FileNotFoundError:
            return False
        except Exception as error:
            raise self._unavailable(error) from None

    def close(self) -> None:
        shutdown: Callable[[], None] | None = getattr(getattr(self._fs, "ftp", None), "close", None)
        if shutdown is not None:
            shutdown()

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")

    def _unavailable(self, error: Exception) -> ServiceError:
        return ServiceError(
            f"{self.origin!r} cannot be listed ({self._said(error)}). Check the address and the credentials in the"
            " environment, and try again."
        )

    def _said(self, error: Exception) -> str:
        """What a library's error says in one line; its address may hold a password."""
        line = without_credentials(str(error).strip().split("\n")[0])[:200]
        options = self._fs.storage_options if hasattr(self, "_fs") else {}
        for name in ("password", "secret", "key", "token", "username"):
            if options.get(name):
                line = line.replace(str(options[name]), "…")
        return f"{type(error).__name__}: {line}" if line else type(error).__name__


def without_credentials(address: str) -> str:
    """An address without the user and password it may hold."""
    return re.sub(r"//[^/\s]*@", "//", address)


def fingerprint_of(listed: Mapping[str, Any]) -> str | None:
    """What of a listing changes with the file's content; None when nothing of it does."""
    for mark in MARKS:
        if listed.get(mark):
            return f"{listed[mark]} {listed.get('size')}".replace('"', "")
    for name in TIMES:
        if listed.get(name):
            return f"{listed[name]} {listed.get('size')}"
    return None
