from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.models.labels import Labels, labels_of
from tunegate.models.tokens.examples import Example
from tunegate.params import Classify


def rows(*targets: str | None, name: str = "row") -> list[Example]:
    return [Example(f"{name}-{n}", [1, 2], [-100, -100], target=target) for n, target in enumerate(targets)]


def test_the_labels_are_those_of_the_training_rows_sorted() -> None:
    labels = labels_of(rows("roof", " heat", "roof"), rows("heat"), Classify())
    assert labels.names == ("heat", "roof")
    assert [labels.target(text) for text in ("heat ", "roof")] == [0, 1]
    assert labels.target(" roof") == 1


def test_several_labels_are_split_sorted_and_each_counted_once() -> None:
    labels = labels_of(rows("roof; heat", "", "noise"), rows("heat"), Classify(multi_label=True))
    assert labels.names == ("heat", "noise", "roof")
    assert labels.of("roof;heat; roof;") == ("heat", "roof")
    assert labels.target("roof;heat") == [1.0, 0.0, 1.0]
    assert labels.target("") == [0.0, 0.0, 0.0]
    assert labels.text(("roof", "heat")) == "heat;roof"


def test_without_multi_label_the_separator_is_part_of_a_label() -> None:
    assert labels_of(rows("roof;heat", "noise"), [], Classify()).names == ("noise", "roof;heat")


def test_a_validation_label_that_no_training_row_has_is_named_with_its_rows() -> None:
    with pytest.raises(InputError, match=r"'pump' \(rows v-1, v-2\)") as caught:
        labels_of(rows("roof", "heat"), rows("roof", "pump", "pump", name="v"), Classify())
    assert "prepare.min_rows_per_label" in caught.value.remedy


@pytest.mark.parametrize(
    ("targets", "settings", "problem"),
    [
        (["roof", "", None], {}, "rows without a label: row-1, row-2"),
        (["roof", "roof"], {}, r"have 1 labels \(roof\): there is nothing to tell apart"),
        (["", ""], {"multi_label": True}, "have 0 labels"),
    ],
)
def test_rows_that_teach_no_labels_are_refused(targets: list[str], settings: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        labels_of(rows(*targets), [], Classify(**settings))


def test_many_rows_are_not_all_listed() -> None:
    with pytest.raises(InputError, match="row-4 and 3 more"):
        labels_of(rows(*[""] * 8), [], Classify())


def test_labels_come_back_as_they_were_recorded() -> None:
    labels = Labels(("a", "b"), multi=True, separator="|", threshold=0.3)
    assert Labels.recorded(labels.record()) == labels
