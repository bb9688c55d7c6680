"""How many small false edits of true claims the checker catches, and how often it refuses the claims untouched.

    python -m evals.bench.checker_edits [--split held-out] [--written] [--show] [--exact]

Reads our own paraphrases of the sample handbook, each edited by rule; the passage alone is the quotation, nothing
stands around it. With --written: edited_claims.jsonl, whose true and false claims were both written by hand, on
invented documents of other trades, with the headings that stand above the passage.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any, Final

from assistant.grounding import LocalChecker
from evals.edits import edits_of, names_of
from evals.intervals import wilson
from ingest.embedding import LocalEmbedder

Case = tuple[str, str, str, list[str]]  # kind of edit, claim, passage, what stands around it
UNTOUCHED: Final = "untouched"
SAMPLES: Final = Path(__file__).parents[1] / "samples"


def text_of(source: str) -> str:
    """A sample document's text, from what it was written from."""
    made_from = SAMPLES / "sources" / f"{source}.txt"
    path = made_from if made_from.exists() else SAMPLES / "documents" / source
    text = path.read_text("utf-8")
    return unescape(re.sub(r"<[^>]*>", "", text)) if path.suffix == ".html" else text


def edited(split: str) -> Iterator[Case]:
    """Each paraphrase as it is, and with one edit of each kind."""
    for row in _rows("paraphrases.jsonl", split):
        passage = row["passage"]
        yield UNTOUCHED, row["claim"], passage, []
        for one in edits_of(row["claim"], passage, names_of(text_of(row["source"]))):
            yield one.kind, one.claim, passage, []


def written(split: str) -> Iterator[Case]:
    """Each claim written by hand, the false ones by what is wrong in them."""
    for row in _rows("edited_claims.jsonl", split):
        passage, around = row["passage"], [f"{row['around']}\n{row['passage']}"]
        for claim in row["true"]:
            yield UNTOUCHED, claim, passage, around
        for one in row["false"]:
            yield one["kind"], one["claim"], passage, around


def _rows(file: str, split: str) -> list[dict[str, Any]]:
    with (SAMPLES / file).open(encoding="utf-8") as lines:
        return [row for row in map(json.loads, lines) if row["split"] == split]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("tuning", "held-out"), default="held-out")
    parser.add_argument("--written", action="store_true", help="claims that were edited by hand")
    parser.add_argument("--show", action="store_true", help="print what is missed and what is refused wrongly")
    parser.add_argument("--exact", action="store_true", help="exact comparisons and coverage alone")
    arguments = parser.parse_args(argv)
    embedder = LocalEmbedder(threads=1)
    checker = LocalChecker() if arguments.exact else LocalChecker(lambda: embedder)
    caught: dict[str, list[bool]] = defaultdict(list)
    for kind, claim, passage, around in (written if arguments.written else edited)(arguments.split):
        verdict = checker.check(claim, [passage], around=around)
        caught[kind].append(not verdict.supported)
        if arguments.show and verdict.supported != (kind == UNTOUCHED):
            print(f"{'refused' if kind == UNTOUCHED else 'missed'} {kind}: {claim} | {passage} | {verdict.reason}")
    for kind, found in caught.items():
        interval = wilson(sum(found), len(found)) or (0.0, 1.0)
        word = "false alarms" if kind == UNTOUCHED else "caught"
        print(f"{kind:<11} {word} {sum(found):>3} of {len(found):>3}: {sum(found) / len(found):.3f} {interval}")
    four = [one for kind in ("number", "date", "name", "negation") for one in caught[kind]]
    print(f"numbers, dates, names and negations together: {sum(four)} of {len(four)}: {sum(four) / len(four):.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
