import random

import pytest
from shingle_sets import shingles

from tunegate.data.similarity.overlap import Match, matches, modest_memory


def test_equal_words_are_found_whatever_their_case_and_punctuation() -> None:
    found = matches({"a": "Does the ROOF leak?"}, {"x": "something else", "y": "does the roof leak"}, threshold=0.9)
    assert found == [Match("a", "y", 1.0)]


def test_one_word_changed_in_a_long_text_is_near_and_in_a_short_one_is_not() -> None:
    long = " ".join(f"word{i}" for i in range(60))
    assert matches({"a": long}, {"x": long + " more"}, threshold=0.9)
    assert not matches({"a": "does the roof leak"}, {"x": "does the door leak"}, threshold=0.9)


def test_the_most_similar_text_is_named() -> None:
    text = " ".join(f"word{i}" for i in range(40))
    found = matches({"a": text}, {"far": text + " one two three", "near": text + " one"}, threshold=0.8)
    assert [match.right for match in found] == ["near"]


def test_texts_without_words_match_themselves_only() -> None:
    assert matches({"a": "?!", "b": ""}, {"x": "?!", "y": "#"}, threshold=0.9) == [Match("a", "x", 1.0)]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 1.0])
def test_nothing_is_missed_compared_with_every_pair(threshold: float) -> None:
    chance = random.Random(3)
    texts = [" ".join(chance.choices("abcde", k=chance.randint(1, 12))) for _ in range(120)]
    left = {f"l{i}": text for i, text in enumerate(texts[:60])}
    right = {f"r{i}": text for i, text in enumerate(texts[60:])}

    def similarity(one: str, other: str) -> float:
        a, b = shingles(one), shingles(other)
        return round(len(a & b) / len(a | b), 6)

    best = {key: max(similarity(text, other) for other in right.values()) for key, text in left.items()}
    found = {match.left: match.similarity for match in matches(left, right, threshold=threshold)}
    assert found == {key: value for key, value in best.items() if value >= threshold}


def test_a_search_outside_of_the_pipeline_takes_a_gigabyte_or_what_was_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEGATE_MEMORY", "900GB")
    assert modest_memory() == 2**30
    monkeypatch.setenv("TUNEGATE_MEMORY", "100MB")
    assert modest_memory() == 100 * 2**20
