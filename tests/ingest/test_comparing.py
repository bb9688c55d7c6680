"""What changed between two texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.comparing import MOST_PARAGRAPHS, apply, compare

WORDS = st.lists(st.sampled_from(["leave", "is", "20", "24", "weeks", "paid", ".", "\u00e9t\u00e9", "\n"]), max_size=12)
TEXTS = st.one_of(
    st.lists(WORDS.map(" ".join), max_size=12).map("\n\n".join),
    st.text(st.sampled_from("ab \n\t.\u2028"), max_size=60),
)


@given(TEXTS, TEXTS)
def test_applying_the_changes_to_the_old_text_gives_the_new_one(old: str, new: str) -> None:
    assert apply(old, new, compare(old, new)) == new


@given(TEXTS, TEXTS)
def test_changes_cover_both_texts_and_tell_the_truth(old: str, new: str) -> None:
    changes = compare(old, new)
    assert "".join(old[slice(*change.old)] for change in changes) == old
    assert "".join(new[slice(*change.new)] for change in changes) == new
    for change in changes:
        one, other = old[slice(*change.old)], new[slice(*change.new)]
        assert {
            "same": one == other and one != "",
            "added": one == "" and other != "",
            "removed": one != "" and other == "",
            "changed": one != other,
        }[change.kind]
        if change.kind == "changed":
            assert "".join(piece.text for piece in change.pieces if piece.kind != "added") == one
            assert "".join(piece.text for piece in change.pieces if piece.kind != "removed") == other


@given(TEXTS)
def test_a_text_is_the_same_as_itself(text: str) -> None:
    assert {change.kind for change in compare(text, text)} <= {"same"}


def test_a_changed_number_is_told_word_by_word() -> None:
    old = "Parental leave\n\nParental leave is 16 weeks, fully paid.\n\nAsk the HR office."
    new = "Parental leave\n\nParental leave is 20 weeks, fully paid.\n\nAsk the HR office."
    changes = compare(old, new)
    assert [change.kind for change in changes] == ["same", "changed", "same"]
    assert [(piece.kind, piece.text) for piece in changes[1].pieces if piece.kind != "same"] == [
        ("removed", "16"),
        ("added", "20"),
    ]


def test_a_paragraph_put_between_leaves_its_neighbours_as_they_are() -> None:
    changes = compare("One.\n\nTwo.\n\nThree.", "One.\n\nNew here.\n\nTwo.\n\nThree.")
    assert [change.kind for change in changes] == ["same", "added", "same", "same"]


def test_a_text_too_long_to_be_aligned_is_told_as_replaced() -> None:
    old = "\n\n".join(f"Paragraph {n} of the old text." for n in range(MOST_PARAGRAPHS + 1))
    new = "\n\n".join(f"Quite another line {n}." for n in range(MOST_PARAGRAPHS + 1))
    changes = compare(old, new)
    assert {change.kind for change in changes} == {"removed", "added"}
    assert apply(old, new, changes) == new


def test_an_amount_or_a_time_changes_as_a_whole() -> None:
    (change,) = compare("Lunch costs 6.50 euros from 11:30.", "Lunch costs 7.20 euros from 11:15.")
    changed = [piece.text for piece in change.pieces if piece.kind != "same"]
    assert changed == ["6.50", "7.20", "11:30", "11:15"]
