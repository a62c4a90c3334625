from pathlib import Path

import pytest
from miniature import Miniature, answers, predictions

from tunegate.data.rows import Row, table_of
from tunegate.errors import InputError
from tunegate.files import read_json, write_json
from tunegate.gate.guards import Measurements
from tunegate.gate.policy import GuardPolicy
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.review.measurements import (
    METRICS,
    TIMINGS,
    contaminated,
    measurements,
    number_at,
    text_at,
    uses_of_test_set,
)
from tunegate.tables import read_parquet, write_parquet

ALL = GuardPolicy(latency_ratio=1.5, package_ratio=2.0, trained_token_share=0.1, dropped_row_share=0.5)


def measure(miniature: Miniature, policy: GuardPolicy = ALL, *, first: bool = False) -> Measurements:
    """The working tree's measurements against HEAD."""
    repository = open_repository(miniature.root)
    with open_outputs(miniature.root) as outputs:
        base = Snapshot(repository, repository.resolve("HEAD"), outputs)
        candidate = Snapshot(repository, None, outputs)
        table = read_parquet(candidate.output("models/predictions.parquet"))
        return measurements(policy, candidate, None if first else base, table)


def test_the_numbers_are_those_of_the_locked_outputs_and_not_of_the_report_in_git(miniature: Miniature) -> None:
    miniature.predict(predictions(answers(200, 0.7), seconds=0.2))
    (miniature.root / "inputs/package/model.gguf").write_text("G" * 3000)
    miniature.run("dvc", "repro", "-q", cwd=miniature.root)
    timings = read_json(miniature.root / TIMINGS)
    timings["tuned"]["p95_seconds"] = 0.0001
    write_json(miniature.root / TIMINGS, timings)
    measured = measure(miniature)
    assert (measured.p95_seconds, measured.recorded_p95_seconds) == (0.2, [0.1])
    assert measured.package_bytes is not None
    assert measured.baseline_package_bytes is not None
    assert 2 < measured.package_bytes / measured.baseline_package_bytes <= 3
    assert measured.trained_token_share == 0.25
    assert measured.rows_in >= measured.rows_out > 0


def test_times_of_other_hardware_are_not_among_those_recorded(miniature: Miniature) -> None:
    path = miniature.root / "inputs/adapter/evaluate_cost.json"
    write_json(path, read_json(path) | {"hardware": "a slower processor"})
    miniature.run("dvc", "repro", "-q", cwd=miniature.root)
    measured = measure(miniature, GuardPolicy(latency_ratio=1.5))
    assert (measured.hardware, measured.recorded_p95_seconds) == ("a slower processor", [])


def test_a_first_model_has_nothing_recorded_before_it_and_what_is_not_bounded_is_not_read(miniature: Miniature) -> None:
    first = measure(miniature, first=True)
    assert (first.recorded_p95_seconds, first.baseline_package_bytes) == (None, None)
    nothing = measure(miniature, GuardPolicy())
    assert (nothing.hardware, nothing.package_bytes, nothing.rows_in) == (None, None, 0)


def test_a_model_measured_twice_on_a_test_set_is_one_use_and_another_test_set_is_none(miniature: Miniature) -> None:
    metrics = read_json(miniature.root / METRICS)
    for lineage, test_set in (("model-1", "rows"), ("model-2", "rows"), ("model-1", "rows"), ("model-3", "others")):
        write_json(miniature.root / METRICS, metrics | {"lineage": lineage, "test_set": test_set})
        miniature.git("add", "-A")
        miniature.git("commit", "-q", "--allow-empty", "-m", lineage)
    repository = open_repository(miniature.root)
    assert uses_of_test_set(repository, [repository.resolve("HEAD")], "rows", "model-4") == 3
    assert uses_of_test_set(repository, [repository.resolve("HEAD")], "rows", "model-2") == 2


@pytest.mark.parametrize("value", [None, True, "1", float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_with_its_place(value: object) -> None:
    assert number_at({"notes": {"share": 1}}, "ledger.json", "notes", "share") == 1.0
    with pytest.raises(InputError, match=r"notes\.share is not finite") as caught:
        number_at({"notes": {"share": value}}, "ledger.json", "notes", "share")
    assert caught.value.place == "ledger.json"


def test_a_text_that_is_missing_is_refused_with_its_place() -> None:
    assert text_at({"evaluate": {"hardware": "x"}}, "timings.json", "evaluate", "hardware") == "x"
    with pytest.raises(InputError, match=r"evaluate\.hardware") as caught:
        text_at({"evaluate": []}, "timings.json", "evaluate", "hardware")
    assert caught.value.place == "timings.json"


def prepared(folder: Path, **splits: dict[str, str]) -> Path:
    for name, rows in splits.items():
        table = table_of(Row(key, key, "made", text=text, label="roof") for key, text in rows.items())
        write_parquet(folder / f"{name}.parquet", table)
    return folder


def test_exact_and_near_copies_are_separated_and_named(tmp_path: Path) -> None:
    long = " ".join(f"word{i}" for i in range(50))
    rows = {"a": "Does the roof leak?", "b": long, "c": "something else entirely"}
    folder = prepared(tmp_path, test=rows, train={"x": "does the ROOF leak", "y": long + " more"})
    exact, near = contaminated(folder, folder, near=0.9)
    assert [(match.left, match.right) for match in exact] == [("a", "x")]
    assert [(match.left, match.right, round(match.similarity, 2)) for match in near] == [("b", "y", 0.98)]
