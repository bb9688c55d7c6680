"""How many follow-up questions find their passage: as asked, with what the rule carries over, and asked in full.

    python -m evals.bench.followups [FOLLOWUPS.jsonl] [--collection NAME] [-k 5] [--misses]

A case is one of `evals.cases` with `turns`, and "standalone": the question as somebody would ask it who leans on
nothing. Searches the store of QUOTH_HOME or QUOTH_DATABASE_URL (`quoth up --sample` loads the samples). A case counts
as found when a hit among the first k holds all of a gold quote. With QUOTH_MODELS set, the first model's form of the
question is measured too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from assistant.bootstrap import Quoth, open_quoth
from assistant.errors import ModelError, ModelMisconfigured
from evals.cases import Case, read_cases
from evals.gold import GoldFinder
from evals.sampling import SAMPLES
from ingest.access import LOCAL
from retrieval.standalone import standalone

FOLLOWUPS: Final = SAMPLES / "followups.jsonl"


def found_by_way(
    quoth: Quoth, cases: Path, ways: Mapping[str, Callable[[Case], str]], *, collection: str | None, k: int
) -> dict[str, dict[str, bool]]:
    """For each way of asking, whether each case's gold was found among the first k; cases without gold are left out."""
    finder = GoldFinder(quoth.catalog, collection)
    found: dict[str, dict[str, bool]] = defaultdict(dict)
    for case in read_cases(cases):
        gold = [place for one in case.gold for place in finder.locate(one).places]
        if not case.turns or not gold:
            continue
        for way, asked in ways.items():
            hits = quoth.search(asked(case), LOCAL, k=k, collection=collection).hits
            found[way][case.id] = any(
                (hit.document, hit.version) == (place.document, place.version)
                and hit.start <= place.span[0]
                and place.span[1] <= hit.end
                for place in gold
                for hit in hits
            )
    return dict(found)


def ways_of(cases: Path) -> dict[str, Callable[[Case], str]]:
    """The three ways of asking that need no model."""
    lines = (json.loads(line) for line in cases.read_text(encoding="utf-8").splitlines() if line.strip())
    in_full = {one["id"]: one["standalone"] for one in lines}
    return {
        "as asked": lambda case: case.question,
        "carried over by rule": lambda case: standalone(case.question, case.turns).text,
        "asked in full": lambda case: in_full[case.id],
    }


def by_model(quoth: Quoth) -> Callable[[Case], str]:
    """The model's form, or the rule's where the model fails: what answering does."""

    def asked(case: Case) -> str:
        assert quoth.rewording is not None
        try:
            return quoth.rewording.standalone(case.question, case.turns).text
        except (ModelError, ModelMisconfigured):
            return standalone(case.question, case.turns).text

    return asked


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, nargs="?", default=FOLLOWUPS)
    parser.add_argument("--collection")
    parser.add_argument("-k", type=int, default=5)
    parser.add_argument("--misses", action="store_true", help="name the cases that were not found")
    arguments = parser.parse_args()
    with open_quoth(os.environ) as quoth:
        ways = ways_of(arguments.cases)
        if quoth.rewording is not None:
            ways["by the model"] = by_model(quoth)
        found = found_by_way(quoth, arguments.cases, ways, collection=arguments.collection, k=arguments.k)
    for way, cases in found.items():
        missed = [id for id, held in cases.items() if not held]
        shown = f"  missed: {' '.join(missed)}" if arguments.misses and missed else ""
        print(f"{way:22}{sum(cases.values()):3} of {len(cases)} in the top {arguments.k}{shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
