"""The parser's process: `python -m ingest.parser_child`, started by ingest.parser with an almost empty environment.

A fork server. It imports the readers once, at the first parse, and forks one process per request; that one limits
itself, parses one file, writes one result file and ends. Requests come as JSON lines on stdin, and what became of
them goes to stdout.
End of input, or a parent that is gone, ends everything.

    {"id", "op": "parse"|"render", "path", "name", "out", "limits": {...}, ...}  ->  {"id", "status", "peak_kb"}
    {"kill": id}

Beside the result, in a file named `progress`, a request tells how many pages it has recognised: b"3 20".
"""

from __future__ import annotations

import errno
import gc
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ingest.confinement import die_with, drop_capabilities, grant_cpu_s, leave_network, limit, restrict_files
from ingest.errors import is_full

OUT_OF_MEMORY: Final = 86  # exit status of a request that met its limit in an orderly way
TOO_MUCH_OUTPUT: Final = 87
PROGRESS: Final = "progress"  # file in the folder of the result
_POLL_S: Final = 2.0


def main() -> int:
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the parent's to handle
    leave_network()
    folder = os.environ.get("TMPDIR", "")
    from ingest import pdf

    prepared = False
    os.chdir(folder or "/")
    wake_read, wake_write = os.pipe()
    for end in (wake_read, wake_write):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    _say({"ready": os.getpid()})
    work = {"parse": _parse, "render": _render}
    running: dict[int, int] = {}  # process id -> request
    buffered = b""
    try:
        while os.getppid() == parent:
            readable, _, _ = select.select([0, wake_read], [], [], _POLL_S)
            if wake_read in readable:
                os.read(wake_read, 4096)
            _reap(running)
            if 0 not in readable:
                continue
            received = os.read(0, 1 << 16)
            if not received:
                break
            *lines, buffered = (buffered + received).split(b"\n")
            for line in lines:
                request = json.loads(line)
                if "kill" in request:
                    for process, number in running.items():
                        if number == request["kill"]:
                            _kill_group(process)
                    continue
                if request["op"] == "parse" and not prepared:
                    try:
                        _prepare()
                    except Exception as error:  # says nothing about the file that is to be read
                        _say({"unprepared": f"{type(error).__name__}: {error}", "full": is_full(error)})
                        return 1
                    prepared = True
                server = os.getpid()
                process = os.fork()
                if process == 0:
                    _serve(request, work[request["op"]], (wake_read, wake_write), server)
                running[process] = request["id"]
    finally:
        for process in running:
            _kill_group(process)
        if folder:  # the parent removes it too, unless it was killed
            shutil.rmtree(folder, ignore_errors=True)
    del pdf
    return 0


def _prepare() -> None:
    """Import the readers once, for all later forks; drawing a page needs none of them, and they take seconds."""
    from ingest import parsing

    parsing.prepare()
    gc.collect()
    gc.freeze()  # a collection in a fork would write to, and so copy, every page of memory that holds an object
    if threading.active_count() != 1 or len(list(Path("/proc/self/task").iterdir())) != 1:
        print("parser: threads are running, forking is not safe", file=sys.stderr)


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _reap(running: dict[int, int]) -> None:
    for process in list(running):
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            _kill_group(process)  # whatever it may have started
            _say({"id": running.pop(process), "status": status, "peak_kb": usage.ru_maxrss})


def _kill_group(process: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(process, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _serve(
    request: dict[str, Any], work: Callable[[dict[str, Any]], bytes], wake: tuple[int, int], server: int
) -> None:
    """One request in a process of its own; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with(server)
        os.setpgid(0, 0)
        for descriptor in (*wake, 0, 1):
            os.close(descriptor)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        out = Path(request["out"])
        drop_capabilities()
        restrict_files([Path(request["path"])], [out.parent])
        tempfile.tempdir = str(out.parent)
        limit(request["limits"])
        content = work(request)
        with out.open("xb") as file:
            file.write(content)
        code = 0
    except MemoryError:
        code = OUT_OF_MEMORY
    except OSError as error:
        code = TOO_MUCH_OUTPUT if error.errno == errno.EFBIG else OUT_OF_MEMORY if error.errno == errno.ENOMEM else 1
    except BaseException as error:
        print(f"parser: {type(error).__name__}", file=sys.stderr)
    finally:
        os._exit(code)


def _parse(request: dict[str, Any]) -> bytes:
    from ingest.errors import DocumentError
    from ingest.handover import encode_document, encode_error
    from ingest.sniffing import PICTURES, ArchiveLimits, sniff

    path, name, limits = Path(request["path"]), request["name"], request["limits"]
    try:
        archive = ArchiveLimits(limits["archive_bytes"], limits["archive_ratio"])
        kind = sniff(path, name=name, archive=archive)
        progress = _teller(Path(request["out"]).with_name(PROGRESS), limits["recognition_cpu_s"])
        if kind == "pdf":
            from ingest.pdf import parse_pdf

            most = limits["recognised_pages"]
            return encode_document(parse_pdf(path, name=name, progress=progress, max_recognised_pages=most))
        if kind in PICTURES:
            from ingest.pictures import parse_picture

            return encode_document(
                parse_picture(
                    path,
                    kind,
                    name=name,
                    max_pixels=limits["picture_pixels"],
                    max_pages=limits["recognised_pages"],
                    progress=progress,
                )
            )
        from ingest.parsing import parse_file

        return encode_document(parse_file(path, kind, name=name))
    except DocumentError as error:
        return encode_error(error)


def _teller(file: Path, cpu_s: int) -> Callable[[int, int], None]:
    """Tells the parent how far recognition has come, and takes the computing time of the next page."""

    def tell(done: int, total: int) -> None:
        grant_cpu_s(cpu_s)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, b"%7d %7d" % (done, total), 0)
        finally:
            os.close(descriptor)

    return tell


def _render(request: dict[str, Any]) -> bytes:
    from ingest.errors import DocumentError
    from ingest.handover import encode_error
    from ingest.sniffing import PICTURES, ArchiveLimits, sniff

    path, page, name, limits = Path(request["path"]), request["page"], request["name"], request["limits"]
    asked = {"scale": request["scale"], "max_pixels": limits["pixels"], "name": name}
    try:
        kind = sniff(path, name=name, archive=ArchiveLimits(limits["archive_bytes"], limits["archive_ratio"]))
        if kind in PICTURES:
            from ingest.pictures import render_picture

            return b"PNG!" + render_picture(path, kind, page, **asked)
        from ingest.pdf import render_page

        return b"PNG!" + render_page(path, page, **asked)
    except DocumentError as error:
        return encode_error(error)


if __name__ == "__main__":
    sys.exit(main())
