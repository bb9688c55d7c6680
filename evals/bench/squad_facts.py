"""Facts out of SQuAD 1.1: questions whose answer stands where their "who" or "which" does, said as a sentence.

"Which river crosses Fresno?" with the answer "the San Joaquin" becomes "The San Joaquin crosses Fresno." People asked
the questions in words of their own, so that the claims are paraphrases that nobody here has written. Wrong forms are
made by evals/edits.py. The paragraphs are read, never copied into the project.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any, Final

from evals.bench.invented_facts import Corpus, Fact, WrongClaim
from evals.edits import edits_of, names_of
from ingest.sentences import sentence_spans

KINDS: Final = ("number", "date", "name", "unit", "negation")
# Where a verb follows at once, the question's subject is what is asked for.
_BE: Final = "was|were|is|are|has|had|can"
_SUBJECT: Final = re.compile(
    rf"(?:Who|What|(?:What|Which)(?: (?!(?:{_BE}|do|does|did)\b)[a-z]+){{1,2}}) "
    rf"(?=(?:{_BE}|became|made|won|led|[a-z]+ed) (?:the|a|an|in|by|to|at|on|from|[a-z]+ed)\b)"
    r"(?!.* (?:in|of|to|for|on|after|as|by|with|from|at)\?$)"  # that ask for something else
)
_ENTITY: Final = re.compile(r"[A-Z\d]")
_MOST_QUOTED: Final = 500  # characters of a sentence


def squad_corpus(file: Path, questions: int, *, seed: int = 1) -> Corpus:
    """Paragraphs of the file with at least one such question each, until there are enough.

    Raises:
        OSError, ValueError: the file is not readable as SQuAD 1.1.
    """
    data = json.loads(file.read_text("utf-8"))["data"]
    paragraphs = [(article["title"], paragraph) for article in data for paragraph in article["paragraphs"]]
    random.Random(seed).shuffle(paragraphs)
    texts: dict[str, str] = {}
    facts: list[Fact] = []
    for number, (title, paragraph) in enumerate(paragraphs):
        if len(facts) >= questions:
            break
        name = f"{number:04}-{re.sub(r'[^a-z]+', '-', title.lower())}.txt"
        found = [fact for one in paragraph["qas"] if (fact := _fact(name, one, paragraph["context"])) is not None]
        if found:
            texts[name] = f"{title.replace('_', ' ')}\n\n{paragraph['context']}\n"
            facts.extend(found)
    return Corpus(texts, tuple(facts[:questions]))


def _fact(document: str, row: dict[str, Any], context: str) -> Fact | None:
    question = " ".join(row["question"].split())
    subject = _SUBJECT.match(question)
    answer = row["answers"][0]
    if subject is None or not question.endswith("?") or not _ENTITY.search(answer["text"]):
        return None
    claim = f"{answer['text'][:1].upper()}{answer['text'][1:]} {question[subject.end() : -1].strip()}."
    at = answer["answer_start"]
    span = next(((start, end) for start, end in sentence_spans(context, 0, len(context)) if start <= at < end), None)
    if span is None or at + len(answer["text"]) > span[1] or span[1] - span[0] > _MOST_QUOTED:
        return None
    sentence = context[slice(*span)].strip()
    wrong = tuple(
        WrongClaim(one.kind, one.claim) for one in edits_of(claim, sentence, names_of(context)) if one.kind in KINDS
    )
    return Fact(document, question, sentence, claim, wrong) if wrong else None
