from tunegate.evaluation.examples import Answer, Example
from tunegate.reporting.example_changes import Confusion, confusion_changes, counts_of, example_changes


def example(name: str, answer: str, reference: str = "roof") -> Example:
    tuned = Answer(answer, answer == reference, 1.0, 0.1)
    return Example(name, f"What of {name}?", reference, reference, {}, Answer("", False, 9.0, 0.1), tuned)


BEFORE = [example("a", "roof"), example("b", "heat"), example("c", "heat"), example("d", "roof"), example("z", "heat")]
AFTER = [example("e", "roof"), example("d", "roof"), example("c", "heat"), example("b", "roof"), example("a", "noise")]


def test_broken_comes_first_and_every_row_has_one_outcome() -> None:
    changes = example_changes(BEFORE, AFTER)
    assert [(c.id, c.outcome) for c in changes] == [
        ("a", "broken"), ("b", "fixed"), ("c", "wrong"), ("d", "right"), ("e", "new"),
    ]  # fmt: skip
    assert counts_of(changes) == {"broken": 1, "fixed": 1, "wrong": 1, "right": 1, "new": 1}
    assert (changes[0].before, changes[0].after, changes[4].before) == ("roof", "noise", None)


def test_confusions_are_counted_over_the_rows_of_both() -> None:
    classes = [example("h", "heat", "heat"), example("n", "noise", "noise")]
    alone = example("only here", "noise")
    found = confusion_changes([*BEFORE, *classes], [*AFTER, *classes, alone], ignore_case=True)
    # "c" is confused as before; "b" no longer is, "a" now is; "z" and the last row have nothing to compare with.
    assert found == [Confusion("roof", "heat", 2, 1), Confusion("roof", "noise", 0, 1)]


def test_without_a_baseline_every_row_is_new() -> None:
    assert counts_of(example_changes([], AFTER))["new"] == 5
    assert confusion_changes([], AFTER, ignore_case=True) == []
