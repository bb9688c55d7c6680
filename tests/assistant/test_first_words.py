"""Names at the start of a sentence, told by the shipped encoder."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.first_words import is_name, packed
from assistant.grounding import LocalChecker
from ingest.embedding import LocalEmbedder

EMBEDDER = LocalEmbedder(threads=1)


@pytest.mark.parametrize(
    ("claim", "named"),
    [
        ("Moreau stands in for the caretaker.", True),
        ("Belgium pays the pensions of its teachers.", True),
        ("Students pay half of the fee.", False),
        ("Gloves must be worn at the lathe.", False),
        ("Smoking is forbidden in the hall.", False),
        ("Toujours fermé.", False),  # nothing English about it: not read
    ],
)
def test_a_first_word_is_a_name_by_what_it_does_in_its_sentence(claim: str, named: bool) -> None:
    assert is_name(claim, (0, claim.index(" ")), EMBEDDER) is named


def test_a_name_swapped_at_the_start_refuses_the_claim() -> None:
    checker = LocalChecker(lambda: EMBEDDER)
    quote = "Rehearsals are led by Imre Vadas."
    assert checker.check("Vadas leads the rehearsals.", [quote], around=[]).supported
    refused = checker.check("Moreau leads the rehearsals.", [quote], around=[])
    assert not refused.supported
    assert "'Moreau'" in refused.reason


def test_another_encoder_says_nothing_of_names() -> None:
    class Other:
        def embed_passages(self, texts: object, spans: object) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
            return np.ones((1, 8), np.float32), [np.ones((1, 8), np.float32)]

    assert not is_name("Moreau stands in for the caretaker.", (0, 6), Other())


def test_weights_are_packed_as_they_are_read() -> None:
    import base64

    weights = np.array([0.5, -1.25, 3.0])
    assert np.frombuffer(base64.b85decode(packed(weights)), np.float16).tolist() == weights.tolist()
