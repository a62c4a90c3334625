"""Model versions in MLflow: the adapter of a run, registered once, and the alias `candidate`.

A version is one adapter of one lineage key; recording it again reuses it. `candidate` names the version recorded last,
whatever its quality: git says which version serves, not an alias. MLflow's stages are not used. The base model
is not uploaded: its name and checksum are in the lineage.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from tunegate.tracking.outbox import Record

CANDIDATE = "candidate"
LINEAGE = "tunegate.lineage"
ADAPTER = "tunegate.adapter"
COMMIT = "tunegate.commit"
RECORDED_AT = "tunegate.recorded_at"


def register(client: Any, record: Record, *, run_id: str, source: str) -> str:
    """The version of the record's adapter, registered when it is not yet. Moves `candidate`, never backwards in time.

    `source` is the URI of the adapter among the run's artifacts.
    """
    with _unless("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(record.name)
    version = _find(client, record) or _create(client, record, run_id, source)
    recorded_at = max(record.recorded_at, version.tags.get(RECORDED_AT, ""))
    client.set_model_version_tag(record.name, version.version, COMMIT, record.checkout.commit)
    client.set_model_version_tag(record.name, version.version, RECORDED_AT, recorded_at)
    if recorded_at >= _candidate_time(client, record.name):
        client.set_registered_model_alias(record.name, CANDIDATE, version.version)
    return str(version.version)


def _find(client: Any, record: Record) -> Any:
    query = f"name = '{record.name}' and tags.`{LINEAGE}` = '{record.lineage}'"
    versions = [v for v in client.search_model_versions(query) if v.tags.get(ADAPTER) == record.adapter]
    return min(versions, key=lambda version: int(version.version), default=None)


def _create(client: Any, record: Record, run_id: str, source: str) -> Any:
    # The tags travel with the creation: a kill right after it leaves a version that the next attempt finds.
    tags = {LINEAGE: record.lineage, ADAPTER: record.adapter, COMMIT: record.commit, RECORDED_AT: record.recorded_at}
    return client.create_model_version(record.name, source, run_id=run_id, tags=tags)


def _candidate_time(client: Any, name: str) -> str:
    model = client.get_registered_model(name)
    if CANDIDATE not in model.aliases:
        return ""
    return str(client.get_model_version_by_alias(name, CANDIDATE).tags.get(RECORDED_AT, ""))


@contextlib.contextmanager
def _unless(code: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != code:
            raise
