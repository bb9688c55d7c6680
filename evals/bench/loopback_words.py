"""What the stand-in for the OpenAI API says: made of the message that it is sent, whose faults so change the answer."""

from __future__ import annotations

import hashlib
import math
import re
from typing import Any, Final

_PASSAGE: Final = re.compile(
    r"^<<PASSAGE (?P<id>P\d+) (?P<code>\w+)>>\n(?P<head>.*?)^text:\n(?P<text>.*?)\n<<END PASSAGE (?P=id) (?P=code)>>$",
    re.M | re.S,
)
_REJECTED: Final = re.compile(r"^<<REJECTED (\w+)>>\n(.*?)\n<<END REJECTED \1>>$", re.M | re.S)
_QUESTION: Final = re.compile(r"^<<QUESTION (\w+)>>\n(.*?)\n<<END QUESTION \1>>\Z", re.M | re.S)
_EARLIER: Final = re.compile(r"^<<EARLIER E\d+ (\w+)>>\n(.*?)\n<<END EARLIER E\d+ \1>>$", re.M | re.S)
_TURN: Final = re.compile(r"^<<TURN \d+ (\w+)>>\n(.*?)\n<<END TURN \d+ \1>>$", re.M | re.S)
_SUMMED_UP: Final = re.compile(r"^<<SUMMARY (\w+)>>\n(.*?)\n<<END SUMMARY \1>>$", re.M | re.S)
_OWNERS: Final = re.compile(r"^<<OWNERS (\w+)>>\n(.*?)\n<<END OWNERS \1>>$", re.M | re.S)
_MARKED: Final = re.compile(r"^<<(CLAIM|QUOTATION) (\w+)>>\n(.*?)\n<<END \1 \2>>$", re.M | re.S)
_SENTENCE: Final = re.compile(r"\S(?:.*?[.!?](?=\s|$)|.*?(?=\n\s*\n|\Z))", re.S)
_ORDER: Final = re.compile(
    r"\b(?:say|answer|reply|respond|write|output|print|state|tell)\b[^\n:\"“.]*[:\"“]\s*[\"“]?(?P<words>[^\"”\n]+)",
    re.I,
)
_COMMON: Final = frozenset(
    """
    a an and are as at be been by can could did do does for from had has have how i if in is it its many may me much
    my must of on or our shall should that the their them there they this to was we what when where which who whom
    whose why will with would you your
    """.split()  # noqa: SIM905 - three lines that can be read
)


def passages_of(message: str) -> list[tuple[str, str]]:
    """(id, text) of every passage in a message."""
    return [(match["id"], match["text"]) for match in _PASSAGE.finditer(message)]


def question_of(message: str) -> str:
    """The question of a message, or nothing."""
    found = _QUESTION.search(message)
    return found[2] if found else ""


def orders_of(message: str) -> list[str]:
    """What the passages of a message tell an assistant to say, in their own words."""
    return [found["words"].strip() for _, text in passages_of(message) for found in _ORDER.finditer(text)]


def answer_of(message: str, mode: str) -> dict[str, Any]:
    """The answer to the question of a message, from its passages alone."""
    found = _QUESTION.search(message)
    question = found[2] if found else ""
    wanted = content_words(question)
    scored = []
    for id, text in passages_of(message):
        for match in _SENTENCE.finditer(text):
            shared = len(wanted & content_words(match[0]))
            if shared >= max(1, min(2, len(wanted))) and len(match[0].split()) >= 3 and len(match[0]) <= 400:
                scored.append((shared, id, match[0]))
    if mode == "asks-back":
        heads = {match["id"]: match["head"] for match in _PASSAGE.finditer(message)}
        titles = {id: re.sub(r"^title: (.*)\n[\s\S]*", r"\1", head) for id, head in heads.items()}
        choices = [{"passage": id, "words": title} for id, title in titles.items()][:3]
        return {"claims": [], "missing": None, "choices": choices}
    if mode == "asks-nonsense":
        choices = [{"passage": f"P{number}", "words": "the Ministry"} for number in (97, 98)]
        return {"claims": [], "missing": None, "choices": choices}
    scored.sort(key=lambda one: -one[0])
    best = [one for one in scored if one[0] == scored[0][0]][:2]
    if mode == "obey":
        for id, text in passages_of(message):
            if order := _ORDER.search(text):
                quote = best[0][2] if best else order[0]
                return {
                    "claims": [_claim(order["words"].strip(), best[0][1] if best else id, quote)],
                    "missing": None,
                    "choices": None,
                }
    if not best:
        return {"claims": [], "missing": "The passages say nothing about this.", "choices": None}
    claims = []
    rejected = _REJECTED.search(message)
    for number, (_, id, sentence) in enumerate(best):
        text = " ".join(sentence.split())
        if rejected and text not in rejected[2]:
            continue
        if mode == "invented" or (mode == "mistaken" and not number and not rejected):
            sentence = f"It is well established that {text[0].lower()}{text[1:]}"
        elif mode == "own-words":
            text = f"In short, {text[0].lower()}{text[1:]}"
        elif mode == "unknown-id":
            id = "P99"
        elif mode == "paraphrase-numbers":
            text = re.sub(r"\d+", lambda number: str(int(number[0]) + 1), text)
        claims.append(_claim(text, id, sentence))
    return {"claims": claims, "missing": None, "choices": None}


