from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError, UsageError
from tunegate.files import read_yaml, write_yaml
from tunegate.launch.jobs import Job, job_of, require_forms

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = ROOT / "dvc.yaml"
NODE: dict[str, Any] = {"cpus": 1, "memory": "8G", "grace": 120}


@pytest.fixture
def params(tmp_path: Path) -> Path:
    values = read_yaml(ROOT / "params.yaml")
    values["compute"] |= {"processes": 2, "nodes": 3, "strategy": "ddp"}
    write_yaml(tmp_path / "params.yaml", values)
    return tmp_path / "params.yaml"


def test_a_job_has_the_nodes_of_params_yaml_and_the_command_of_dvc_yaml(params: Path) -> None:
    job = job_of(params, PIPELINE, **NODE)
    assert (job.nodes, job.gpus, job.name) == (3, 0, "permit-helpdesk-train")
    assert job.command.startswith("python -m tunegate.stages --key requirements/stages/train.txt train params.yaml ")


def test_on_a_gpu_each_process_of_a_node_gets_one(params: Path) -> None:
    values = read_yaml(params)
    values["train"]["device"] = "cuda"
    write_yaml(params, values)
    assert job_of(params, PIPELINE, **NODE).gpus == 2


def test_ray_starts_its_processes_itself(params: Path) -> None:
    values = read_yaml(params)
    values["compute"]["engine"] = "ray"
    write_yaml(params, values)
    with pytest.raises(InputError, match="Ray starts the processes itself") as caught:
        job_of(params, PIPELINE, **NODE)
    assert caught.value.place.endswith("params.yaml: compute.engine")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "Big_Job"}, "--name 'Big_Job' is not valid"),
        ({"name": "a" * 51}, "--name"),
        ({"memory": "much"}, "--memory 'much' is not valid"),
        ({"time": "4h"}, "--time '4h' is not valid"),
        ({"time": "1:2"}, "--time"),
    ],
)
def test_an_invalid_option_is_refused_with_an_example(params: Path, options: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        job_of(params, PIPELINE, **(NODE | options))
    assert caught.value.remedy.startswith("write it as ")


@pytest.mark.parametrize(
    "options",
    [
        {"partition": "gpu\n#SBATCH --uid=0"},
        {"partition": ""},
        {"image": "a b"},
        {"image": "a\n"},
        {"claim": "Project"},
        {"claim": "a\nb"},
    ],
)
def test_an_option_that_could_write_more_than_a_value_into_a_job_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="is not valid"):
        require_forms(options)
    require_forms({"partition": "gpu,long-2", "image": "registry.example:5000/a/b@sha256:0a", "claim": "project.1"})


@pytest.mark.parametrize(
    "pipeline",
    [
        {"stages": {}},
        [],
        {"stages": {"train": {"cmd": ["one", "two"]}}},
        {"stages": {"train": {"cmd": "one && two"}}},
        {"stages": {"train": {"cmd": "one;two"}}},
        {"stages": {"train": {"cmd": "one\ntwo\n"}}},
        {"stages": {"train": {"cmd": "one 'two"}}},
        {"stages": {"train": {"cmd": ""}}},
    ],
)
def test_a_pipeline_whose_training_is_not_one_command_is_refused(params: Path, pipeline: Any) -> None:
    write_yaml(params.parent / "dvc.yaml", pipeline)
    with pytest.raises(InputError, match="must be one command") as caught:
        job_of(params, params.parent / "dvc.yaml", **NODE)
    assert caught.value.place.endswith("dvc.yaml: stages.train.cmd")


@pytest.mark.parametrize(
    ("time", "seconds"), [("00:01:30", 90), ("04:00:00", 14400), ("2-00:00:01", 172801), (None, None)]
)
def test_a_time_is_so_many_seconds(time: str | None, seconds: int | None) -> None:
    assert Job("a", "b", 1, 0, 1, "1G", 60, time).seconds == seconds
