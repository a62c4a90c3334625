import csv
import io
from pathlib import Path
from typing import Any

from tunegate.files import read_yaml
from tunegate.models.resources import Meter
from tunegate.training.checkpoint import Progress
from tunegate.training.trajectory import COLUMNS, cost_of, summary, to_csv

ROOT = Path(__file__).resolve().parents[2]


def record(step: int, valid_loss: float | None) -> dict[str, Any]:
    values = {"step": step, "epoch": (step + 1) // 2, "loss": 4.0 - step, "valid_loss": valid_loss, "kl": 0.25}
    return values | {"grad_norm": 1.0, "learning_rate": 0.1, "tokens": 100 * step, "units": 10 * step}


RECORDS = [record(1, None), record(2, 2.0), record(3, 1.0), record(4, 3.0), record(5, None)]


def test_what_dvc_plots_are_columns_of_the_trajectory() -> None:
    plots = [own for plot in read_yaml(ROOT / "dvc.yaml")["plots"] for own in plot.values()]
    assert {plot["y"]["models/trajectory.csv"] for plot in plots} == {"loss", "grad_norm", "learning_rate", "tokens"}
    assert {plot["x"] for plot in plots} | {"loss", "grad_norm", "learning_rate", "tokens"} <= set(COLUMNS)


def test_a_technique_s_own_columns_come_last_and_what_was_not_measured_is_empty() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(RECORDS, ["kl"]))))
    assert list(rows[0]) == [*COLUMNS, "kl"]
    assert [row["valid_loss"] for row in rows] == ["", "2.0", "1.0", "3.0", ""]
    assert {row["kl"] for row in rows} == {"0.25"}


def test_a_summary_counts_everything_and_names_the_step_that_is_kept() -> None:
    last, best = (summary(RECORDS, 24, select) for select in ("last", "best"))
    assert (last["steps"], last["epochs"], last["rows"], last["tokens"], last["units"]) == (5, 3, 24, 1500, 150)
    assert (last["loss"], last["valid_loss"]) == (-1.0, 3.0)
    assert (last["kept_step"], last["kept_valid_loss"]) == (5, None)
    assert (best["kept_step"], best["kept_valid_loss"]) == (3, 1.0)


def test_a_cost_has_the_seconds_of_every_part_and_the_memory_of_the_last() -> None:
    progress = Progress(step=5, records=RECORDS, seconds=12.34567, resumed=True)
    cost = cost_of(progress, Meter(seconds=2.0, peak_memory_bytes=7), "a processor")
    assert (cost.seconds, cost.peak_memory_bytes, cost.tokens, cost.steps) == (12.346, 7, 1500, 5)
    assert (cost.hardware, cost.resumed) == ("a processor", True)