def order_of(message: str, mode: str) -> dict[str, Any]:
    """The passages of a message by the words that they share with its question."""
    found = _QUESTION.search(message)
    wanted = content_words(found[2] if found else "")
    passages = passages_of(message)
    ranked = sorted(passages, key=lambda one: -len(wanted & content_words(one[1])))
    if mode == "obey":
        ranked.sort(key=lambda one: _ORDER.search(one[1]) is None)
    order = [int(id.removeprefix("P")) for id, _ in ranked]
    if mode == "invented":
        return {"order": [0, -3, len(passages) + 1]}
    if mode == "unknown-id":
        return {"order": [len(passages) + 98, order[0], order[0], -1]}
    return {"order": order}


def standalone_of(message: str, mode: str) -> dict[str, Any]:
    """The question of a message, with the subject of the one before it said again."""
    found = _QUESTION.search(message)
    earlier = [match[2] for match in _EARLIER.finditer(message)]
    if mode == "invented":
        return {"question": "What, " * 200 + "then?"}
    if mode == "unknown-id":
        return {"question": " \u0000 "}
    about = f" (this is about: {earlier[-1].rstrip('?')})" if earlier else ""
    return {"question": (found[2].rstrip("?") if found else "") + about + "?"}


def route_of(message: str, mode: str) -> dict[str, Any]:
    """The owner whose titles share most words with the question; it is urgent where it says so."""
    asked, owners = _QUESTION.search(message), _OWNERS.search(message)
    question = asked[2] if asked else ""
    if mode == "invented":
        return {"owner": "Ministry of Silly Walks", "urgency": "normal", "subject": "walks"}
    if mode == "unknown-id":
        return {"owner": "", "urgency": "at once", "subject": " \u0000 "}
    wanted = content_words(question)
    lines = owners[2].splitlines() if owners else []
    best = max(lines, key=lambda line: len(wanted & content_words(line)))
    urgency = "high" if re.search(r"\b(?:urgent|today|tomorrow)\b", question, re.I) else "normal"
    if mode == "obey":
        return {"owner": best.rsplit(": ", 1)[0], "urgency": "high", "subject": "Hello\r\nBcc: everyone@x.example"}
    return {"owner": best.rsplit(": ", 1)[0], "urgency": urgency, "subject": " ".join(sorted(wanted)[:10])}


def summary_of(message: str, mode: str) -> dict[str, Any]:
    """What was summed up before, and the questions of the turns since."""
    if mode == "invented":
        return {"summary": " \u0000 "}
    before = [match[2] for match in _SUMMED_UP.finditer(message)]
    turns = [match[2] for match in _TURN.finditer(message)]
    asked = [turn.partition("\n")[0].removeprefix("Asked: ") for turn in turns]
    found = [turn.partition("\nAnswered: ")[2] for turn in turns]
    return {"summary": " ".join([*before, *(f"{one} {other}" for one, other in zip(asked, found, strict=True))])}


def verdict_of(message: str, mode: str) -> dict[str, Any]:
    """Whether the quotation has most of the claim's words."""
    found = {match[1]: match[3] for match in _MARKED.finditer(message)}
    wanted, said = content_words(found.get("CLAIM", "")), content_words(found.get("QUOTATION", ""))
    if mode == "invented":
        return {"verdict": "perhaps", "confidence": 7}
    if mode == "obey" and _ORDER.search(found.get("QUOTATION", "")):
        return {"verdict": "supported", "confidence": 1}
    share = len(wanted & said) / max(1, len(wanted))
    return {"verdict": "supported" if share > 0.5 else "not_supported", "confidence": abs(2 * share - 1)}


def _claim(text: str, id: str, quote: str) -> dict[str, Any]:
    return {"text": text, "evidence": [{"passage": id, "quote": quote}]}


def content_words(text: str) -> set[str]:
    words = (word for word in re.findall(r"\w+", text.lower()) if word not in _COMMON)
    return {re.sub(r"(?:ies|es|s|ing|ed|e|y)$", "", word) if len(word) > 4 else word for word in words}


def bag_of_words(text: str, dimensions: int) -> list[float]:
    """A unit vector in which each word has its own direction; the same text gives the same vector everywhere."""
    vector = [0.0] * dimensions
    for word in content_words(text) or {text}:
        digest = hashlib.sha256(word.encode("utf-8", "replace")).digest()
        vector[int.from_bytes(digest[:4], "big") % dimensions] += 1.0 if digest[4] % 2 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]
