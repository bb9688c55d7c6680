"""Memory of an idle Quoth: proportional set size of every process of one `quoth up`, after a question.

    python -m evals.bench.footprint [--settle 30]

Starts `quoth up --sample` in a folder of its own, asks one question through the command line, waits, and adds up.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from ingest import postgres


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settle", type=float, default=30.0, help="seconds of idleness before measuring (30)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quoth-footprint-") as home:
        environ = {**os.environ, "QUOTH_HOME": home}
        started = time.monotonic()
        command = [sys.executable, "-m", "ui.command", "up", "--sample", "--no-browser"]
        up = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        try:
            assert up.stdout is not None
            print(f"{up.stdout.readline().strip()} after {time.monotonic() - started:.1f} s")
            ask = [sys.executable, "-m", "ui.command", "ask", "How long is parental leave?"]
            subprocess.run(ask, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            time.sleep(arguments.settle)
            report(up.pid, postgres.status(Path(home)).pid)
        finally:
            up.terminate()
            up.wait(60)
            postgres.remove(Path(home))
    return 0


def report(up: int, server: int | None) -> None:
    """Print each process' proportional set size in MB, and the sum."""
    roots = [psutil.Process(up), *([psutil.Process(server)] if server else [])]
    processes = {one.pid: one for root in roots for one in (root, *root.children(recursive=True))}
    total = 0.0
    for process in processes.values():
        megabytes = process.memory_full_info().pss / 1e6
        total += megabytes
        print(f"{megabytes:8.1f} MB  {' '.join(process.cmdline())[:90] or process.name()}")
    print(f"{total:8.1f} MB  all {len(processes)} processes, proportional set size")


if __name__ == "__main__":
    sys.exit(main())
