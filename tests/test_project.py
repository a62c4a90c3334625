"""What holds in every project: dvc.yaml, params.yaml and docs say the same. `tunegate init` ships this file."""

import importlib.util
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from tunegate.files import read_yaml
from tunegate.params import Params, Technique, load_params

ROOT = Path(__file__).resolve().parents[1]
STAGES: dict[str, dict[str, Any]] = read_yaml(ROOT / "dvc.yaml")["stages"]
OURS = {name: stage for name, stage in STAGES.items() if "tunegate.stages " in stage["cmd"]}


def declared(stage: dict[str, Any]) -> set[str]:
    """Every path that DVC is told of."""
    entries = [entry for kind in ("deps", "outs", "metrics", "plots") for entry in stage.get(kind, [])]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def test_there_are_stages_to_check() -> None:
    assert OURS


@pytest.mark.parametrize("name", OURS)
def test_a_stage_is_given_exactly_the_paths_that_dvc_knows(name: str) -> None:
    _, _, _, _, key, _, *paths = shlex.split(OURS[name]["cmd"])
    params = {"params.yaml"} if OURS[name].get("params") else set()
    assert {key, *paths} == declared(OURS[name]) | params


@pytest.mark.parametrize("name", OURS)
def test_a_stage_runs_the_module_and_reads_the_section_of_its_own_name(name: str) -> None:
    key = f"requirements/stages/{name}.txt"
    assert shlex.split(OURS[name]["cmd"])[:6] == ["python", "-m", "tunegate.stages", "--key", key, name]
    assert importlib.util.find_spec(f"tunegate.stages.{name}"), "dvc.yaml names a stage that tunegate does not have"
    assert name in OURS[name]["params"]
    assert OURS[name]["desc"]


def test_every_plot_is_of_a_file_that_a_stage_makes() -> None:
    made = {path for stage in OURS.values() for path in declared({"outs": stage.get("outs", [])})}
    for plot in read_yaml(ROOT / "dvc.yaml").get("plots", []):
        assert {path for own in plot.values() for path in own["y"]} <= made


@pytest.mark.parametrize("name", OURS)
def test_every_param_that_a_stage_depends_on_is_in_the_file(name: str) -> None:
    written = read_yaml(ROOT / "params.yaml")
    for key in OURS[name]["params"]:
        section, _, rest = key.partition(".")
        assert section in written
        assert not rest or rest in written[section]


def test_every_section_of_the_params_belongs_to_a_stage_or_changes_no_result() -> None:
    sections = {field.alias or name for name, field in Params.model_fields.items()}
    assert sections == {*OURS, "compute"}


def test_the_params_are_valid() -> None:
    load_params(ROOT / "params.yaml")


def test_the_params_leave_nothing_to_defaults() -> None:
    written = read_yaml(ROOT / "params.yaml")
    for section, field in Params.model_fields.items():
        known = {inner.alias or key for key, inner in field.annotation.model_fields.items()}  # type: ignore[union-attr]
        assert set(written[field.alias or section]) == known - set(get_args(Technique))


def test_the_docs_of_the_params_are_up_to_date() -> None:
    command = [sys.executable, "-m", "tunegate.cli", "params", "docs", "--check"]
    subprocess.run(command, cwd=ROOT, check=True)
