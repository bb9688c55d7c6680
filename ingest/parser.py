"""The parser as its users see it: a process that cannot hurt them, started when needed and kept warm."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ingest import handover
from ingest.errors import DocumentError, NoRoom, ServiceError, is_full
from ingest.handover import HandoverError
from ingest.model import ParsedDocument
from ingest.parser_child import OUT_OF_MEMORY, PROGRESS, TOO_MUCH_OUTPUT

_START_TIMEOUT_S: Final = 120.0
FULL_BYTES: Final = 1 << 20  # a disk with less room than this is why a file could not be read
_GRACE_S: Final = 10.0  # how long a fork server may take to confirm that a request is over
_POLL_S: Final = 0.5  # how often a request is asked how far it has come
_SCALE: Final = (0.1, 8.0)
_MB: Final = 1 << 20
# No variable of ours reaches the parser: it has no database address and no key to give away.
_ENVIRONMENT: Final = {
    "DO_NOT_TRACK": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "SCARF_NO_ANALYTICS": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",  # forking is safe only while a process has one thread
    "OPENBLAS_NUM_THREADS": "1",
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",
    "PYTHONHASHSEED": "0",  # the same bytes give the same text
    "PYTHONNOUSERSITE": "1",
    "MALLOC_ARENA_MAX": "2",
}


@dataclass(frozen=True, slots=True)
class ParserLimits:
    """What one file may cost. Time grows with the file's size, since an honest 900-page document needs it."""

    max_file_bytes: int = 200 * _MB
    memory_bytes: int = 2 << 30  # address space of the parsing process
    cpu_s: int = 60
    cpu_s_per_mb: float = 20.0
    wall_s: float = 180.0
    wall_s_per_mb: float = 40.0
    file_size_bytes: int = 512 * _MB  # of the result, and of any file the child writes
    open_files: int = 128
    max_archive_bytes: int = 1 << 30  # what an office file may unpack to
    max_archive_ratio: float = 100.0  # unpacked to packed, where it unpacks to more than 32 MiB
    max_pixels: int = 16_000_000  # of a rendered page
    max_picture_pixels: int = 120_000_000  # of a picture file, as it claims
    max_recognised_pages: int = 1000  # that are pictures, of one document
    recognition_cpu_s: int = 150  # for one page: a full one takes 5 to 15, and up to three times that lying on its side
    recognition_wall_s: float = 450.0  # for one page, beyond what the file's size allows


class _Request:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.status: int | None = None  # None: the server ended before it could tell
        self.peak_kb = 0  # resident memory of the process, for measurements


