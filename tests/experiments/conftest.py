import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from formula import make_formula


@pytest.fixture(scope="session")
def first_formula(run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of tests/formula.py. Read only."""
    return make_formula(tmp_path_factory.mktemp("formula") / "project", run)


@pytest.fixture
def formula(first_formula: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    folder = Path(shutil.copytree(first_formula, tmp_path / "project", symlinks=True))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TUNEGATE_UPLOAD", "0")
    return folder
