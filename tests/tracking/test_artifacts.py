from pathlib import Path

import pytest

from tunegate.errors import MachineError
from tunegate.files import write_text
from tunegate.tracking.artifacts import download


@pytest.fixture
def run_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The artifacts of a run in a real store."""
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    client = MlflowClient()
    experiment = client.create_experiment("base-models", artifact_location=(tmp_path / "artifacts").as_uri())
    run = client.create_run(experiment)
    write_text(tmp_path / "model/config.json", "{}")
    client.log_artifacts(run.info.run_id, str(tmp_path / "model"), "model")
    return f"runs:/{run.info.run_id}/model"


def test_a_base_model_is_fetched_from_mlflow(run_uri: str, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert (download(run_uri, tmp_path / "new") / "config.json").read_text() == "{}"


def test_what_mlflow_does_not_have_is_named(run_uri: str, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot fetch models:/none/1"):
        download("models:/none/1", tmp_path)
