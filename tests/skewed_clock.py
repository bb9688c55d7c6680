"""Real processes whose clock is wrong: what Python tells them of the time of day is shifted, from their first line on.

Only this is: the kernel's times of files, the seconds that pass (monotonic) and the database go right.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SHIFT = """
import ctypes, datetime, gc, os, time

ahead_s = float(os.environ["TEST_CLOCK_AHEAD_S"])
right_time, right_now = time.time, datetime.datetime.now
time.time = lambda: right_time() + ahead_s
time.time_ns = lambda: int((right_time() + ahead_s) * 1e9)
ahead = datetime.timedelta(seconds=ahead_s)


def put(kind, **methods):  # classes written in C let nobody change them, but for their dictionary
    gc.get_referents(kind.__dict__)[0].update({name: classmethod(one) for name, one in methods.items()})
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


put(
    datetime.datetime,
    now=lambda cls, tz=None: right_now(tz) + ahead,
    utcnow=lambda cls: right_now(datetime.UTC).replace(tzinfo=None) + ahead,
    today=lambda cls: right_now() + ahead,
)
put(datetime.date, today=lambda cls: (right_now() + ahead).date())
"""


def skewed(environ: dict[str, str], folder: Path, *, ahead_s: float) -> dict[str, str]:
    """The environment of a Python process whose clock goes ahead, or behind where negative."""
    (folder / "sitecustomize.py").write_text(SHIFT, encoding="utf-8")
    path = os.pathsep.join([str(folder), environ.get("PYTHONPATH", "") or str(Path.cwd())])
    return {**environ, "PYTHONPATH": path, "TEST_CLOCK_AHEAD_S": str(ahead_s)}


def said_by(environ: dict[str, str], script: str, *arguments: str, timeout_s: float = 180) -> str:
    """What a script prints."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=environ, capture_output=True, text=True, timeout=timeout_s,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
