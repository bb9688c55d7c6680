"""A language model that needs no download: words, sentences, and which words are verbs, in time linear in the text."""

from __future__ import annotations

import re
from typing import Final

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab

_VERBS: Final = frozenset(
    re.findall(
        r"[a-z]+",
        """
        am is are was were be been being have has had do does did done can could will would shall should may might
        must go goes went gone get gets got make makes made take takes took taken give gives gave given see sees saw
        seen know knows knew known think thinks thought come comes came find finds found say says said tell tells told
        use uses show shows shown need needs want wants become becomes became keep keeps kept let lets put puts run
        runs ran read reads write writes wrote written hold holds held bring brings brought begin begins began work
        works call calls ask asks try tries leave leaves left mean means meant set sets meet meets met pay pays paid
        include includes provide provides contain contains require requires allow allows apply applies remain remains
        follow follows send sends sent receive receives help helps seem seems feel feels felt turn turns start starts
        stop stops open opens close closes add adds live lives believe believes happen happens stand stands stood lose
        loses lost win wins won grow grows grew speak speaks spoke buy buys bought sell sells sold spend spends spent
        build builds built choose chooses chose
        """,
    )
)
_VERB_ENDING: Final = re.compile(r"(ed|ing|ize|ise|ized|ised|ify|ifies)$")
_TOKEN: Final = re.compile(
    r"(?:[^\W\d_]\.){2,8}"  # e.g.
    r"|\w+(?:[.,:'’@/-]\w+)*"  # words, numbers, addresses
    r"|([^\w\s])\1{0,39}"  # a ruler is cut into pieces of equal characters
    r"|\s+"
)


class LinearTokenizer:
    """Words and runs of equal punctuation. spaCy's own takes thousands of marks in a row off one by one, which is
    quadratic: 20 kB of asterisks took it a minute."""

    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab

    def __call__(self, text: str) -> Doc:
        words: list[str] = []
        spaces: list[bool] = []
        for match in _TOKEN.finditer(text):
            piece = match[0]
            if piece.isspace():
                if words and piece[0] == " " and not spaces[-1]:
                    spaces[-1] = True
                    piece = piece[1:]
                if not piece:
                    continue
            words.append(piece)
            spaces.append(False)
        return Doc(self._vocab, words=words, spaces=spaces)


@Language.component("quoth_verbs")
def _tag_verbs(doc: Doc) -> Doc:
    for token in doc:
        word = token.lower_
        verb = word in _VERBS or (len(word) > 4 and _VERB_ENDING.search(word) is not None)
        token.tag_ = "VB" if verb else "NN"
    return doc


def blank_english() -> Language:
    """A pipeline of sentence ends and a list of common verbs: all that telling prose from titles asks for."""
    model = spacy.blank("en")
    model.tokenizer = LinearTokenizer(model.vocab)
    model.add_pipe("sentencizer")
    model.add_pipe("quoth_verbs")
    model.max_length = 20_000_000
    return model
