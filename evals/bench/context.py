"""What each step of assembling a context gains: gold evidence held, tokens spent, evidence per 1,000 tokens.

    python -m evals.bench.context [CASES.jsonl] [--collection NAME]
    python -m evals.bench.context --squad FOLDER [--articles 20] [--questions 240]

Searches the store of QUOTH_HOME or QUOTH_DATABASE_URL once per answerable case (of the samples, if no file is given;
`quoth up --sample` loads them) and assembles what was found in several ways. A gold quote counts as held when one
passage holds all of it. With --squad, long documents are made of its articles in a store that is thrown away, and each
step is left out in turn, on the articles alone and beside copies, older versions and planted disagreements.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from assistant.bootstrap import Quoth, open_quoth
from assistant.context import ContextSettings, assemble
from assistant.model import Context
from evals.bench.long_contexts import compare_long
from evals.bench.long_corpus import long_corpus
from evals.bench.replacing import scratch_quoth
from evals.cases import read_cases
from evals.gold import GoldFinder, LocatedGold
from evals.sampling import SAMPLES
from ingest.access import LOCAL, Reader

BARE: Final = ContextSettings(nearly_the_same=2.0, join=False, grown=0)
WAYS: Final = {
    "hits as they are": BARE,
    "and near-copies left out": replace(BARE, nearly_the_same=0.8),
    "and neighbours joined": replace(BARE, nearly_the_same=0.8, join=True),
    "and the best 1 grown": replace(BARE, nearly_the_same=0.8, join=True, grown=1),
    "and the best 3 grown": replace(BARE, nearly_the_same=0.8, join=True, grown=3),
    "and the best 3 grown by 2": replace(BARE, nearly_the_same=0.8, join=True, grown=3, reach=2),
    "as by default": ContextSettings(),
    "4 passages": replace(ContextSettings(), max_passages=4),
    "12 passages": replace(ContextSettings(), max_passages=12),
}


@dataclass(slots=True)
class Tally:
    held: int = 0
    gold: int = 0
    tokens: int = 0
    passages: int = 0
    conflicts: int = 0


def count(context: Context, gold: Sequence[LocatedGold], tally: Tally) -> None:
    for one in gold:
        tally.gold += 1
        tally.held += any(
            (passage.document, passage.version) == (place.document, place.version)
            and passage.start <= place.span[0]
            and place.span[1] <= passage.end
            for place in one.places
            for passage in context.passages
        )
    tally.tokens += context.tokens
    tally.passages += len(context.passages)
    tally.conflicts += len(context.conflicts)


def compare(quoth: Quoth, cases: Path, collection: str | None) -> None:
    finder = GoldFinder(quoth.catalog, collection)
    tallies = {name: Tally() for name in WAYS}
    asked = 0
    for case in read_cases(cases):
        gold = [finder.locate(one) for one in case.gold]
        gold = [one for one in gold if one.places]
        if not case.answerable or not gold:
            continue
        asked += 1
        reader = LOCAL if case.groups is None else Reader("case", frozenset(case.groups))
        found = quoth.search(case.question, reader, k=16, collection=collection)
        for name, settings in WAYS.items():
            context = assemble(found.hits, reader, quoth.surroundings, quoth.embedder.count_tokens, settings)
            count(context, gold, tallies[name])
    print(f"{asked} answerable cases")
    print(f"{'':28}{'held':>8}{'tokens':>9}{'passages':>10}{'held / 1,000 tokens':>21}{'marked conflicts':>18}")
    for name, tally in tallies.items():
        share = tally.held / max(tally.gold, 1)
        density = 1000 * tally.held / max(tally.tokens, 1)
        print(
            f"{name:28}{share:8.1%}{tally.tokens / asked:9.0f}{tally.passages / asked:10.1f}{density:21.2f}"
            f"{tally.conflicts / asked:18.2f}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, nargs="?", default=SAMPLES / "cases.jsonl")
    parser.add_argument("--collection")
    parser.add_argument("--squad", type=Path, metavar="FOLDER", help="that holds dev-2.0-part-a.json")
    parser.add_argument("--articles", type=int, default=20, help="of SQuAD, at most (20)")
    parser.add_argument("--questions", type=int, default=240, help="of SQuAD (240)")
    arguments = parser.parse_args()
    if arguments.squad:
        corpus = long_corpus(arguments.squad, articles=arguments.articles, questions=arguments.questions, seed=11)
        with scratch_quoth(os.environ) as quoth:
            compare_long(quoth, corpus)
        return 0
    with open_quoth(os.environ) as quoth:
        compare(quoth, arguments.cases, arguments.collection)
    return 0


if __name__ == "__main__":
    sys.exit(main())
