import json
import random
from importlib.util import find_spec
from pathlib import Path

import pytest

from tunegate.data.preparation.label_noise import FOLDS, folds_of, issues, sample

Columns = tuple[list[str], list[str], list[str], list[str]]


@pytest.fixture(scope="module")
def questions() -> Columns:
    """Ids, texts, desks and groups of the default project's questions, in both languages."""
    folder = Path(str(find_spec("zaragoza_construction_faq").origin)).parent / "data"  # type: ignore[union-attr]
    rows = []
    for name, language in (("faq-en.jsonl", "en"), ("faq.jsonl", "sv")):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows.append((f"{row['id']}-{language}", row["q"], row["category"], row["id"]))
    ids, texts, labels, groups = map(list, zip(*rows, strict=True))
    return ids, texts, labels, groups


def flipped(columns: Columns, share: float) -> tuple[Columns, set[str]]:
    ids, texts, labels, groups = columns
    rng = random.Random(0)
    chosen = set(rng.sample(range(len(ids)), round(len(ids) * share)))
    classes = sorted(set(labels))
    wrong = [rng.choice([c for c in classes if c != label]) if i in chosen else label for i, label in enumerate(labels)]
    return (ids, texts, wrong, groups), {ids[i] for i in chosen}


def test_planted_noise_is_found_far_more_often_than_by_chance(questions: Columns) -> None:
    (ids, texts, labels, groups), planted = flipped(questions, 0.05)
    result = issues(ids, texts, labels, groups, seed=7)
    found = [issue["id"] for issue in result["issues"]]
    assert len(planted & set(found)) >= 0.8 * len(planted)
    assert len(planted & set(found[: len(planted)])) >= 0.3 * len(planted), "by chance: one in twenty"
    assert len(found) < 0.4 * len(ids)
    assert result["accuracy"] > 0.5


def test_the_order_of_the_rows_changes_nothing(questions: Columns) -> None:
    small = [column[:200] for column in questions]
    assert issues(*small, seed=7) == issues(*(column[::-1] for column in small), seed=7)


def test_an_issue_names_the_row_its_label_and_what_is_believed_instead() -> None:
    texts = [f"the roof leaks {n}" if n % 2 else f"no warm water {n}" for n in range(40)]
    labels = ["roof" if n % 2 else "heat" for n in range(40)]
    labels[3] = "heat"
    ids = [f"r{n}" for n in range(40)]
    result = issues(ids, texts, labels, ids, seed=1)
    (issue,) = result["issues"]
    assert (issue["id"], issue["label"], issue["believed"]) == ("r3", "heat", "roof")
    assert 0.5 < issue["confidence"] <= 1
    assert (result["rows"], result["examined"], result["left_out"]) == (40, 40, 0)


def test_a_class_in_one_group_only_is_left_out_and_counted() -> None:
    texts = [f"the roof leaks {n}" if n % 2 else f"no warm water {n}" for n in range(20)] + ["odd one", "odd two"]
    labels = ["roof" if n % 2 else "heat" for n in range(20)] + ["odd", "odd"]
    groups = [f"g{n}" for n in range(20)] + ["pair", "pair"]
    result = issues([f"r{n}" for n in range(22)], texts, labels, groups, seed=1)
    assert (result["examined"], result["left_out"], result["classes_left_out"]) == (20, 2, 1)


def test_one_class_or_no_rows_have_no_issues() -> None:
    assert issues(["a", "b"], ["x", "y"], ["one", "one"], ["a", "b"], seed=1)["issues"] == []
    assert issues([], [], [], [], seed=1)["accuracy"] is None


def test_of_many_rows_whole_groups_are_looked_at_and_which_depends_on_the_seed_alone() -> None:
    groups = [f"g{n // 2}" for n in range(400)]
    taken = sample(groups, seed=1, limit=101)
    assert sum(taken) == 100
    assert all(taken[n] == taken[n + 1] for n in range(0, 400, 2))
    assert taken == sample(groups[::-1], seed=1, limit=101)[::-1]
    assert taken != sample(groups, seed=2, limit=101)
    assert issues([str(n) for n in range(400)], ["t"] * 400, ["a"] * 400, groups, seed=1, limit=101)["examined"] == 100


def test_folds_keep_groups_whole_and_share_out_each_class() -> None:
    groups = [f"g{n // 2}" for n in range(200)]
    labels = ["a" if n < 100 else "b" for n in range(200)]
    folds = folds_of(labels, groups, seed=1)
    assert all(folds[n] == folds[n + 1] for n in range(0, 200, 2))
    for label in "ab":
        sizes = [sum(f == fold and own == label for f, own in zip(folds, labels, strict=True)) for fold in range(FOLDS)]
        assert sizes == [20] * FOLDS


def test_small_classes_do_not_all_begin_in_the_same_fold() -> None:
    names = [str(n) for n in range(100)]
    folds = folds_of([f"class {n // 2}" for n in range(100)], names, seed=1)
    assert [folds.count(fold) for fold in range(FOLDS)] == [20] * FOLDS


def test_texts_without_a_word_in_common_are_judged_by_their_parts() -> None:
    ids = [str(number) for number in range(8)]
    texts = ["屋顶漏水", "暖气坏了", "屋顶破了", "暖气不热", "屋顶有洞", "暖气漏水", "屋顶旧了", "暖气关了"]
    found = issues(ids, texts, ["roof", "heat"] * 4, ids, seed=1)
    assert found["accuracy"] is not None
    assert issues(ids[:4], ["屋顶", "暖气", "roof", "heat"], ["roof", "heat"] * 2, ids[:4], seed=1)["why"] is None


def test_what_cannot_be_judged_is_told_with_why() -> None:
    ids = [str(number) for number in range(4)]
    empty = issues(ids, ["", " "] * 2, ["roof", "heat"] * 2, ids, seed=1)
    assert (empty["accuracy"], empty["why"]) == (None, "the texts have no words and no parts of words")
    alone = issues(ids, ["a text"] * 4, ids, ids, seed=1)
    assert (alone["accuracy"], alone["why"]) == (None, "there are no two classes of two groups each")


def test_beyond_so_many_classes_the_smallest_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunegate.data.preparation.label_noise.MOST_CLASSES", 2)
    labels = ["roof"] * 6 + ["heat"] * 6 + ["rare"] * 3
    ids = [str(number) for number in range(15)]
    found = issues(ids, [f"{label} {n}" for n, label in enumerate(labels)], labels, ids, seed=1)
    assert (found["examined"], found["left_out"], found["classes_left_out"]) == (12, 3, 1)
