"""A model of a hub, at one commit: fetched once, kept with its hashes, checked at each load, offline from then on."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ingest.errors import ConfigurationError, ServiceError
from ingest.model_folder import MODEL_PLACES, TOKENIZER_PLACE, ModelFiles
from ingest.packaged_files import verified_bytes

HUB_URL: Final = "https://huggingface.co"
HASHES: Final = "sha256.json"
MOST_BYTES: Final = 2_500_000_000  # of one file
FETCH_S: Final = 900.0  # for one file
READ_S: Final = 30.0
AGAIN_AFTER_S: Final = 60.0
_NAMED: Final = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?)@(?P<revision>[0-9a-f]{40})")


class HubModel:
    """One repository at one commit.

    Args:
        folder: where models are kept; each gets a folder of its own in it.
        also: further files of the repository's root that the model needs.
        say: told that it is being fetched.
    """

    def __init__(
        self,
        repo: str,
        revision: str,
        *,
        folder: Path,
        hub_url: str = HUB_URL,
        most_bytes: int = MOST_BYTES,
        fetch_s: float = FETCH_S,
        also: tuple[str, ...] = (),
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._repo, self._revision = repo, revision
        self._folder = folder / f"{repo.replace('/', '--')}@{revision}"
        self._url = f"{hub_url.rstrip('/')}/{repo}/resolve/{revision}"
        self._most_bytes, self._fetch_s = most_bytes, fetch_s
        self._beside = (TOKENIZER_PLACE, *also)
        self._say = say
        self._fetching = threading.Lock()
        self._failed: tuple[float, str] | None = None

    @classmethod
    def named(
        cls,
        name: str,
        setting: str,
        *,
        folder: Path,
        hub_url: str,
        say: Callable[[str], None],
        also: tuple[str, ...] = (),
    ) -> HubModel:
        """The model that REPO@REVISION names.

        Raises:
            ConfigurationError: the revision is no full commit, which alone always means the same files.
        """
        found = _NAMED.fullmatch(name)
        if found is None or ".." in name:
            raise ConfigurationError(
                f"{setting} must be hub:OWNER/NAME@REVISION with a commit of 40 hexadecimal digits: a branch or tag "
                "may mean other files tomorrow."
            )
        if urlsplit(hub_url).scheme not in ("http", "https") or not urlsplit(hub_url).hostname:
            raise ConfigurationError(f"HF_ENDPOINT={hub_url!r} is not an address. Use one such as {HUB_URL}.")
        return cls(found["repo"], found["revision"], folder=folder, hub_url=hub_url, say=say, also=also)

    def files(self) -> ModelFiles:
        """The model's files, checked; fetched by the first who asks, while others are told to wait.

        Raises:
            ServiceError: the hub does not answer as it should, or the files are being fetched.
            ConfigurationError: a file is not the one that was fetched.
        """
        if not self._folder.is_dir():
            self._fetch_once()
        hashes = self._hashes()
        for place, sha256 in hashes.items():
            try:
                verified_bytes(self._folder / place, sha256)
            except (OSError, ConfigurationError) as error:
                raise ConfigurationError(
                    f"{str(self._folder / place)!r} is not what was fetched. Remove the folder to fetch it again."
                ) from error
        model = next(place for place in hashes if place not in self._beside)
        return ModelFiles(self._folder / model, self._folder / TOKENIZER_PLACE)

    def _hashes(self) -> dict[str, str]:
        try:
            hashes = json.loads((self._folder / HASHES).read_text("utf-8"))
            if set(hashes) in ({place, *self._beside} for place in MODEL_PLACES):
                return {place: str(sha256) for place, sha256 in hashes.items()}
        except (OSError, ValueError, TypeError):
            pass
        raise ConfigurationError(
            f"{str(self._folder / HASHES)!r} does not hold the files' hashes. Remove the folder to fetch them again."
        )

    def _fetch_once(self) -> None:
        if not self._fetching.acquire(blocking=False):
            raise ServiceError(f"The model {self._repo!r} is being fetched. It will be used when it is here.")
        try:
            if self._folder.is_dir():
                return
            if self._failed and time.monotonic() - self._failed[0] < AGAIN_AFTER_S:
                raise ServiceError(self._failed[1])
            self._say(f"Fetching the model {self._repo} (once)")
            try:
                self._fetch()
            except ServiceError as error:
                self._failed = (time.monotonic(), str(error))
                raise
        finally:
            self._fetching.release()

    def _fetch(self) -> None:
        """Into a folder beside the final one, which then takes its name: nobody sees half a model."""
        self._folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=self._folder.parent) as beside:
            whole = Path(beside) / "model"
            whole.mkdir()
            hashes: dict[str, str] = {}
            for place in MODEL_PLACES:
                sha256 = self._download(place, whole / place)
                if sha256 is not None:
                    hashes[place] = sha256
                    break
            else:
                raise ServiceError(f"{self._repo!r} has neither {' nor '.join(MODEL_PLACES)} at this revision.")
            for place in self._beside:
                sha256 = self._download(place, whole / place)
                if sha256 is None:
                    raise ServiceError(f"{self._repo!r} has no {place} at this revision.")
                hashes[place] = sha256
            (whole / HASHES).write_text(json.dumps(hashes, indent=1) + "\n", "utf-8")
            try:
                os.rename(whole, self._folder)  # noqa: PTH104 - fails on a folder that is not empty, as it should
            except OSError:
                if not self._folder.is_dir():  # else another process was faster, with the same files
                    raise
                shutil.rmtree(whole, ignore_errors=True)

    def _download(self, place: str, path: Path) -> str | None:
        """Write one file and return its SHA-256; None if the repository has none of this name."""
        import httpx  # here, because only the first use of a hub's model needs it

        words = f"The file {place!r} of {self._repo!r}"
        deadline = time.monotonic() + self._fetch_s
        digest, size = hashlib.sha256(), 0
        timeout = httpx.Timeout(READ_S, connect=10.0)
        try:
            with (
                httpx.Client(follow_redirects=True, max_redirects=5, timeout=timeout) as client,
                client.stream("GET", f"{self._url}/{place}") as answer,
            ):
                if answer.status_code == 404:
                    return None
                if answer.status_code != 200:
                    raise ServiceError(f"{words} could not be fetched (HTTP {answer.status_code}). Try again later.")
                if any(step.url.scheme == "https" for step in answer.history) and answer.url.scheme != "https":
                    raise ServiceError(f"{words} was to come over an open connection. Check HF_ENDPOINT.")
                path.parent.mkdir(exist_ok=True)
                with path.open("wb") as file:
                    for block in answer.iter_bytes():  # as they come: a drip is to meet the deadline too
                        size += len(block)
                        if size > self._most_bytes:
                            raise ServiceError(
                                f"{words} is larger than {self._most_bytes:,} bytes. Take a smaller model."
                            )
                        if time.monotonic() > deadline:
                            raise ServiceError(f"{words} did not arrive within {self._fetch_s:g} s. Try again later.")
                        digest.update(block)
                        file.write(block)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServiceError(f"{words} could not be fetched ({type(error).__name__}). Check the network.") from error
        return digest.hexdigest()
