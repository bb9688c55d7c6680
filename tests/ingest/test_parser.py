"""The parser's process: reasons, limits, isolation, and that it ends with whoever started it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docx
import psutil
import pytest
from reportlab.pdfgen.canvas import Canvas

from ingest.errors import DocumentError, Reason
from ingest.parser import Parser, ParserLimits

MB = 1 << 20


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser(ParserLimits(memory_bytes=1200 * MB)) as opened:
        yield opened


@pytest.fixture(scope="module")
def long_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text that takes many seconds to read."""
    choose = random.Random(1)
    words = ["".join(choose.choices("abcdefghijklmnop", k=choose.randint(2, 9))) for _ in range(20_000)]
    paragraphs = (" ".join(choose.choices(words, k=60)).capitalize() + "." for _ in range(30_000))
    file = tmp_path_factory.mktemp("long") / "long.txt"
    file.write_text("\n\n".join(paragraphs), encoding="utf-8")
    return file


def reason_of(parser: Parser, file: Path) -> Reason:
    with pytest.raises(DocumentError) as failed:
        parser.parse(file, name=file.name)
    assert repr(file.name) in failed.value.detail
    assert failed.value.detail.endswith(".")
    return failed.value.reason


def eventually(holds: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


def working(pid: int | None) -> list[psutil.Process]:
    """The processes of requests under way."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children()
    return []


def write(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def pdf(file: Path, *, password: str | None = None, text: str = "Leave is granted on request.") -> Path:
    from reportlab.lib.pdfencrypt import StandardEncryption

    canvas = Canvas(str(file), encrypt=StandardEncryption(password, "owner") if password else None)
    canvas.drawString(72, 700, text)
    canvas.save()
    return file


def test_the_whole_way_there_and_back(parser: Parser, tmp_path: Path) -> None:
    document = parser.parse(pdf(tmp_path / "a.pdf"), name="hr/leave.pdf")
    assert document.text == "Leave is granted on request."
    assert document.media_type == "application/pdf" and document.page_count == 1
    assert document.pages[0].boxes.shape == (len(document.text), 4) and document.pages[0].boxes.any()
    assert parser.render_page(tmp_path / "a.pdf", 1, scale=1.0).startswith(b"\x89PNG")


def word_bomb(file: Path) -> Path:
    docx.Document().save(str(file))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/more.xml", b"\0" * (64 * MB))
    return file


def pdf_bomb(file: Path) -> Path:
    """A page whose content unpacks, twice, to more than the process may have."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(b" " * (16 * MB)) + packer.flush(zlib.Z_FULL_FLUSH)  # may be repeated as it is
    stream = zlib.compress(b"\x78\xda" + block * 160 + b"\x03\x00" + b"\0" * 4)
    head = (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Length " + str(len(stream)).encode() + b"/Filter[/FlateDecode/FlateDecode]>>stream\n"
    )
    return write(file, head + stream + b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: write(folder / "a.txt", b""), "empty"),
        (lambda folder: write(folder / "a.txt", b" \n.\n"), "empty"),
        (lambda folder: write(folder / "a.pdf", b"\x7fELF" + b"\0" * 99), "unsupported_type"),
        (lambda folder: write(folder / "a.zip", b"PK\x05\x06" + b"\0" * 18), "unsupported_type"),
        (lambda folder: pdf(folder / "a.pdf", password="secret"), "encrypted"),
        (lambda folder: write(folder / "a.pdf", pdf(folder / "b.pdf").read_bytes()[:200]), "corrupt"),
        (lambda folder: write(folder / "a.docx", b"PK\x03\x04 torn"), "corrupt"),
        (lambda folder: write(folder / "a.json", b"{" + b"\n"), "corrupt"),
        (lambda folder: write(folder / "a.json", b"[" * 200_000), "unsafe"),
        (lambda folder: write(folder / "a.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "unsafe"),
        (lambda folder: write(folder / "a.html", b"<div>" * 50_000 + b"deep"), "unsafe"),
        (lambda folder: word_bomb(folder / "a.docx"), "unsafe"),
        (lambda folder: pdf_bomb(folder / "a.pdf"), "unsafe"),
    ],
)
def test_every_failure_is_a_reason_in_words(
    parser: Parser, tmp_path: Path, make: Callable[[Path], Path], reason: Reason
) -> None:
    assert reason_of(parser, make(tmp_path)) == reason


def test_a_file_that_is_not_there_or_no_file(parser: Parser, tmp_path: Path) -> None:
    assert reason_of(parser, tmp_path / "nowhere.txt") == "unreadable"
    os.mkfifo(tmp_path / "pipe.txt")
    assert reason_of(parser, tmp_path / "pipe.txt") == "unsupported_type"


def test_too_many_bytes_are_refused_before_reading(tmp_path: Path) -> None:
    with Parser(ParserLimits(max_file_bytes=10)) as small:
        assert reason_of(small, write(tmp_path / "a.txt", b"eleven bytes")) == "too_large"
        assert small.pid is None


def test_too_much_memory_is_too_large(tmp_path: Path) -> None:
    with Parser(ParserLimits(memory_bytes=700 * MB)) as small:
        assert reason_of(small, write(tmp_path / "a.txt", b"words and words. " * (8 * MB))) == "too_large"
        assert small.parse(write(tmp_path / "b.txt", b"A small text."), name="b.txt").text == "A small text."


def test_too_much_output_is_too_large(tmp_path: Path) -> None:
    with Parser(ParserLimits(file_size_bytes=1000)) as small:
        assert reason_of(small, write(tmp_path / "a.txt", b"words and words. " * 100)) == "too_large"


def test_too_much_computing_is_a_timeout(long_text: Path) -> None:
    with Parser(ParserLimits(cpu_s=1, cpu_s_per_mb=0)) as small:
        assert reason_of(small, long_text) == "timeout"


def test_too_long_a_wait_is_a_timeout_and_leaves_no_process(long_text: Path) -> None:
    with Parser(ParserLimits(wall_s=0.5, wall_s_per_mb=0)) as small:
        started = time.monotonic()
        assert reason_of(small, long_text) == "timeout"
        assert time.monotonic() - started < 30
        assert eventually(lambda: not working(small.pid))


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGKILL, "too_large"),
        (signal.SIGSEGV, "unsafe"),
        (signal.SIGABRT, "unsafe"),
        (signal.SIGXCPU, "timeout"),
    ],
)
def test_how_a_request_died_tells_the_reason(
    parser: Parser, long_text: Path, tmp_path: Path, number: signal.Signals, reason: Reason
) -> None:
    parser.parse(write(tmp_path / "a.txt", b"Warm."), name="a.txt")
    server = parser.pid
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reason_of, parser, long_text)
        assert eventually(lambda: bool(working(server)))
        time.sleep(0.3)
        working(server)[0].send_signal(number)
        assert waiting.result(30) == reason
    assert parser.pid == server  # only the request died


