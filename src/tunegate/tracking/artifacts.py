"""Fetching a model's files from MLflow, for catalogue entries of kind mlflow. Honours MLFLOW_TRACKING_URI."""

from pathlib import Path

from tunegate.errors import MachineError


def download(uri: str, folder: Path) -> Path:
    """Download the artifacts at `uri` (models:/… or runs:/…) into `folder`; return the folder that holds them."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(artifact_uri=uri, dst_path=str(folder)))
    except (MlflowException, OSError) as error:
        problem = f"cannot fetch {uri}: {str(error).splitlines()[0]}"
        remedy = "check MLFLOW_TRACKING_URI, the name and the version"
        raise MachineError(problem, place="models/catalog.yaml", remedy=remedy) from None
