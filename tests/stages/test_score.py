import csv
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.files import write_json
from tunegate.repository.lineage import Parts, digest, lineage_of
from tunegate.tables import write_parquet

ROOT = Path(__file__).parents[2]
REPORTS = ("metrics.json", "timings.json", "data.json", "confusion.csv", "report.html")
COST = {"hardware": "a processor, 2 threads", "seconds": 60.5, "peak_memory_bytes": 2_000_000_000}
LINEAGE = lineage_of(Parts(**{name: digest(name) for name in Parts.model_fields}))


def answered(number: int, tuned: str, nll: float = 0.5) -> dict[str, object]:
    return {
        "id": f"row-{number}",
        "group": str(number),
        "question": f"Which desk? <script>{number}</script>",
        "reference": "roads",
        "label": "roads",
        "slices": [("language", "en")],
        "base_answer": "no idea",
        "base_correct": False,
        "base_nll": 4.0,
        "base_seconds": 0.1,
        "tuned_answer": tuned,
        "tuned_correct": tuned == "roads",
        "tuned_nll": nll,
        "tuned_seconds": 0.1,
    }


def predictions(*rows: dict[str, object]) -> None:
    slices = pa.array([row["slices"] for row in rows], pa.map_(pa.string(), pa.string()))
    table = pa.Table.from_pylist([{**row, "slices": None} for row in rows])
    place = table.column_names.index("slices")
    write_parquet(Path("predictions.parquet"), table.set_column(place, "slices", slices))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    # No server at this port: making a store takes seconds and is tested beside tracking.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    predictions(answered(1, "roads"), answered(2, "water"), answered(3, "roads"))
    write_json(Path("adapter/lineage.json"), LINEAGE.model_dump())
    Path("adapter/adapter_model.safetensors").write_bytes(b"weights")
    Path("trajectory.csv").write_text("step,epoch,loss,valid_loss\n1,0,3.5,\n2,0,2.5,2.75\n")
    write_json(Path("train_cost.json"), COST | {"tokens": 5120, "steps": 10, "resumed": False})
    write_json(Path("evaluate_cost.json"), COST)
    for stage in ("ingest", "validate", "prepare", "tokenize"):
        ledger = {"stage": stage, "rows": {"in": 3, "out": 3}, "per_source": {"faq": {"in": 3, "out": 3}}}
        write_json(Path(stage) / "ledger.json", ledger)
        write_json(Path(stage) / "preview.json", {"row-1": [{"text": "roof", "trained": True, "tokens": 1}]})


def score() -> subprocess.CompletedProcess[str]:
    inputs = [
        "params.yaml",
        "predictions.parquet",
        "adapter",
        "trajectory.csv",
        "train_cost.json",
        "evaluate_cost.json",
    ]
    ledgers = ["ingest", "validate", "prepare", "tokenize"]
    reports = [f"reports/{name}" for name in REPORTS]
    command = [sys.executable, "-m", "tunegate.stages", "score", *inputs, *ledgers, *reports]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_every_report_is_written_and_a_server_that_is_away_does_not_stop_the_stage() -> None:
    done = score()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("MLflow cannot be reached")
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    assert sorted(path.name for path in Path("reports").iterdir()) == sorted(REPORTS)
    metrics = json.loads(Path("reports/metrics.json").read_text())
    assert (metrics["rows"], metrics["lineage"]) == (3, LINEAGE.key)
    assert metrics["tuned"]["accuracy"] == pytest.approx(2 / 3, abs=1e-6)
    assert json.loads(Path("reports/data.json").read_text())["rows"] == {"in": 3, "out": 3}
    timings = json.loads(Path("reports/timings.json").read_text())
    assert (timings["train"]["tokens"], timings["evaluate"]) == (5120, COST)
    with Path("reports/confusion.csv").open() as stream:
        assert [row["answer"] for row in csv.DictReader(stream)] == ["roads", "(other)", "roads"]


def test_without_git_the_run_is_recorded_as_unversioned_with_all_that_its_upload_needs() -> None:
    score()
    (path,) = Path(".tunegate/runs").glob("*/record.json")
    record = json.loads(path.read_text())
    assert (record["commit"], record["name"], record["params"]["train.rank"]) == (
        "unversioned",
        "permit-helpdesk",
        "16",
    )
    kept = sorted(p.relative_to(path.parent / "artifacts").as_posix() for p in path.parent.glob("artifacts/**/*.*"))
    assert kept == sorted(["adapter/adapter_model.safetensors", "adapter/lineage.json", "trajectory.csv", *REPORTS])


def test_the_same_input_gives_the_same_bytes() -> None:
    score()
    first = {name: Path("reports", name).read_bytes() for name in REPORTS}
    score()
    assert {name: Path("reports", name).read_bytes() for name in REPORTS} == first


def test_a_cost_that_is_none_stops_the_stage_and_names_the_file() -> None:
    write_json(Path("train_cost.json"), COST)
    done = score()
    assert done.returncode == 1
    assert done.stderr.startswith("error: train_cost.json: tokens: missing\nfix: ")


def test_a_number_that_is_none_stops_the_stage_and_writes_nothing() -> None:
    predictions(answered(1, "roads"), answered(2, "roads", nll=float("nan")))
    done = score()
    assert done.returncode == 1
    assert done.stderr.startswith("error: predictions.parquet: tuned_nll is not a finite number: row-2\nfix: ")
    assert not Path("reports").exists()
    assert not Path(".tunegate").exists()


def test_an_adapter_whose_lineage_was_edited_is_refused() -> None:
    write_json(Path("adapter/lineage.json"), {**LINEAGE.model_dump(), "key": "0" * 64})
    done = score()
    assert done.returncode == 3
    assert "does not match its parts" in done.stderr
