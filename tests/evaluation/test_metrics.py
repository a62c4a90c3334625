import math
from typing import Any

import pyarrow as pa
import pytest
from sklearn.metrics import f1_score

from tunegate.errors import InputError
from tunegate.evaluation.examples import Example, examples_of
from tunegate.evaluation.metrics import OTHER, Pair, label_f1, metrics_of, outcome_of, pairs_of, timings_of
from tunegate.models.cost import Cost, TrainCost


def row(name: str, reference: str, base: str, tuned: str, **changes: Any) -> dict[str, Any]:
    metrics = {
        "id": name,
        "group": name,
        "question": f"question {name}",
        "reference": reference,
        "label": reference,
        "slices": [("language", "en")],
        "base_answer": base,
        "base_correct": base.strip().lower() == reference.lower(),
        "base_nll": 2.0,
        "base_seconds": 0.1,
        "tuned_answer": tuned,
        "tuned_correct": tuned.strip().lower() == reference.lower(),
        "tuned_nll": 0.5,
        "tuned_seconds": 0.2,
    }
    return metrics | changes


def examples(*rows: dict[str, Any]) -> list[Example]:
    table = pa.Table.from_pylist(list(rows))
    slices = pa.array([r["slices"] for r in rows], pa.map_(pa.string(), pa.string()))
    return examples_of(table.set_column(table.column_names.index("slices"), "slices", slices), place="p.parquet")


FOUR = (
    row("1", "roads", "I think it is roads", "roads"),
    row("2", "roads", "roads", "water"),
    row("3", "water", "?", " Water "),
    row("4", "trees", "", "a desk nobody has", slices=[("language", "sv")]),
)


