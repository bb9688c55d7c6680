import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.analysis import MAX_TERM_CHARS, Analyzer

ENGLISH = Analyzer("en")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Policies apply to all employees", ["polici", "appli", "employe"]),
        ("INC-2041", ["inc-2041", "inc", "2041"]),
        ("v2.3.", ["v2.3", "v2", "3"]),
        ("getUserName", ["getusernam", "get", "user", "name"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("my_mod.load", ["my_mod.load", "my_mod", "mod", "load"]),
        ("the employee's and the employees’", ["employe", "employe"]),
        ("we don't, you can’t", []),
        ("1,234.56 and 10,000", ["1234.56", "1234", "56", "10000"]),
        ("1,2,3", ["1", "2", "3"]),
        ("ask IT, not it", ["ask", "it"]),
        ("ＦＵＬＬ ﬁle co\u00adoperate", ["full", "file", "cooper"]),
        ("東京都に行く", ["東京", "京都", "都に", "に行", "行く"]),
        ("水", ["水"]),
        ("PDF用ケース", ["pdf", "用ケ", "ケー", "ース"]),
        ("", []),
        ("- — … !", []),
    ],
)
def test_english_terms(text, terms):
    assert ENGLISH.terms(text) == terms


def test_x_frame_options_is_found_whole_and_in_parts():
    terms = ENGLISH.terms("Set X-Frame-Options.")
    assert terms[0] == "set"
    assert set(ENGLISH.terms("frame option")) <= set(terms)
    assert ENGLISH.terms("x-frame-options")[0] in terms


def test_languages():
    assert Analyzer("de").terms("Die Verträge der Häuser") == ["vertrag", "haus"]
    assert Analyzer("de-AT").terms("Häuser") == Analyzer("de").terms("Häuser")
    assert Analyzer("").terms("Policies") == ["policies"]
    assert Analyzer("hi").terms("हिन्दी भाषा")[0].startswith("हिन्द")  # not cut at its vowel signs
    assert Analyzer("fr").terms("l'employé")[-1] == Analyzer("fr").terms("employés")[0]


def test_the_version_tells_analyzers_apart():
    versions = {Analyzer(language).version for language in ("en", "de", "", "fr")}
    assert len(versions) == 4
    assert Analyzer("xx").version == Analyzer("").version


def test_accents_of_latin_letters_fold_where_no_stemmer_needs_them() -> None:
    yoruba = Analyzer("yo")
    assert yoruba.terms("orílẹ̀-èdè Ìbàdàn") == yoruba.terms("orile-ede Ibadan")
    assert ENGLISH.terms("Zürich café") == ENGLISH.terms("Zurich cafe")
    assert Analyzer("fr").terms("pêche") != Analyzer("fr").terms("péché")
    assert Analyzer("uk").terms("їжак") == ["їжак"]  # a letter of its own, not an accent


def test_capitals_say_nothing_in_a_text_of_capitals() -> None:
    shouted = "MEASUREMENT OF THE DIELECTRIC CONSTANT OF LIQUIDS BY IT"
    assert ENGLISH.terms(shouted) == ENGLISH.terms(shouted.lower())
    assert ENGLISH.terms("IT POLICY") == ["it", "polici"]


@given(st.text())
def test_terms_are_bounded_folded_and_repeatable(text):
    for analyzer in (ENGLISH, Analyzer("")):
        terms = analyzer.terms(text)
        assert all(0 < len(term) <= MAX_TERM_CHARS for term in terms)
        assert not any(character.isspace() for term in terms for character in term)
        assert analyzer.terms(text) == terms  # from the cache too
        assert len(terms) <= 3 * sum(map(len, text.split())) * 18  # NFKC makes one character into 18 at most


@given(st.lists(st.sampled_from(["leave", "Policies", "INC-2041", "the", "東京都", "v2.3", "it's"]), max_size=20))
def test_terms_of_words_are_the_terms_of_the_text(words):
    assert ENGLISH.terms(" ".join(words)) == [term for word in words for term in ENGLISH.terms(word)]


@given(
    st.sampled_from(["INC-2041", "getUserName", "X-Frame-Options", "a_b_c", "v2.3.4"]), st.sampled_from("\"'([{ ,;:.")
)
def test_punctuation_around_an_identifier_changes_nothing(word, mark):
    assert ENGLISH.terms(mark + word + mark) == ENGLISH.terms(word)


@pytest.mark.parametrize(
    "unit",
    ["a.", "aA", "_", "a'", "1,", "111,", "漢", "x", "-", "a漢", "\u0300\u0323", "ﷺ", "A", "İ", "\u200d"],
)
def test_hostile_text_takes_linear_time(unit):
    analyzer = Analyzer("en")
    took = []
    for characters in (20_000, 160_000):
        text = unit * (characters // len(unit))
        started = time.process_time()
        assert all(len(term) <= MAX_TERM_CHARS for term in analyzer.terms(text))
        took.append(time.process_time() - started)
    assert took[1] < 8 * 4 * took[0] + 0.2  # quadratic would be 64 times


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(sys.modules["ingest.analysis"], "CACHED_WORDS", 100)
    analyzer = Analyzer("en")
    terms = analyzer.terms(" ".join(f"word{i}" for i in range(1000)))
    assert len(terms) == 1000
    assert len(analyzer._cache) <= 100
