import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.refresh.refresh import Outcome, RefreshOptions, refresh
from tunegate.data.sources.declaration import Source
from tunegate.files import read_json
from tunegate.params import parse
from tunegate.tables import read_parquet


class Project:
    """A DVC project in `root`, which is the current folder, and one source of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.raw = Path("data/raw")

    def refresh(self, declared: dict[str, Any], *, name: str = "tickets", **options: Any) -> Outcome:
        """Refresh the source `name`, declared as sql, rest or object."""
        source = parse(Source, {"name": name, **declared}, place="test", remedy="correct the test")
        return refresh(source, self.raw, f"data/sources.yaml: {name}", RefreshOptions(**{"memory": 2**28, **options}))

    def rows(self, name: str = "tickets") -> list[dict[str, Any]]:
        """The rows of the snapshot."""
        return list(read_parquet(self.raw / f"{name}.parquet").to_pylist())

    def record(self, name: str = "tickets") -> Any:
        """The record of the snapshot."""
        return read_json(self.raw / f"{name}.snapshot.json")

    def state(self) -> dict[str, tuple[bytes, int]]:
        """Bytes and time of every file in data/raw."""
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in self.raw.iterdir()}


@pytest.fixture(scope="session")
def dvc_project(run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dvc")
    run("git", "init", "-q", "-b", "main", cwd=root)
    run("dvc", "init", "-q", cwd=root)
    return root


@pytest.fixture
def project(dvc_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "project"
    subprocess.run(["cp", "-r", str(dvc_project), str(root)], check=True)
    monkeypatch.chdir(root)
    return Project(root)
