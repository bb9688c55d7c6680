"""How fast and how completely PDFs are read, against unstructured's fast strategy; how well their layout is understood.

    python -m evals.bench.pdf_reading FOLDER_OF_PDFS... [--rounds 3] [--rival-python PATH] [--at-most-pages 700]
    python -m evals.bench.pdf_reading --labelled             only the ten labelled documents
    python -m evals.bench.pdf_reading --grow FILE            cost and memory of a file's pages, repeated up to 1,000

Three processes stay open: Quoth's characters and boxes alone, Quoth as a whole, and the rival. Each is warmed with the
labelled documents; then each file is read by all three in turn, round after round, and the CPU time of each reading is
that of the reader's process and its children. Ratios are given per round with their spread. Speed counts files that
the rival finds text in; what only one of them reads is named in the table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

from evals.bench.pdf_reader import RIVAL_PACKAGES
from evals.bench.pdf_scores import Label, Scores, read_labels, scores_of

LABELS: Final = Path(__file__).parent / "pdf_labels"
WAYS: Final = ("text", "whole", "rival")
_WORD: Final = re.compile(r"[^\W\d_]{3,}")  # a page's broken or glued figures count against neither


class Reader:
    """One process that reads PDFs in one way."""

    def __init__(self, way: str, python: str) -> None:
        root = str(Path(__file__).resolve().parents[2])
        environ = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [python, "-m", "evals.bench.pdf_reader", way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environ,
        )
        first = self._answer()
        if "missing" in first:
            raise ImportError(first["missing"])

    def read(self, path: Path, *, text: bool = False) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"path": str(path.resolve()), "text": text}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The reader ended with {self._process.wait()} before it answered.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@dataclass(slots=True)
class Reading:
    """What the readers made of one file."""

    path: Path
    pages: int = 0
    letters: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    cpu_s: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in WAYS})
    words_found: float | None = None  # share of the rival's words that Quoth's text has as well
    missed: Counter[str] = field(default_factory=Counter)  # words that the rival has more often
    words: dict[str, int] = field(default_factory=dict)  # of the rival and of Quoth's text, by way

    @property
    def comparable(self) -> bool:
        return all(self.letters.get(way, 0) > 0 for way in WAYS)


def words_of(text: str) -> Counter[str]:
    """A text's words of three letters and more, with their number; hyphens at line ends undone."""
    return Counter(_WORD.findall(_joined(text).casefold()))


def words_found(wanted: Counter[str], present: Counter[str]) -> float:
    """Share of the wanted words, counted with repetition, that are present."""
    return 1 - (wanted - present).total() / max(1, wanted.total())


def _joined(text: str) -> str:
    return re.sub(r"(?<=\w)(?:-|\u00ad|\u2010)\s+(?=[a-z])|\u00ad", "", text)