class _Server:
    """One fork server and the thread that hears what it says."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="quoth-parser-"))
        root = Path(__file__).resolve().parents[1]
        environment = {**_ENVIRONMENT, "TMPDIR": str(self.folder), "HOME": str(self.folder)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ingest.parser_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=root,
            env=environment,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.ready = threading.Event()
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._requests: dict[int, _Request] = {}
        self._last = 0
        self.unprepared: dict[str, Any] | None = None  # what it could not begin for
        threading.Thread(target=self._listen, name="parser-listener", daemon=True).start()

    def submit(self, message: dict[str, Any]) -> tuple[int, _Request]:
        """Send a request; it may already have ended when this returns.

        Raises:
            BrokenPipeError: the server is gone.
        """
        request = _Request()
        with self._lock:
            if self.ended.is_set():
                raise BrokenPipeError
            self._last += 1
            number = self._last
            self._requests[number] = request
            self._write({"id": number, **message})
        return number, request

    def kill(self, number: int) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._write({"kill": number})

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError, OSError):
            for line in self._process.stdout:
                message = json.loads(line)
                if "ready" in message:
                    self.ready.set()
                    continue
                if "unprepared" in message:
                    self.unprepared = message
                    break
                with self._lock:
                    request = self._requests.pop(message["id"], None)
                if request is not None:
                    request.status = int(message["status"])
                    request.peak_kb = int(message["peak_kb"])
                    request.done.set()
        with self._lock:
            self.ended.set()
            left = list(self._requests.values())
            self._requests.clear()
        self.ready.set()
        for request in left:
            request.done.set()

    def stop(self) -> None:
        """End the server and all it runs. Its own children die with it (PR_SET_PDEATHSIG)."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Parser:
    """Parses files and renders pages in a process of its own. May be used from many threads at once.

    The process starts at the first use and stays; if it dies, the next use starts another. When this process is
    killed, the parser sees the end of its input and ends too.
    """

    def __init__(self, limits: ParserLimits | None = None) -> None:
        self._limits = limits or ParserLimits()
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def __enter__(self) -> Parser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the process; a later use starts it again."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the fork server, when one runs."""
        server = self._server
        return server.pid if server is not None and not server.ended.is_set() else None

    def parse(self, path: Path, *, name: str, progress: Callable[[int, int], None] | None = None) -> ParsedDocument:
        """Read one file.

        Args:
            name: how the owner calls it; its ending tells kinds of text apart.
            progress: told about twice a second, by this thread, how many pages were recognised of how many that are
                pictures; 0 of 0 until that is known. What it raises ends the reading, and is raised.

        Raises:
            DocumentError: with a reason of the closed set and what to do.
            ServiceError: the parser's process cannot be started.
        """
        size = self._size(path, name)
        content = self._run({"op": "parse", "path": str(path.resolve()), "name": name}, size, name, progress)
        try:
            return handover.decode(content)
        except HandoverError as error:
            raise _damaged(name) from error

    def render_page(self, path: Path, page: int, *, scale: float) -> bytes:
        """One page of a PDF or of a picture file as PNG, as displayed.

        Args:
            page: from 1.
            scale: pixels per point, between 0.1 and 8; lowered where the picture would exceed `max_pixels`.

        Raises:
            DocumentError: as for `parse`.
            ServiceError: the parser's process cannot be started.
        """
        size = self._size(path, path.name)
        scale = min(max(scale, _SCALE[0]), _SCALE[1])
        message = {"op": "render", "path": str(path.resolve()), "name": path.name, "page": page, "scale": scale}
        content = self._run(message, size, path.name)
        if content.startswith(b"PNG!\x89PNG"):
            return content[4:]
        with contextlib.suppress(HandoverError):
            handover.decode(content)  # raises the error the child reported
        raise _damaged(path.name)

    def _size(self, path: Path, name: str) -> int:
        try:
            status = path.stat()
        except OSError as error:
            raise DocumentError(
                "unreadable", f"{name!r} cannot be read ({error.strerror}). Check that it is there and may be opened."
            ) from error
        if not stat.S_ISREG(status.st_mode):
            raise DocumentError("unsupported_type", f"{name!r} is no file. Give a document, or a folder of documents.")
        if status.st_size > self._limits.max_file_bytes:
            raise DocumentError(
                "too_large",
                f"{name!r} has {status.st_size / 1e6:,.0f} MB; the limit is {self._limits.max_file_bytes / 1e6:,.0f}. "
                "Split it into smaller files.",
            )
        return status.st_size

    def _started(self) -> _Server:
        with self._lock:
            if self._server is not None and self._server.ended.is_set():
                self._server.stop()
                self._server = None
            if self._server is None:
                try:
                    self._server = _Server()
                except OSError as error:  # no temporary folder takes a file: all are full, or none may be written
                    raise NoRoom(f"The parser finds no temporary folder to work in ({error}). Make room.") from error
            server = self._server
        if not server.ready.wait(_START_TIMEOUT_S) or server.ended.is_set():
            raise ServiceError("The parser's process does not start. `quoth doctor` names what is missing.")
        return server

    def _run(
        self, message: dict[str, Any], size: int, name: str, progress: Callable[[int, int], None] | None = None
    ) -> bytes:
        limits = self._limits
        megabytes = size / _MB
        message["limits"] = {
            "memory_bytes": limits.memory_bytes,
            "cpu_s": int(limits.cpu_s + limits.cpu_s_per_mb * megabytes),
            "file_size_bytes": limits.file_size_bytes,
            "open_files": limits.open_files,
            "archive_bytes": limits.max_archive_bytes,
            "archive_ratio": limits.max_archive_ratio,
            "pixels": limits.max_pixels,
            "picture_pixels": limits.max_picture_pixels,
            "recognised_pages": limits.max_recognised_pages,
            "recognition_cpu_s": limits.recognition_cpu_s,
            "more_cpu_s": limits.max_recognised_pages * limits.recognition_cpu_s,
        }
        server = self._started()
        try:
            out = Path(tempfile.mkdtemp(prefix="result-", dir=server.folder)) / "result"
        except OSError as error:
            if is_full(error):
                raise _no_room(server.folder) from error
            raise
        try:
            try:
                number, request = server.submit({**message, "out": str(out)})
            except OSError:  # it died between two requests
                return self._run(message, size, name, progress)
            try:
                ended = self._ended(request, limits.wall_s + limits.wall_s_per_mb * megabytes, out.parent, progress)
            except BaseException:  # nobody waits for the result any more
                server.kill(number)
                raise
            if not ended:
                server.kill(number)
                if not request.done.wait(_GRACE_S):
                    server.stop()
                raise DocumentError("timeout", f"{name!r} took too long to read. Split it into smaller files.")
            if request.status is None and server.unprepared is not None:
                raise _unprepared(server)
            if request.status and os.WIFEXITED(request.status) and _is_full(server.folder):
                raise _no_room(server.folder)  # looked at here: a hostile file could make its reader say so for ever
            _check_status(request.status, name)
            return _read_result(out, limits.file_size_bytes, name)
        finally:
            shutil.rmtree(out.parent, ignore_errors=True)

    def _ended(
        self, request: _Request, wall_s: float, folder: Path, progress: Callable[[int, int], None] | None
    ) -> bool:
        """Wait for the end of a request; False when its time is over. Each recognised page gives it more time."""
        deadline = time.monotonic() + wall_s
        known = (-1, 0)
        while True:
            ended = request.done.wait(min(_POLL_S, max(0.0, deadline - time.monotonic())))
            told = _read_progress(folder / PROGRESS)
            if told is not None and known[0] < told[0] <= told[1] <= self._limits.max_recognised_pages:
                known = told
                deadline = max(deadline, time.monotonic() + self._limits.recognition_wall_s)
            if progress is not None:
                progress(max(0, known[0]), known[1])
            if ended or time.monotonic() >= deadline:
                return ended


