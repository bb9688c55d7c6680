"""What a confined process can no longer do. Each test confines a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def confined(code: str, *arguments: object) -> str:
    """What a fresh process prints."""
    command = [sys.executable, "-c", "import os, sys\nfrom pathlib import Path\n" + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


FILES = """
from ingest.confinement import drop_capabilities, restrict_files
given, other, folder = map(Path, sys.argv[1:])
drop_capabilities()
if not restrict_files([given], [folder]):
    sys.exit(print("unsupported"))
def tried(act):
    try:
        act()
        return "done"
    except PermissionError:
        return "refused"
import wave  # Python's own modules can still be loaded
print(tried(given.read_bytes), tried(other.read_bytes), tried(lambda: given.write_bytes(b"x")),
      tried(lambda: (folder / "new").write_bytes(b"x")), tried(lambda: (other.parent / "new").write_bytes(b"x")),
      tried(lambda: list(other.parent.iterdir())), tried(Path(f"/proc/{os.getppid()}/environ").read_bytes))
"""


def test_only_the_named_files_can_be_opened(tmp_path: Path) -> None:
    given, other, folder = tmp_path / "given.pdf", tmp_path / "other.pdf", tmp_path / "out"
    given.write_bytes(b"given")
    other.write_bytes(b"other")
    folder.mkdir()
    told = confined(FILES, given, other, folder)
    if told == "unsupported":
        pytest.skip("this kernel has no Landlock")
    assert told == "done refused refused done refused refused refused"
    assert given.read_bytes() == b"given"


def test_capabilities_are_gone() -> None:
    told = confined(
        "from ingest.confinement import drop_capabilities\n"
        "drop_capabilities()\n"
        "lines = dict(l.split(':\\t') for l in Path('/proc/self/status').read_text().splitlines() if ':\\t' in l)\n"
        "print(int(lines['CapEff'], 16), int(lines['CapPrm'], 16), lines['NoNewPrivs'])"
    )
    assert told == "0 0 1"


def test_without_network_even_this_machine_is_out_of_reach() -> None:
    told = confined(
        "import socket\nfrom ingest.confinement import leave_network\n"
        "server = socket.create_server(('127.0.0.1', 0))\nplace = server.getsockname()\n"
        "if not leave_network(): sys.exit(print('unsupported'))\n"
        "try:\n    socket.create_connection(place, 2); print('reached')\n"
        "except OSError as error: print('refused')\n"
        "Path(os.environ.get('TMPDIR', '/tmp'), f'quoth-confined-{os.getpid()}').write_text('files can be written')\n"
        "Path(os.environ.get('TMPDIR', '/tmp'), f'quoth-confined-{os.getpid()}').unlink()\n"
    )
    if told == "unsupported":
        pytest.skip("this system allows no network namespace")
    assert told == "refused"


def test_limits_hold() -> None:
    told = confined(
        "from ingest.confinement import limit\n"
        "limit({'memory_bytes': 1 << 30, 'cpu_s': 5, 'file_size_bytes': 1000, 'open_files': 20})\n"
        "try:\n    bytearray(2 << 30)\nexcept MemoryError: print('memory')\n"
        "try:\n    [open('/dev/null') for _ in range(30)]\nexcept OSError: print('files')\n"
    )
    assert told.split() == ["memory", "files"]
