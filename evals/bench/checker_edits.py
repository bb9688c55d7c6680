"""How many small false edits of true claims the checker catches, and how often it refuses the claims untouched.

    python -m evals.bench.checker_edits [--split held-out] [--show] [--exact]

Reads our own paraphrases of the sample handbook; the passage alone is the quotation, nothing stands around it.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Final

from assistant.grounding import LocalChecker
from evals.edits import edits_of, names_of
from evals.intervals import wilson
from ingest.embedding import LocalEmbedder

SAMPLES: Final = Path(__file__).parents[1] / "samples"


def text_of(source: str) -> str:
    """A sample document's text, from what it was written from."""
    made_from = SAMPLES / "sources" / f"{source}.txt"
    path = made_from if made_from.exists() else SAMPLES / "documents" / source
    text = path.read_text("utf-8")
    return unescape(re.sub(r"<[^>]*>", "", text)) if path.suffix == ".html" else text


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("tuning", "held-out"), default="held-out")
    parser.add_argument("--show", action="store_true", help="print what is missed and what is refused wrongly")
    parser.add_argument("--exact", action="store_true", help="exact comparisons and coverage alone")
    arguments = parser.parse_args(argv)
    embedder = LocalEmbedder(threads=1)
    checker = LocalChecker() if arguments.exact else LocalChecker(lambda: embedder)
    with (SAMPLES / "paraphrases.jsonl").open(encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["split"] == arguments.split]
    caught: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        passage = row["passage"]
        verdict = checker.check(row["claim"], [passage], around=[])
        caught["untouched"].append(not verdict.supported)
        if arguments.show and not verdict.supported:
            print(f"refused: {row['claim']} | {passage} | {verdict.reason}")
        for edited in edits_of(row["claim"], passage, names_of(text_of(row["source"]))):
            verdict = checker.check(edited.claim, [passage], around=[])
            caught[edited.kind].append(not verdict.supported)
            if arguments.show and verdict.supported:
                print(f"missed {edited.kind}: {edited.claim} | {passage}")
    for kind, found in caught.items():
        interval = wilson(sum(found), len(found)) or (0.0, 1.0)
        word = "false alarms" if kind == "untouched" else "caught"
        print(f"{kind:<11} {word} {sum(found):>3} of {len(found):>3}: {sum(found) / len(found):.3f} {interval}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
