"""Stage `score`: answers and ledgers become metrics and a report; the run is recorded, and uploaded to MLflow.

Seconds of work, and the only stage whose results git tracks. A tracking server that is away does not stop it.
"""

from pathlib import Path

from tunegate.data.ledger.stage_ledger import combine
from tunegate.evaluation.examples import examples_of, sha256_of_test_set
from tunegate.evaluation.metrics import confusion_csv, metrics_of, timings_of
from tunegate.evaluation.trajectory import read_trajectory
from tunegate.files import read_json, write_json, write_text
from tunegate.models.cost import Cost, TrainCost, read_cost
from tunegate.models.folders import read_record
from tunegate.params import load_params
from tunegate.reporting.report_page import Measured, render_report
from tunegate.repository.lineage import read_lineage
from tunegate.repository.working_copy import checkout
from tunegate.tables import read_parquet
from tunegate.tracking.describe import describe
from tunegate.tracking.outbox import ADAPTER, write_record
from tunegate.tracking.runs import TRAJECTORY, deliver


def main(
    params: str, predictions: str, adapter: str, trajectory: str, train_cost: str, evaluate_cost: str,
    ingested: str, validated: str, prepared: str, tokens: str,
    metrics: str, timings: str, data: str, confusion: str, report: str,
) -> None:  # fmt: skip
    """Write the reports, record the run, say where it went."""
    settings, lineage = load_params(Path(params)), read_lineage(Path(adapter))
    points = read_trajectory(Path(trajectory))
    table = read_parquet(Path(predictions))
    examples = examples_of(table, place=predictions)
    ledger = combine([Path(folder) / "ledger.json" for folder in (ingested, validated, prepared, tokens)])
    record = read_record(Path(adapter))
    numbers = metrics_of(
        examples,
        lineage=lineage.key,
        test_set=sha256_of_test_set(table),
        min_slice_rows=settings.score.min_slice_rows,
        ignore_case=settings.evaluate.ignore_case,
        separator=record.separator if record.multi_label else None,
    )
    seconds = timings_of(
        examples, train=read_cost(Path(train_cost), TrainCost), evaluate=read_cost(Path(evaluate_cost), Cost)
    )
    preview = read_json(Path(tokens) / "preview.json")
    page = render_report(Measured(settings, lineage, numbers, examples, points, ledger, preview))
    write_json(Path(metrics), numbers)
    write_json(Path(timings), seconds)
    write_json(Path(data), ledger)
    write_text(Path(confusion), confusion_csv(examples, ignore_case=settings.evaluate.ignore_case))
    write_text(Path(report), page)
    reports = [metrics, timings, data, confusion, report]
    run = describe(settings, checkout(Path(), results=["dvc.lock", *reports]), numbers, seconds)
    artifacts = {ADAPTER: Path(adapter), TRAJECTORY: Path(trajectory)}
    print(deliver(write_record(run, artifacts | {Path(path).name: Path(path) for path in reports})))