def _read_progress(path: Path) -> tuple[int, int] | None:
    """What the child says of itself, which may be anything."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = re.fullmatch(rb"\s*(\d{1,7}) +(\d{1,7})", os.read(descriptor, 32))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return (int(found[1]), int(found[2])) if found else None


def _check_status(status: int | None, name: str) -> None:
    """What the end of the process says about the document."""
    if status == 0:
        return
    if status is None:
        raise _damaged(name)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            raise DocumentError("timeout", f"{name!r} took too much computing time. Split it into smaller files.")
        if number == signal.SIGKILL:
            raise _too_large(name)
        raise DocumentError(
            "unsafe",
            f"{name!r} made the reader crash ({signal.Signals(number).name}), as damaged or hostile files do. Save it "
            "anew from the program it was written in.",
        )
    if os.WEXITSTATUS(status) in (OUT_OF_MEMORY, TOO_MUCH_OUTPUT):
        raise _too_large(name)
    raise _damaged(name)


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < FULL_BYTES


def _no_room(folder: Path) -> NoRoom:
    return NoRoom(f"The disk of {str(folder.parent)!r}, where files are read, is full. Make room there.")


def _unprepared(server: _Server) -> ServiceError:
    told = server.unprepared or {}
    if told.get("full"):
        return _no_room(server.folder)
    return ServiceError(f"The parser cannot begin ({told.get('unprepared')}). `quoth doctor` names what is missing.")


def _too_large(name: str) -> DocumentError:
    return DocumentError(
        "too_large", f"{name!r} needs more memory than one document may use. Split it into smaller files."
    )


def _damaged(name: str) -> DocumentError:
    return DocumentError(
        "corrupt",
        f"{name!r} could not be read: it is damaged or unusual. Save it anew from the program it was written in.",
    )


def _read_result(path: Path, max_bytes: int, name: str) -> bytes:
    """The child's file, without following what a hostile child may have put in its place."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _damaged(name) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _damaged(name)
        if status.st_size > max_bytes:
            raise _too_large(name)
        return file.read(max_bytes)
