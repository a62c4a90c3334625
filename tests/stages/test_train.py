import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from train_stage import ROWS, STAGE, set_params

from tunegate.errors import InputError
from tunegate.files import read_json, sha256_of_tree, write_text
from tunegate.models.base_identity import require_base
from tunegate.models.cost import TrainCost, read_cost
from tunegate.models.folders import read_record
from tunegate.stages import train


def test_the_adapter_its_trajectory_and_its_cost_tell_of_one_run(trained: Path) -> None:
    summary, cost = read_json(Path("adapter/training.json")), read_cost(Path("cost.json"), TrainCost)
    with Path("trajectory.csv").open() as stream:
        steps = list(csv.DictReader(stream))
    assert [int(step["step"]) for step in steps] == list(range(1, len(steps) + 1))
    assert (summary["steps"], summary["rows"], cost.steps) == (len(steps), len(ROWS), len(steps))
    assert summary["tokens"] == cost.tokens == 2 * sum(row.length for row in ROWS)
    assert not cost.resumed
    assert (read_record(Path("adapter")).technique, read_record(Path("adapter")).adapter) == ("sft", "lora")
    require_base(Path("base"), Path("adapter"))
    assert not list(Path(".tunegate").rglob("run.json")), "a checkpoint of a run that is done"


def test_the_same_run_again_gives_the_same_bytes(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sha256_of_tree(Path("adapter")), Path("trajectory.csv").read_bytes()
    AcceleratorState._reset_state(reset_partial_state=True)
    train.main(*STAGE[1:])
    assert (sha256_of_tree(Path("adapter")), Path("trajectory.csv").read_bytes()) == before
    steps, key = read_json(Path("adapter/training.json"))["steps"], read_json(Path("adapter/lineage.json"))["key"]
    assert capsys.readouterr().out == f"train: {steps} steps, lineage {key[:12]}\n"


def test_a_run_that_is_refused_leaves_what_was_there(trained: Path) -> None:
    before = sha256_of_tree(Path("adapter"))
    AcceleratorState._reset_state(reset_partial_state=True)
    set_params({}, target_modules=["q_prj"])
    with pytest.raises(InputError, match="did you mean 'q_proj'"):
        train.main(*STAGE[1:])
    assert sha256_of_tree(Path("adapter")) == before


def test_portable_instructions_are_chosen_before_torch_is_loaded(trained: Path, tmp_path: Path) -> None:
    set_params({}, instructions="portable")
    # A torch that tells what it was loaded with, and goes no further.
    write_text(tmp_path / "fake/torch.py", "import os, sys; sys.exit(os.environ['MKL_CBWR'])")
    environment = {name: value for name, value in os.environ.items() if name != "TUNEGATE_TEST_FORKSERVER"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "fake"), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "tunegate.stages", *STAGE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stderr.strip(), done.returncode) == ("COMPATIBLE", 1)