def scored(*rows: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return metrics_of(examples(*rows), lineage="k", test_set="t", min_slice_rows=least, ignore_case=True)


def test_accuracy_is_the_share_of_correct_rows() -> None:
    metrics = scored(*FOUR)
    assert (metrics["base"]["accuracy"], metrics["tuned"]["accuracy"], metrics["delta"]["accuracy"]) == (
        0.25,
        0.5,
        0.25,
    )
    assert (metrics["rows"], metrics["labelled_rows"], metrics["lineage"]) == (4, 4, "k")


def test_macro_averages_weigh_the_classes_of_the_references_alike() -> None:
    tuned = scored(*FOUR)["tuned"]
    # roads: precision 1/1, recall 1/2; water: 1/2, 1/1; trees: never answered. "(other)" is no class.
    assert tuned["macro_precision"] == pytest.approx((1 + 0.5 + 0) / 3, abs=1e-6)
    assert tuned["macro_recall"] == pytest.approx((0.5 + 1 + 0) / 3, abs=1e-6)
    assert tuned["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3, abs=1e-6)


def test_an_answer_that_is_no_class_is_other() -> None:
    assert pairs_of(examples(*FOUR), "tuned", ignore_case=True) == [
        Pair("roads", "roads"),
        Pair("roads", "water"),
        Pair("water", "water"),
        Pair("trees", OTHER),
    ]


def test_an_answer_that_differs_in_case_is_other_when_case_matters() -> None:
    rows = [row("1", "roads", "", "Water", tuned_correct=False), row("2", "water", "", "WATER", tuned_correct=False)]
    assert [pair.answer for pair in pairs_of(examples(*rows), "tuned", ignore_case=False)] == [OTHER, OTHER]


def test_an_answer_judged_wrong_is_never_counted_as_its_own_class() -> None:
    rows = [row("1", "roads", "", "roads", tuned_correct=False), row("2", "water", "", "water")]
    assert [pair.answer for pair in pairs_of(examples(*rows), "tuned", ignore_case=True)] == [OTHER, "water"]


def test_nll_is_the_mean_over_all_rows() -> None:
    rows = [row("1", "a", "a", "a", tuned_nll=1.0), row("2", "a", "a", "a", tuned_nll=2.0, label=None)]
    assert scored(*rows)["tuned"]["nll"] == 1.5


def test_rows_without_a_label_get_exact_match_and_nll_only() -> None:
    rows = [row("1", "a long text", "no", "a long text", label=None), row("2", "b", "no", "no", label=None)]
    assert scored(*rows)["tuned"] == {"exact_match": 0.5, "nll": 0.5}


def test_a_slice_below_the_least_number_of_rows_is_only_counted() -> None:
    slices = scored(*FOUR, least=2)["slices"]["language"]
    assert slices["sv"] == {"rows": 1}
    assert slices["en"]["rows"] == 3
    assert slices["en"]["delta"]["accuracy"] == pytest.approx(1 / 3, abs=1e-6)


def test_every_row_has_one_outcome() -> None:
    assert [outcome_of(example) for example in examples(*FOUR)] == ["fixed", "broken", "fixed", "wrong"]
    assert scored(*FOUR)["outcomes"] == {"fixed": 2, "broken": 1, "right": 0, "wrong": 1}


def test_the_order_of_the_rows_does_not_matter() -> None:
    assert scored(*FOUR) == scored(*reversed(FOUR))


def test_timings_are_mean_and_percentiles() -> None:
    rows = [row(str(n), "a", "a", "a", tuned_seconds=float(n)) for n in range(1, 102)]
    cost = Cost(hardware="a processor", seconds=2.5, peak_memory_bytes=1)
    train = TrainCost(**cost.model_dump(), tokens=5, steps=1, resumed=True)
    timings = timings_of(examples(*rows), train=train, evaluate=cost)
    assert (timings["evaluate"], timings["train"]["resumed"]) == (cost.model_dump(), True)
    assert timings["tuned"] == {"mean_seconds": 51.0, "p50_seconds": 51.0, "p95_seconds": 96.0}


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_an_nll_that_is_no_finite_number_is_refused_with_the_row(value: float | None) -> None:
    with pytest.raises(InputError, match="tuned_nll is not a finite number: 2") as caught:
        scored(row("1", "a", "a", "a"), row("2", "a", "a", "a", tuned_nll=value))
    assert caught.value.place == "p.parquet"


def test_many_bad_rows_are_counted_not_listed() -> None:
    with pytest.raises(InputError, match="and 2 more"):
        scored(*(row(str(n), "a", "a", "a", base_nll=math.nan) for n in range(7)))


def test_a_duplicate_id_is_refused() -> None:
    with pytest.raises(InputError, match="duplicate id: 1"):
        scored(row("1", "a", "a", "a"), row("1", "b", "b", "b"))


def test_no_rows_are_refused() -> None:
    table = pa.Table.from_pylist([row("1", "a", "a", "a")]).slice(0, 0)
    with pytest.raises(InputError, match="no test example was answered"):
        examples_of(table, place="p.parquet")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="no column tuned_nll"):
        examples_of(pa.Table.from_pylist([row("1", "a", "a", "a")]).drop(["tuned_nll"]), place="p.parquet")


LABEL_SETS = [("heat;roof", "roof"), ("roof", "roof;noise"), ("", "noise"), ("heat", "heat"), ("noise", "")]


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_f1_of_labels_is_sklearn_s(average: str) -> None:
    names = ("heat", "noise", "roof")
    rows = [row(str(n), reference, "", answer) for n, (reference, answer) in enumerate(LABEL_SETS)]
    tables = [
        [[name in text.split(";") for name in names] for text in texts] for texts in zip(*LABEL_SETS, strict=True)
    ]
    expected = f1_score(*tables, average=average, zero_division=0)
    assert label_f1(examples(*rows), "tuned", ";")[f"label_{average}_f1"] == pytest.approx(expected, abs=1e-6)


def test_rows_without_any_label_have_an_f1_of_zero() -> None:
    assert label_f1(examples(row("1", "", "", "")), "tuned", ";") == {"label_micro_f1": 0.0, "label_macro_f1": 0.0}
