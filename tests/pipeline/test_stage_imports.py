"""Every stage on the tiny profile, each in a process that tells what it has imported, held against its key file."""

import importlib.metadata
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tunegate.files import read_text, read_yaml, write_text, write_yaml
from tunegate.repository.import_graph import (
    LOCK,
    PACKAGES_LEFT_OUT,
    code_of,
    is_left_out,
    normalised,
    with_requirements,
)
from tunegate.repository.stage_keys import PIN, StageKey, read_key

ROOT = Path(__file__).resolve().parents[2]
PINNED = {normalised(name) for name, _ in PIN.findall(read_text(ROOT / LOCK))}
HOOK = """
import atexit, json, os, sys
if "tunegate.stages" in sys.orig_argv:
    atexit.register(lambda: json.dump(sorted(sys.modules), open(os.environ["IMPORTED"], "w")))
"""
RUNNER = {"tunegate.repository.import_graph", "tunegate.repository.stage_keys", "tunegate.text"}
"""What refuses to run a stage whose key file is out of date, before the stage."""
TELLS_MLFLOW = {
    "tunegate.locks", "tunegate.repository.git", "tunegate.tracking.registry", "tunegate.tracking.store",
}  # fmt: skip
"""What the modules that are left out import, once the files of `score` are decided."""
NEVER_IMPORTED_HERE = {
    "base": {"gguf": "for weights in a GGUF file"},
    "train": {
        "attrs": "for rewards of kind json_schema",
        "jsonschema": "for rewards of kind json_schema",
        "jsonschema-specifications": "for rewards of kind json_schema",
        "referencing": "for rewards of kind json_schema",
        "rpds-py": "for rewards of kind json_schema",
    },
    "validate": {"pycparser": "for building cffi", "tzdata": "for platforms without time zones"},
    "prepare": {"selectolax": "for prepare.strip_html", "tzdata": "for platforms without time zones"},
}
"""Of a stage's key, by reason: what this run of the pipeline does not need. At most 5 % of all keys."""
BECAUSE_IT_IS_THERE = {
    "grimp", "huggingface-hub", "packaging", "pyyaml",
    "accelerate", "bcrypt", "cloudpickle", "databricks-sdk", "google-auth", "orjson", "pandas", "pillow", "protobuf",
    "pydot", "pygments", "python-dateutil", "scipy", "sqlalchemy",
}  # fmt: skip
"""What transformers, pyarrow and Great Expectations import where it is installed, for what no stage asks of them."""


class Ran(NamedTuple):
    key: StageKey
    modules: set[str]
    packages: set[str]


@pytest.fixture(scope="module")
def ran(make_project: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    folder = tmp_path_factory.mktemp("imports")
    project = make_project(folder / "project")
    params = read_yaml(project / "params.yaml")
    params["train"]["epochs"] = 1
    write_yaml(project / "params.yaml", params)
    write_text(folder / "hook/sitecustomize.py", HOOK)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(folder / "hook"), str(ROOT / "src")]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("TUNEGATE_TEST_FORKSERVER", None)
    subprocess.run(["tunegate", "keys"], cwd=project, env=environment, check=True)
    owners = importlib.metadata.packages_distributions()
    results = {}
    for name, stage in read_yaml(project / "dvc.yaml")["stages"].items():
        command = [sys.executable, *shlex.split(stage["cmd"])[1:]]
        imported = folder / f"{name}.json"
        subprocess.run(command, cwd=project, env=environment | {"IMPORTED": str(imported)}, check=True)
        modules = set(json.loads(imported.read_text(encoding="utf-8")))
        packages = {normalised(owner) for module in modules for owner in owners.get(module.partition(".")[0], ())}
        key = read_key(project / f"requirements/stages/{name}.txt")
        key = key._replace(modules={name: digest for name, digest in key.modules.items() if "/" not in name})
        results[name] = Ran(key, {m for m in modules if m.startswith("tunegate.")}, packages & PINNED)
    return results


def source_of(module: str) -> str:
    path = ROOT / "src" / module.replace(".", "/")
    return read_text(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))


def test_every_stage_has_run(ran: dict[str, Ran]) -> None:
    assert ran.keys() == read_yaml(ROOT / "dvc.yaml")["stages"].keys()
    assert all(result.modules for result in ran.values())


def test_what_a_stage_imports_is_in_its_key(ran: dict[str, Ran]) -> None:
    # What is told MLflow is told by modules that are left out.
    mlflow = with_requirements(["mlflow", "mlflow-skinny"], PINNED)
    missing: dict[str, set[str]] = {}
    for name, result in ran.items():
        others = result.modules - result.key.modules.keys() - RUNNER - (TELLS_MLFLOW if name == "score" else set())
        modules = {module for module in others if not is_left_out(module) and code_of(source_of(module))}
        by_them = mlflow if "tunegate.tracking.store" in result.modules else set()
        packages = result.packages - result.key.packages.keys() - PACKAGES_LEFT_OUT.keys() - BECAUSE_IT_IS_THERE
        missing[name] = modules | (packages - by_them)
    assert {name: names for name, names in missing.items() if names} == {}


def test_what_is_in_a_stage_s_key_is_imported(ran: dict[str, Ran]) -> None:
    lines = {name: {*result.key.modules, *result.key.packages} for name, result in ran.items()}
    unused = {name: lines[name] - result.modules - result.packages for name, result in ran.items()}
    named = {name: set(NEVER_IMPORTED_HERE.get(name, {})) for name in ran}
    assert {name: unused[name] - named[name] for name in ran if unused[name] - named[name]} == {}
    assert sum(map(len, named.values())) <= 0.05 * sum(map(len, lines.values()))
