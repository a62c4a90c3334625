"""Records of runs on this machine: written before anything is uploaded, small receipts afterwards.

    .tunegate/runs/<id>/record.json    what the run was: parameters, metrics, lineage, commit
    .tunegate/runs/<id>/artifacts/     copies of the adapter and the reports, until they are uploaded
    .tunegate/runs/<id>/receipt.json   where they went: present means uploaded

The id is a digest of the record's content, so recording the same model at the same commit again gives the same id, here
and on any other machine.
"""

import contextlib
import datetime
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from tunegate.files import STATE, atomic_folder, read_json, sha256_of_tree, write_json
from tunegate.locks import file_lock
from tunegate.params import Closed, parse
from tunegate.repository.lineage import digest
from tunegate.repository.working_copy import Checkout

RUNS = STATE / "runs"
ADAPTER = "adapter"
"""The name of the adapter among a record's artifacts."""
COST = "cost."
"""How the names of metrics about costs begin."""

_REMEDY = "delete this folder if its run is in MLflow; otherwise run `dvc repro --force score`"


class Receipt(Closed):
    """Where an uploaded record is."""

    store: str
    """The tracking store, without secrets."""
    experiment_id: str
    run_id: str
    version: str
    """Version of the registered model."""
    uploaded_at: str


class Run(Closed):
    """One run of train and score."""

    name: str
    """Experiment and registered model."""
    commit: str
    branch: str
    dirty: bool
    lineage: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str] = Field(default={})
    """What is for information only, for instance the hardware."""

    @property
    def checkout(self) -> Checkout:
        """The state of git when it was recorded."""
        return Checkout(self.commit, self.branch, dirty=self.dirty)


class Record(Run):
    """A recorded run."""

    id: str
    recorded_at: str
    """UTC, ISO 8601."""
    adapter: str
    """sha256 of the adapter folder: on a GPU, one lineage key can give more than one adapter."""
    receipt: Receipt | None = None
    """Filled when read from a record that is uploaded."""


def write_record(run: Run, artifacts: Mapping[str, Path], root: Path = RUNS) -> Record:
    """Record a run with copies of `artifacts`, files and folders by name, so that its upload needs nothing else."""
    adapter = sha256_of_tree(artifacts[ADAPTER])
    # Not the timings and costs: they differ each time.
    metrics = {n: value for n, value in run.metrics.items() if not (n.endswith("_seconds") or n.startswith(COST))}
    content = [run.name, run.commit, run.dirty, run.lineage, run.params, adapter, metrics]
    record = Record(**run.model_dump(), id=digest(content)[:16], recorded_at=_now(), adapter=adapter)
    with atomic_folder(root / record.id) as folder:
        for target, source in artifacts.items():
            _copy(source, folder / "artifacts" / target)
        write_json(folder / "record.json", record.model_dump(exclude={"receipt"}))
    return record


def read_records(root: Path = RUNS) -> list[Record]:
    """Every record, the oldest first. Raises InputError for a damaged one."""
    records = [_read(path.parent) for path in sorted(root.glob("[!.]*/record.json"))]
    return sorted(records, key=lambda record: (record.recorded_at, record.id))


def artifacts_of(record: Record, root: Path = RUNS) -> Path:
    """The folder with the record's copies; empty after the upload."""
    return root / record.id / "artifacts"


def mark_uploaded(record: Record, receipt: Receipt, root: Path = RUNS) -> Record:
    """Turn an uploaded record into its receipt and drop the copies. Safe to repeat after a kill."""
    write_json(root / record.id / "receipt.json", receipt.model_dump())
    shutil.rmtree(artifacts_of(record, root), ignore_errors=True)
    return record.model_copy(update={"receipt": receipt})


def receipt_now(*, store: str, experiment_id: str, run_id: str, version: str) -> Receipt:
    """A receipt of this moment."""
    return Receipt(store=store, experiment_id=experiment_id, run_id=run_id, version=version, uploaded_at=_now())


@contextlib.contextmanager
def upload_lock(root: Path = RUNS) -> Iterator[None]:
    """Hold the outbox. Raises MachineError when another process on this machine does: two would upload twice."""
    remedy = "wait for it, then run `tunegate runs sync`"
    with file_lock(root / ".lock", "another process is uploading", place=str(root), remedy=remedy):
        yield


def _read(folder: Path) -> Record:
    record = parse(Record, read_json(folder / "record.json"), place=str(folder / "record.json"), remedy=_REMEDY)
    path = folder / "receipt.json"
    if not path.exists():
        return record
    return record.model_copy(update={"receipt": parse(Receipt, read_json(path), place=str(path), remedy=_REMEDY)})


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
