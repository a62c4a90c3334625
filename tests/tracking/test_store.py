from pathlib import Path

import pytest

from tunegate.errors import MachineError
from tunegate.tracking.store import LOCAL, public, store_errors, store_name, tracking_uri


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("http://me:pw@host:5000/x", "http://***@host:5000/x"),
        ("https://me:p@w@host", "https://***@host"),
        ("postgresql://host/db?user=me&password=pw", "postgresql://host/db?***"),
        ("cannot reach http://me:pw@host: refused", "cannot reach http://***@host: refused"),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////tmp/mlflow.db", "sqlite:////tmp/mlflow.db"),
    ],
)
def test_a_secret_in_a_uri_is_masked(secret: str, shown: str) -> None:
    assert public(secret) == shown


def test_the_default_store_is_in_the_working_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", " ")
    assert tracking_uri() == f"sqlite:///{tmp_path}/mlflow.db"
    assert store_name() == LOCAL


def test_an_error_of_the_store_loses_its_secrets_and_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:pw@host")
    with pytest.raises(MachineError) as caught, store_errors(seconds=None):
        raise ValueError("http://me:pw@host said no\nand more")
    assert str(caught.value).startswith("error: http://***@host: http://***@host said no\nfix: ")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