def measure(paths: Sequence[Path], readers: Mapping[str, Reader], rounds: int) -> list[Reading]:
    readings = [Reading(path) for path in paths]
    for number in range(rounds):
        for at, reading in enumerate(readings):
            texts: dict[str, str] = {}
            turn = (number + at) % len(WAYS)
            for way in (*WAYS[turn:], *WAYS[:turn]):
                if way not in readers:
                    continue
                answer = readers[way].read(reading.path, text=number == 0)
                reading.cpu_s[way].append(answer["cpu_s"])
                reading.letters[way] = answer["letters"]
                if "error" in answer:
                    reading.errors[way] = answer["error"]
                elif way != "rival":
                    reading.pages = answer["pages"]
                texts[way] = "\n".join(text for _, _, text in answer.get("blocks", ()))
            if number == 0 and "rival" in texts:
                rival, own = words_of(texts["rival"]), words_of(texts["text"])
                reading.words_found, reading.missed = words_found(rival, own), rival - own
                reading.words = {"rival": rival.total(), "text": own.total()}
            print(f"\rround {number + 1}, file {at + 1} of {len(readings)} ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return readings


def report(readings: Sequence[Reading], rounds: int) -> None:
    print(
        "letters: rival, Quoth's characters, Quoth as a whole; words: share of the rival's words of three letters and "
    )
    print("more that Quoth has, and which of the two has more of them; times: ")
    print("the rival's CPU time as a multiple of Quoth's, median of the rounds\n")
    columns = f"{'words':>6} {'more':>5} {'text x':>7} {'whole x':>7}  file"
    print(f"{'pages':>5} {'rival':>9} {'text':>9} {'whole':>9} {columns}")
    for one in readings:
        times = {
            way: median(rival / max(own, 1e-6) for rival, own in zip(one.cpu_s["rival"], one.cpu_s[way], strict=True))
            for way in ("text", "whole")
            if one.comparable
        }
        shown = " ".join(f"{times[way]:7.1f}" if times else f"{'-':>7}" for way in ("text", "whole"))
        words = f"{one.words_found:6.1%}" if one.comparable and one.words_found is not None else f"{'-':>6}"
        letters = " ".join(f"{one.letters.get(way, 0):9d}" for way in ("rival", "text", "whole"))
        file = f"{one.path.parent.name}/{one.path.name}{_remark(one)}"
        print(f"{one.pages:5d} {letters} {words} {_more(one):>5} {shown}  {file}")
    counted = [one for one in readings if one.comparable]
    pages = sum(one.pages for one in counted)
    if not counted:
        return
    print(f"\n{len(counted)} of {len(readings)} files count for speed, {pages} pages; pages per CPU second by round:")
    speed = {way: [pages / sum(one.cpu_s[way][n] for one in counted) for n in range(rounds)] for way in WAYS}
    for way in WAYS:
        print(f"  {way:6} {' '.join(f'{value:8.1f}' for value in speed[way])}")
    for way in ("text", "whole"):
        ratios = [own / rival for own, rival in zip(speed[way], speed["rival"], strict=True)]
        each = [
            sum(one.cpu_s["rival"]) / max(1e-6, sum(one.cpu_s[way])) for one in counted
        ]  # a file of one page weighs as much as one of hundreds
        print(
            f"  {way:6} {mean(ratios):.1f} times the rival's pages per CPU second "
            f"({min(ratios):.1f} to {max(ratios):.1f}); median file {median(each):.1f}, slowest {min(each):.1f}"
        )
    fewer = [one for one in counted if _more(one) == "rival"]
    print(f"  {len(counted) - len(fewer)} of {len(counted)} files give at least as many words as the rival's reading")
    for one in fewer:
        most = " ".join(f"{word}:{number}" for word, number in one.missed.most_common(8))
        print(f"    fewer in {one.path.name}: {one.words['text']} of {one.words['rival']}, for instance {most}")
    only = [one for one in readings if not one.letters.get("rival") and one.letters.get("whole")]
    lost = [one for one in readings if one.letters.get("rival") and not one.letters.get("whole")]
    print(f"  read by Quoth alone: {len(only)} files; by the rival alone: {len(lost)} files")


def _more(one: Reading) -> str:
    rival, own = one.words.get("rival", 0), one.words.get("text", 0)
    return "rival" if rival > own else "Quoth" if own > rival else "same"


def _remark(one: Reading) -> str:
    if one.errors.get("whole"):
        return f"  [Quoth: {one.errors['whole'][:70]}]"
    if one.errors.get("rival"):
        return f"  [rival: {one.errors['rival'][:70]}]"
    return "" if one.letters.get("rival") else "  [rival: nothing found]"


def report_scores(labels: Sequence[Label], readers: Mapping[str, Reader]) -> None:
    """Headings, tables, order and running titles of the labelled documents, for Quoth and for the rival."""
    print(f"\nlabelled documents, {len(labels)}: recall/precision of headings, agreement of levels, recall of tables' ")
    print("cells and rows, precision of tables, order of paragraphs, running titles left out\n")
    for way in ("whole", "rival"):
        if way not in readers:
            continue
        found: list[Scores] = []
        print(f"  {'Quoth' if way == 'whole' else 'rival'}")
        for label in labels:
            answer = readers[way].read(label.path, text=True)
            scores = scores_of(label, [(c, d, t) for c, d, t in answer.get("blocks", [])])
            found.append(scores)
            print(f"    {scores}  {label.path.name}")
            for miss in scores.misses:
                print(f"        {miss}")
        print(f"    {Scores.total(found)}  all")


def grow(path: Path) -> int:
    """CPU time and peak memory for 125, 250, 500 and 1,000 pages made by repeating a file's pages."""
    for pages in (125, 250, 500, 1000):
        subprocess.run([sys.executable, "-m", "evals.bench.pdf_growth", str(path), str(pages)], check=True)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="folders that are searched for PDFs")
    parser.add_argument("--rounds", type=int, default=3, help="readings of each file (3)")
    parser.add_argument("--rival-python", default=sys.executable, help="the Python that has unstructured's PDF reader")
    parser.add_argument("--no-rival", action="store_true", help="measure Quoth alone")
    parser.add_argument("--at-most-pages", type=int, help="leave out longer files (none)")
    parser.add_argument("--labelled", action="store_true", help="only the labelled documents")
    parser.add_argument("--grow", type=Path, metavar="FILE", help="cost and memory of this file's pages, repeated")
    arguments = parser.parse_args(argv)
    if arguments.grow:
        return grow(arguments.grow)
    for folder in arguments.folders:
        if not folder.is_dir():
            print(f"{str(folder)!r} is no folder. Name folders that hold PDFs.", file=sys.stderr)
            return 2
    paths = sorted({path for folder in arguments.folders for path in folder.rglob("*.pdf")})
    if not paths and not arguments.labelled:
        print("No PDF was found. Name folders that hold some, or ask for --labelled.", file=sys.stderr)
        return 2
    readers: dict[str, Reader] = {}
    try:
        for way in WAYS:
            if way == "rival" and arguments.no_rival:
                continue
            try:
                readers[way] = Reader(way, arguments.rival_python if way == "rival" else sys.executable)
            except ImportError as error:
                print(f"The rival cannot be loaded: {error}. It needs, in a Python of its own:", file=sys.stderr)
                print("  " + "\n  ".join(RIVAL_PACKAGES), file=sys.stderr)
                print("Name that Python with --rival-python, or leave the rival out with --no-rival.", file=sys.stderr)
                return 2
        labels = read_labels(LABELS)
        for label in labels[:4]:
            for reader in readers.values():
                reader.read(label.path)
        if not arguments.labelled:
            report(measure(_short(paths, readers["text"], arguments.at_most_pages), readers, arguments.rounds),
                   arguments.rounds)  # fmt: skip
        report_scores(labels, readers)
    finally:
        for reader in readers.values():
            reader.close()
    return 0


def _short(paths: Sequence[Path], reader: Reader, most: int | None) -> list[Path]:
    if most is None:
        return list(paths)
    kept = [path for path in paths if reader.read(path).get("pages", 0) <= most]
    print(f"{len(paths) - len(kept)} files of more than {most} pages are left out.")
    return kept


if __name__ == "__main__":
    sys.exit(main())
