"""Any split of the text gives the elements that json.loads gives, each as early as it can be known."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.json_stream import MAX_CHARS, ArrayReader, MalformedJson

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
objects = st.fixed_dictionaries(
    {"claims": st.lists(values, max_size=4)},
    optional={"missing": values, 'a "claims": [': values, "x": st.fixed_dictionaries({"claims": st.lists(values)})},
)


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(places)]


@given(objects, st.lists(st.integers(0, 10_000), max_size=12), st.booleans(), st.sampled_from([None, 2]), st.randoms())
def test_any_split_gives_what_json_loads_gives(
    whole: dict[str, Any], cuts: list[int], ascii_only: bool, indent: int | None, random: Any
) -> None:
    items = list(whole.items())
    random.shuffle(items)
    text = json.dumps(dict(items), ensure_ascii=ascii_only, indent=indent)
    reader = ArrayReader("claims")
    streamed = [element for piece in pieces_of(text, cuts) for element in reader.feed(piece)]
    assert streamed == whole["claims"]
    assert reader.finish() == whole


def test_an_element_is_handed_out_with_its_last_bracket() -> None:
    reader = ArrayReader("claims")
    assert reader.feed('{"claims": [{"text": "a } ] \\" b"') == []
    assert reader.feed("}") == [{"text": 'a } ] " b'}]
    assert reader.feed(', {"text": "\\ud83d') == []
    assert reader.feed('\\ude00"}') == [{"text": "😀"}]
    assert reader.feed('], "missing": null}') == []
    assert reader.finish()["missing"] is None


@given(objects, st.data())
def test_a_text_cut_anywhere_is_reported(whole: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(whole)
    reader = ArrayReader("claims")
    streamed = reader.feed(text[: data.draw(st.integers(0, len(text) - 1))])
    assert streamed == whole["claims"][: len(streamed)]
    with pytest.raises(MalformedJson):
        reader.finish()


@pytest.mark.parametrize("text", ['{"claims": [}]}', '{"claims": [{"text": nul}]}', "]", '{"claims": [1 2]}'])
def test_what_is_not_json_is_reported_at_once(text: str) -> None:
    with pytest.raises(MalformedJson):
        ArrayReader("claims").feed(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"claims": 3}', '{"claims": [1], "claims": []}', "no", "[[1]]"])
def test_another_object_is_reported_at_the_end(text: str) -> None:
    reader = ArrayReader("claims")
    reader.feed(text)
    with pytest.raises(MalformedJson):
        reader.finish()


@given(st.text(st.sampled_from('{}[]",:\\claims 1u'), max_size=60))
def test_no_text_gives_any_other_error(text: str) -> None:
    reader = ArrayReader("claims")
    try:
        for character in text:
            reader.feed(character)
        reader.finish()
    except MalformedJson:
        pass


def test_a_text_without_end_is_given_up() -> None:
    reader = ArrayReader("claims")
    with pytest.raises(MalformedJson):
        for _ in range(3):
            reader.feed("x" * (MAX_CHARS // 2))
