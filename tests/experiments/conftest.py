import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from analytic_project import make_analytic_project


@pytest.fixture(scope="session")
def first_analytic_project(run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of tests/analytic_project.py. Read only."""
    return make_analytic_project(tmp_path_factory.mktemp("formula") / "project", run)


@pytest.fixture
def analytic_project(first_analytic_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    folder = Path(shutil.copytree(first_analytic_project, tmp_path / "project", symlinks=True))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TUNEGATE_UPLOAD", "0")
    return folder
