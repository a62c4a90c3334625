"""Bad input as a person meets it: through `dvc repro`, or the stage's own command where DVC's cache would answer."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.files import read_yaml, write_yaml

Run = Callable[..., str]


def stage(project: Path, name: str, run: Run, code: int) -> str:
    words = shlex.split(read_yaml(project / "dvc.yaml")["stages"][name]["cmd"])
    said = run(sys.executable, *words[1:], cwd=project, code=code)
    assert "error: " in said
    assert "fix: " in said
    assert "Traceback" not in said
    assert not list(project.rglob("*.part"))
    return said


def test_a_tampered_base_model_is_refused(project: Path, run: Run) -> None:
    weights = project / "base-model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert "models.tiny.source.files[model.safetensors]" in stage(project, "base", run, 3)


def test_a_tampered_adapter_is_refused_by_whoever_uses_it(project: Path, run: Run) -> None:
    lineage = project / "models/adapter/lineage.json"
    lineage.unlink()
    lineage.write_text((project / "models/package/adapter/lineage.json").read_text().replace('"data": "', '"data": "0'))
    assert "does not match its parts" in stage(project, "evaluate", run, 3)


def test_an_adapter_of_another_base_is_refused(project: Path, run: Run) -> None:
    template = project / "models/base/chat_template.jinja"
    text = template.read_text()
    template.unlink()
    template.write_text(text + " ")
    assert "another template" in stage(project, "evaluate", run, 3)


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("base", "model", "tinny", "did you mean 'tiny'"),
        ("base", "allowed_licenses", ["Apache-2.0"], "licence 'MIT' is not allowed"),
        ("train", "rnak", 4, "params.yaml: train.rnak: unknown key; did you mean 'rank'?"),
        ("train", "target_modules", ["no_such_layer"], "params.yaml: train.target_modules"),
        ("train", "device", "cuda", "this machine has no usable GPU"),
        ("tokenize", "max_length", 8, "params.yaml: tokenize: no example of the split train fits into 8 tokens"),
    ],
)
def test_a_bad_param_stops_the_stage_with_place_value_and_remedy(
    project: Path, run: Run, section: str, key: str, value: object, said: str
) -> None:
    import torch

    if value == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    params = read_yaml(project / "params.yaml")
    params[section][key] = value
    write_yaml(project / "params.yaml", params)
    code = 3 if key == "allowed_licenses" else 1
    assert said in stage(project, section, run, code)


def test_a_cut_parquet_file_is_an_error_with_its_path(project: Path, run: Run) -> None:
    rows = project / "data/tokens/train.parquet"
    content = rows.read_bytes()
    rows.unlink()
    rows.write_bytes(content[: len(content) // 2])
    assert "data/tokens/train.parquet: not a complete Parquet file" in stage(project, "train", run, 1)
