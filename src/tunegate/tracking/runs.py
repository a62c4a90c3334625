"""Uploading records to MLflow: one run per record, however often the upload is tried, killed or repeated.

A run carries its record's id as a tag from the moment it exists, and is looked up by it before one is created. Its last
step is to become FINISHED. What was sent before a kill is sent again with the same values. A record that cannot be
uploaded stays in the outbox.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tunegate.errors import MachineError
from tunegate.evaluation.trajectory import read_trajectory
from tunegate.tracking import registry
from tunegate.tracking.outbox import (
    ADAPTER,
    RUNS,
    Receipt,
    Record,
    artifacts_of,
    mark_uploaded,
    read_records,
    receipt_now,
    upload_lock,
)
from tunegate.tracking.store import connect, store_errors, store_name

RECORD = "tunegate.record"
TRAJECTORY = "trajectory.csv"
"""The name of the loss curve among a record's artifacts."""

_UPLOAD_SECONDS = 120
_PARAMS_PER_CALL = 100
_METRICS_PER_CALL = 1000


def deliver(record: Record, root: Path = RUNS, *, seconds: float = _UPLOAD_SECONDS) -> str:
    """Try to upload a record just written, for at most `seconds`; return in one line what happened. Never raises.

    An unreachable tracking server must not stop a pipeline: the record stays in the outbox, as it does where the
    environment has TUNEGATE_UPLOAD=0.
    """
    if os.environ.get("TUNEGATE_UPLOAD") == "0":
        return f"the run is kept in {root / record.id}: TUNEGATE_UPLOAD is 0"
    try:
        with upload_lock(root):
            receipt = upload(record, root, seconds=seconds)
    except MachineError as error:
        kept = f"the run is kept in {root / record.id}; upload it later with `tunegate runs sync`"
        return f"MLflow cannot be reached ({error.place}: {error.problem}): {kept}"
    return f"MLflow: run {receipt.run_id}, model {record.name} version {receipt.version}, in {receipt.store}"


def sync(root: Path = RUNS) -> Iterator[tuple[Record, Receipt]]:
    """Upload what is pending, the oldest first; yield each with its receipt. Raises MachineError when one fails."""
    with upload_lock(root):
        for record in read_records(root):
            if record.receipt is None:
                yield record, upload(record, root, seconds=None)
            else:
                mark_uploaded(record, record.receipt, root)


def upload(record: Record, root: Path = RUNS, *, seconds: float | None) -> Receipt:
    """Upload a record to MLflow and note that. Raises MachineError, with the record unchanged, when it fails."""
    with store_errors(seconds=seconds):
        client = connect()
        experiment = _experiment(client, record.name)
        run = _find(client, experiment, record) or _create(client, experiment, record)
        if run.info.status != "FINISHED":
            _log(client, run.info.run_id, record, artifacts_of(record, root))
        source = f"{run.info.artifact_uri}/{ADAPTER}"
        version = registry.register(client, record, run_id=run.info.run_id, source=source)
        client.set_terminated(run.info.run_id, "FINISHED")
        receipt = receipt_now(store=store_name(), experiment_id=experiment, run_id=run.info.run_id, version=version)
    mark_uploaded(record, receipt, root)
    return receipt


def _experiment(client: Any, name: str) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name))
    if experiment.lifecycle_stage != "active":
        remedy = f"restore it: mlflow experiments restore --experiment-id {experiment.experiment_id}"
        raise MachineError(f"experiment {name!r} is deleted in the store", place=store_name(), remedy=remedy)
    return str(experiment.experiment_id)


def _find(client: Any, experiment: str, record: Record) -> Any:
    runs = client.search_runs([experiment], f"tags.`{RECORD}` = '{record.id}'", max_results=1)
    return runs[0] if runs else None


def _create(client: Any, experiment: str, record: Record) -> Any:
    tags = {
        RECORD: record.id,
        registry.LINEAGE: record.lineage,
        registry.COMMIT: record.commit,
        "tunegate.dirty": str(record.dirty).lower(),
        "mlflow.source.git.commit": record.commit,
        "mlflow.source.git.branch": record.branch,
        **record.tags,
    }
    return client.create_run(
        experiment,
        start_time=_milliseconds(record),
        tags={name: value for name, value in tags.items() if value},
        run_name=f"{record.checkout.short} {record.lineage[:8]}",
    )


def _log(client: Any, run_id: str, record: Record, artifacts: Path) -> None:
    from mlflow.entities import Metric, Param

    # One timestamp for all: MLflow drops a metric it already has, so repeating an upload adds no points.
    now = _milliseconds(record)
    params = [Param(key, value) for key, value in record.params.items()]
    metrics = [Metric(key, value, now, 0) for key, value in record.metrics.items()]
    for point in read_trajectory(artifacts / TRAJECTORY):
        step = int(point["step"])
        metrics += [Metric(f"train.{key}", value, now, step) for key, value in point.items() if key != "step"]
    for start in range(0, len(params), _PARAMS_PER_CALL):
        client.log_batch(run_id, params=params[start : start + _PARAMS_PER_CALL])
    for start in range(0, len(metrics), _METRICS_PER_CALL):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_CALL])
    client.log_artifacts(run_id, str(artifacts))


def _milliseconds(record: Record) -> int:
    return int(datetime.fromisoformat(record.recorded_at).timestamp() * 1000)
