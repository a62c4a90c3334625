from pathlib import Path

import pytest
from train_stage import make_train_inputs


@pytest.fixture
def train_inputs(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stage `train` reads, as the working directory, started by nobody."""
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    make_train_inputs(tiny_model)
    return tmp_path
