"""Memory and processor time of the processes of a service under load, and whether its memory stays flat."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import psutil

MOST_POINTS: Final = 400  # of a slope: all pairs are looked at


@dataclass(slots=True)
class Watched:
    """What was seen of one part: a process with all that it started."""

    at_s: list[float] = field(default_factory=list)  # since the start
    memory_mb: list[float] = field(default_factory=list)  # proportional set size
    cpu_s: list[float] = field(default_factory=list)  # used until then


class Watch:
    """Looks at named processes every so often, in a thread.

    Args:
        parts: a process by the name of the part that it is; one that ends is looked for no more.
    """

    def __init__(self, parts: Mapping[str, psutil.Process], *, every_s: float) -> None:
        self.parts: dict[str, Watched] = {name: Watched() for name in parts}
        self._processes = dict(parts)
        self._every_s = every_s
        self._over = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _look(self) -> None:
        while not self._over.wait(self._every_s):
            self.look()

    def look(self) -> None:
        for name, root in self._processes.items():
            with contextlib.suppress(psutil.Error):
                memory, cpu = measured(root, alone=name == GENERATOR)
                part = self.parts[name]
                part.at_s.append(time.monotonic() - self._started)
                part.memory_mb.append(memory)
                part.cpu_s.append(cpu)

    def shares(self, since_s: float = 0.0) -> dict[str, float]:
        """Processors that each part used on average since a moment: 1.0 is one processor all the time."""
        found = {}
        for name, part in self.parts.items():
            first = next((n for n, at in enumerate(part.at_s) if at >= since_s), None)
            if first is not None and part.at_s[-1] > part.at_s[first]:
                found[name] = (part.cpu_s[-1] - part.cpu_s[first]) / (part.at_s[-1] - part.at_s[first])
        return found

    @property
    def now_s(self) -> float:
        return time.monotonic() - self._started


GENERATOR: Final = "load generator"


def measured(root: psutil.Process, *, alone: bool = False) -> tuple[float, float]:
    """Proportional memory in MB of a process and what it started, and the processor seconds they have used.

    Args:
        alone: without what it started.
    """
    times = root.cpu_times()
    cpu = times.user + times.system + (0.0 if alone else times.children_user + times.children_system)
    memory = root.memory_full_info().pss
    for child in () if alone else root.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            memory += child.memory_full_info().pss
            own = child.cpu_times()
            cpu += own.user + own.system + own.children_user + own.children_system
    return memory / 1e6, cpu


def slope(at: Sequence[float], values: Sequence[float]) -> float:
    """The Theil-Sen slope, values per unit of `at`: the median over all pairs of points, so that a few peaks or a
    step of a moment do not pass for growth. 0 for fewer than two points.

    Source: Sen, Journal of the American Statistical Association 63, 1968.
    """
    step = max(1, len(at) // MOST_POINTS)
    x, y = np.asarray(at[::step], float), np.asarray(values[::step], float)
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] - x[first]
    rises = (y[second] - y[first])[apart > 0] / apart[apart > 0]
    return float(np.median(rises)) if rises.size else 0.0


def growth_mb(part: Watched, *, settled: float = 0.25) -> float:
    """How much memory a part would have gained over what was watched, by its slope after the first share of it."""
    first = int(len(part.at_s) * settled)
    at, memory = part.at_s[first:], part.memory_mb[first:]
    return slope(at, memory) * (at[-1] - at[0]) if len(at) > 1 else 0.0


def is_flat(part: Watched, *, free_mb: float = 20.0, share: float = 0.05) -> bool:
    """Whether it gained no more than `free_mb` and a share of its size: what caches fill up within such a time."""
    if not part.memory_mb:
        return True
    middle = float(np.median(part.memory_mb[len(part.memory_mb) // 4 :]))
    return growth_mb(part) <= free_mb + share * middle


def table(parts: Iterable[tuple[str, Watched]], shares: Mapping[str, float]) -> str:
    """For people, in Markdown."""
    lines = [
        "| Part | Processors used | Memory at first / most / last, MB | Slope, MB an hour |",
        "| --- | --- | --- | --- |",
    ]
    for name, part in parts:
        if part.memory_mb:
            first = int(len(part.at_s) * 0.25)
            hourly = slope(part.at_s[first:], part.memory_mb[first:]) * 3600
            lines.append(
                f"| {name} | {shares.get(name, 0.0):.2f} | {part.memory_mb[0]:.0f} / {max(part.memory_mb):.0f} / "
                f"{part.memory_mb[-1]:.0f} | {hourly:+.0f} |"
            )
    return "\n".join(lines)
