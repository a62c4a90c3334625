from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.files import write_text
from tunegate.reporting.pages import render_runs
from tunegate.tracking.comparison import compare, find, trajectory_of
from tunegate.tracking.outbox import ADAPTER, Record, Run, mark_uploaded, receipt_now, write_record
from tunegate.tracking.runs import TRAJECTORY


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def recorded(letter: str, rank: int, accuracy: float) -> Record:
    Path("adapter").mkdir(exist_ok=True)
    write_text(Path(TRAJECTORY), f"step,loss,valid_loss\n1,{3 - accuracy},\n2,{2 - accuracy},1.5\n")
    params = {"train.rank": str(rank), "train.epochs": "4"}
    metrics = {"tuned.accuracy": accuracy, "cost.train.seconds": 10.0 * rank, "tuned.p95_seconds": 0.1}
    run = Run(name="n", commit=letter * 40, branch="", dirty=False, lineage=letter * 64, params=params, metrics=metrics)
    return write_record(run, {ADAPTER: Path("adapter"), TRAJECTORY: Path(TRAJECTORY)})


def test_what_differs_is_shown_with_differences_from_the_first() -> None:
    one, two = recorded("a", 8, 0.5), recorded("b", 16, 0.75)
    comparison = compare(find([one.id, "bbbb"]))
    assert comparison.params == {"train.rank": ["8", "16"]}
    assert [(line.name, line.deltas) for line in comparison.metrics] == [("tuned.accuracy", [0.0, 0.25])]
    assert [line.name for line in comparison.costs] == ["cost.train.seconds", "tuned.p95_seconds"]
    assert comparison.as_json()["runs"][1]["id"] == two.id


def test_a_name_of_no_run_or_of_several_is_refused() -> None:
    recorded("a", 8, 0.5)
    recorded("a", 16, 0.5)
    with pytest.raises(InputError, match="no run on this machine"):
        find(["zzzz"])
    with pytest.raises(InputError, match="no run on this machine"):
        find(["aaa"])
    with pytest.raises(InputError, match="2 runs match"):
        find(["aaaa"])


def test_a_run_of_an_older_version_has_gaps_and_no_false_differences() -> None:
    one = recorded("a", 8, 0.5)
    old = one.model_copy(update={"params": {"train.epochs": "4"}, "metrics": {}})
    comparison = compare([one, old])
    assert comparison.params == {"train.rank": ["8", None]}
    assert comparison.metrics[0].values == [0.5, None]
    assert comparison.metrics[0].deltas == [0.0, None]


def test_the_page_draws_every_course_and_escapes_what_it_shows() -> None:
    one, two = recorded("a", 8, 0.5), recorded("b", 16, 0.75)
    one = one.model_copy(update={"params": one.params | {"x": "<script>"}})
    page = render_runs(compare([one, two]), [trajectory_of(one), trajectory_of(two)])
    assert page.count("<polyline") == 4
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page == render_runs(compare([one, two]), [trajectory_of(one), trajectory_of(two)])


def test_a_training_without_a_step_has_a_page_too() -> None:
    one = recorded("a", 8, 0.5)
    assert render_runs(compare([one]), [[]]).count("<polyline") == 2


def test_an_uploaded_runs_course_comes_from_mlflow(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    records = recorded("a", 8, 0.5)
    before = trajectory_of(records)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    run = client.create_run(client.create_experiment("n", artifact_location=(tmp_path / "mlruns").as_uri()))
    client.log_artifact(run.info.run_id, TRAJECTORY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
        gone = mark_uploaded(records, receipt_now(store="s", experiment_id="1", run_id=run.info.run_id, version="1"))
        assert trajectory_of(gone) == before