def test_a_killed_server_is_replaced(parser: Parser, long_text: Path, tmp_path: Path) -> None:
    small = write(tmp_path / "a.txt", b"Still here.")
    parser.parse(small, name="a.txt")
    server = parser.pid
    assert server is not None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reason_of, parser, long_text)
        assert eventually(lambda: bool(working(server)))
        request = working(server)[0]
        os.kill(server, signal.SIGKILL)
        assert waiting.result(30) == "corrupt"
    assert eventually(lambda: not request.is_running() or request.status() == psutil.STATUS_ZOMBIE)
    assert parser.parse(small, name="a.txt").text == "Still here."
    assert parser.pid != server


def test_many_threads_at_once(parser: Parser, tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n}.txt", f"Text number {n} of many.".encode()) for n in range(12)]
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda file: parser.parse(file, name=file.name).text, files))
    assert texts == [f"Text number {n} of many." for n in range(12)]


def test_the_parser_gets_no_secrets_and_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTH_DATABASE_URL", "postgresql://someone:hunter2@db/quoth")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    file = write(tmp_path / "a.txt", b"Some words.")
    with Parser() as opened:
        opened.parse(file, name="a.txt")
        process = psutil.Process(opened.pid)
        assert "hunter2" not in repr(process.environ())
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
        assert process.num_threads() == 1
        assert [path.name for path in tmp_path.rglob("result*")] == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_the_parser_has_no_network(parser: Parser, tmp_path: Path) -> None:
    parser.parse(write(tmp_path / "a.txt", b"Warm."), name="a.txt")
    inside, outside = (Path(f"/proc/{pid}/ns/net").readlink() for pid in (parser.pid, os.getpid()))
    if inside == outside:
        pytest.skip("this system lets the parser make no network namespace of its own")
    interfaces = Path(f"/proc/{parser.pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


PARENT = """
import sys, threading, time
from pathlib import Path
from ingest.parser import Parser
parser = Parser()
threading.Thread(target=lambda: parser.parse(Path(sys.argv[1]), name="long.txt"), daemon=True).start()
while parser.pid is None:
    time.sleep(0.05)
print(parser.pid, flush=True)
time.sleep(600)
"""


def test_kill_9_of_the_parent_ends_all(long_text: Path, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(long_text)],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert parent.stdout is not None
    server = psutil.Process(int(parent.stdout.readline()))
    assert eventually(lambda: bool(server.children()), 60)
    request = server.children()[0]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for process in (server, request):
        assert eventually(lambda process=process: not process.is_running() or process.status() == "zombie")  # type: ignore[misc]
    assert eventually(lambda: not list(tmp_path.iterdir()))


def test_the_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", b"Some words.")
    with Parser() as opened:
        thread = threading.Thread(target=lambda: opened.parse(file, name="a.txt"))
        thread.start()
        thread.join()
        server = opened.pid
        time.sleep(0.3)
        assert opened.parse(file, name="a.txt").text == "Some words."
        assert opened.pid == server


def test_this_process_never_loads_unstructured(parser: Parser, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ingest.parser import Parser\n"
        f"with Parser() as p: p.parse(Path({str(write(tmp_path / 'a.md', b'# Words'))!r}), name='a.md')\n"
        "bad = {'unstructured', 'spacy', 'pypdfium2'} & set(sys.modules); sys.exit(f'loaded {bad}' if bad else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
