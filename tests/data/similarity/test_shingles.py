import random

import numpy as np
import pytest
from shingle_sets import shingles

from tunegate.data.similarity.shingles import numbered, plan_for, repetition, sketched
from tunegate.errors import InputError


def test_numbers_are_equal_exactly_where_shingles_are() -> None:
    chance = random.Random(1)
    texts = [" ".join(chance.choices(["a", "B", "ü", "c1"], k=chance.randint(0, 9))) for _ in range(80)] + ["?!", "#"]
    parts = ["屋", "根", "กำ", "กิ", "คी", "हि", "न", "a", " ", "\u0301", "☎\ufe0f", "e\u0301", "𠀀"]
    texts += ["".join(chance.choices(parts, k=chance.randint(1, 9))) for _ in range(150)]
    values, starts = numbered(texts)
    sets = [frozenset(part.tolist()) for part in np.split(values, starts[1:])]
    for one in range(len(texts)):
        for other in range(one):
            shared = len(shingles(texts[one]) & shingles(texts[other]))
            assert len(sets[one] & sets[other]) == shared, (texts[one], texts[other])


def test_a_text_has_the_same_sketch_in_whatever_batch_it_is() -> None:
    texts = ["one", "two words", "three words here", "and four of them", ""]
    plan = plan_for(0.8)
    together = sketched(texts, plan).to_pylist()
    assert together == [sketched([text], plan).to_pylist()[0] for text in texts]


def test_a_sketch_is_the_same_on_every_machine() -> None:
    sketch = sketched(["Who mends the roof?"], plan_for(1.0)).drop_columns(["all_bands"])
    assert sketch.to_pylist() == [
        {"shingles": [3574154661581347872, 4529947169526125831], "band_0": 3154894077627480861}
    ]


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_a_plan_finds_99_of_100_pairs_at_its_threshold(threshold: float) -> None:
    plan = plan_for(threshold)
    assert plan.recall(threshold) >= 0.99
    assert plan.bands * plan.rows <= 72


def test_a_threshold_that_no_plan_can_serve_is_refused() -> None:
    with pytest.raises(InputError, match=r"so little similarity: 0\.01"):
        plan_for(0.01)


def test_pairs_are_found_as_often_as_the_formula_says() -> None:
    chance = random.Random(4)
    words = [f"w{n}" for n in range(5_000)]
    plan = plan_for(0.8)
    lefts, rights = [], []
    for _ in range(3_000):
        words_of_text = chance.choices(words, k=102)
        lefts.append(" ".join(words_of_text[:92]))
        rights.append(" ".join(words_of_text[10:]))  # 80 of 100 runs are shared
    one, other = sketched(lefts, plan), sketched(rights, plan)
    agree = np.zeros(len(lefts), dtype=bool)
    for name in plan.columns:
        agree |= one[name].to_numpy() == other[name].to_numpy()
    assert agree.mean() == pytest.approx(plan.recall(0.8), abs=0.006)


def test_repetition_is_the_share_of_runs_that_occur_before() -> None:
    assert repetition(["a b c d", "a b c a b c a b c", ""]).tolist() == pytest.approx([0, 4 / 7, 0])


def test_a_script_without_spaces_is_compared_letter_by_letter() -> None:
    one, other = "屋根から水が漏れています", "屋根から水が漏れていた"
    assert len(shingles(one) & shingles(other)) == 8
    assert len(shingles("ห้องน้ำรั่ว")) == 5  # vowels and tones that stand above a letter are part of it
    assert len(shingles("roof 屋根 roof2")) == 2


def test_vowel_signs_are_part_of_words_and_a_sign_for_an_emoji_is_no_word() -> None:
    assert shingles("छत से पानी") == {("छत", "से", "पानी")}
    assert shingles("☎\ufe0f") == {("☎\ufe0f",)}
    assert shingles("☎\ufe0f") != shingles("❤\ufe0f")


def test_an_empty_text_is_like_nothing() -> None:
    plan = plan_for(0.8)
    for sketch in sketched(["", " \n"], plan).to_pylist():
        assert {sketch[name] for name in plan.columns} == {None}
