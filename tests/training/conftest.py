from pathlib import Path

import pytest
from training_place import make_training_place


@pytest.fixture
def training_place(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stage `train` reads, as the working directory, started by nobody."""
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    make_training_place(tiny_model)
    return tmp_path
