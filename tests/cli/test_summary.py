import json
import subprocess
import sys
from pathlib import Path

import pytest

from tunegate.files import write_json
from tunegate.tracking.outbox import ADAPTER, Run, mark_uploaded, receipt_now, write_record

METRICS = {
    "lineage": "a" * 64,
    "rows": 200,
    "base": {"accuracy": 0.0, "nll": 4.0},
    "tuned": {"accuracy": 0.5, "nll": 1.0},
    "slices": {
        "language": {
            "en": {"rows": 100, "base": {"accuracy": 0.0}, "tuned": {"accuracy": 0.51}},
            "fi": {"rows": 1},
        },
        "desk": {f"desk {n}": {"rows": 1} for n in range(39)},
    },
}


def tunegate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunegate.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def finished_pipeline() -> None:
    write_json(Path("reports/metrics.json"), METRICS)
    for path in (Path("reports/report.html"), Path("models/package/manifest.json"), Path("adapter/weights")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def record(store: str | None) -> None:
    run = Run(name="helpdesk", commit="c", branch="", dirty=False, lineage="a" * 64, params={}, metrics={})
    written = write_record(run, {ADAPTER: Path("adapter")})
    if store:
        mark_uploaded(written, receipt_now(store=store, experiment_id="1", run_id="run-1", version="4"))


def test_a_pipeline_that_has_not_run_is_named() -> None:
    done = tunegate("summary")
    assert done.returncode == 1
    assert done.stderr.startswith("error: reports/metrics.json: the pipeline has not run here\nfix: run `make demo`")


def test_base_and_tuned_stand_side_by_side_overall_and_per_language() -> None:
    finished_pipeline()
    lines = [line.split("  ") for line in tunegate("summary").stdout.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert ["Accuracy", "0.0 %", "50.0 %", "+50.0"] in cells
    assert ["Accuracy, language en", "0.0 %", "51.0 %", "+51.0"] in cells
    assert not any("fi" in line[0] or "desk" in line[0] for line in cells if line)


def test_it_says_where_everything_lies_and_what_to_try() -> None:
    finished_pipeline()
    record("sqlite:///mlflow.db")
    text = tunegate("summary").stdout
    assert "reports/report.html" in text
    assert "models/package/" in text
    assert "run-1, model helpdesk version 4" in text
    assert "mlflow ui --backend-store-uri sqlite:///mlflow.db" in text
    assert len(text.split("Next:\n")[1].splitlines()) == 3


def test_a_run_not_uploaded_yet_says_how() -> None:
    finished_pipeline()
    record(None)
    assert "not in MLflow yet: `tunegate runs sync`" in tunegate("summary").stdout


def test_results_that_came_from_elsewhere_are_said_to() -> None:
    write_json(Path("reports/metrics.json"), METRICS)
    text = tunegate("summary").stdout
    assert "recorded on another machine" in text
    assert "`dvc pull reports/report.html`" in text


def test_json_holds_the_same() -> None:
    finished_pipeline()
    record("http://server")
    found = json.loads(tunegate("summary", "--json").stdout)
    assert found["metrics"] == METRICS
    assert (found["report"], found["run"]["receipt"]["run_id"]) == ("reports/report.html", "run-1")


def test_it_imports_nothing_heavy() -> None:
    code = "import sys, tunegate.cli; print([m for m in ('mlflow', 'sklearn', 'torch', 'pyarrow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_another_project_whose_folder_has_the_same_name_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = {"seconds": 90.0, "peak_memory_bytes": 1}
    timings = {"tuned": {"p50_seconds": 0.1, "p95_seconds": 0.2}, "train": cost}
    for number, parent in enumerate(("one", "other")):
        folder = tmp_path / parent / "model/reports"
        write_json(folder / "metrics.json", {"tuned": {"accuracy": number / 2, "nll": 1.0}, "slices": {}})
        write_json(folder / "timings.json", timings)
    monkeypatch.chdir(tmp_path / "one/model")
    found = json.loads(tunegate("summary", "--json", "--compare", "../../other/model").stdout)
    assert {name: values["accuracy"] for name, values in found.items()} == {
        "model": 0.0,
        str(tmp_path / "other/model"): 0.5,
    }
    done = tunegate("summary", "--beside", "../model")
    assert (done.returncode, "names this project" in done.stderr) == (2, True)
