import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from tunegate.errors import TunegateError
from tunegate.files import read_json, read_yaml, write_json, write_text
from tunegate.models.resources import hardware
from tunegate.params import Params, parse
from tunegate.repository.lineage import Lineage
from tunegate.training import identity
from tunegate.training.identity import fingerprint, lineage

SHIPPED = Path(__file__).resolve().parents[2] / "params.yaml"
TEXTS = (
    "tokens/train.parquet",
    "tokens/valid.parquet",
    "base/model.safetensors",
    "base/tokenizer.json",
    "base/tokenizer_config.json",
    "base/chat_template.jinja",
    "rewards/answers.py",
)
KEY = Path("requirements/stages/train.txt")
RUNS = f"tunegate.training.loop {'0' * 32}\ntorch==2.13.0\n"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`made(section={key: value})`: the lineage of a training with these parameters, and its fingerprint."""
    monkeypatch.chdir(tmp_path)
    for name in TEXTS:
        write_text(Path(name), name)
    write_text(KEY, RUNS)
    for folder in ("base", "base/teacher"):
        write_text(Path(folder, "model.safetensors"), folder)
        write_json(Path(folder, "provenance.json"), {"files": {"model.safetensors": ""}})
        write_json(Path(folder, "config.json"), {"rms_norm_eps": 0.000001, "transformers_version": "5"})

    def make(**sections: dict[str, Any]) -> tuple[Lineage, dict[str, Any]]:
        values = read_yaml(SHIPPED)
        values |= {name: values[name] | changed for name, changed in sections.items()}
        params = parse(Params, values, place="params.yaml", remedy="")
        found = lineage(params, Path("tokens"), Path("base"), Path("rewards"), KEY)
        return found, fingerprint(found, params, Path("rewards"))

    return make


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name, value in one.items() if other[name] != value}


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("tokens/train.parquet", "data"),
        ("tokens/valid.parquet", "data"),
        ("base/model.safetensors", "base"),
        ("base/config.json", "base"),
        ("base/teacher/model.safetensors", "base"),
        ("base/teacher/config.json", "base"),
        ("base/chat_template.jinja", "template"),
        ("base/tokenizer.json", "tokenizer"),
        ("base/tokenizer_config.json", "tokenizer"),
    ],
)
def test_another_file_is_another_training_and_is_named(made: Any, file: str, part: str) -> None:
    before = made()
    path = Path(file)
    if path.suffix == ".json" and "tokenizer" not in file:
        write_json(path, read_json(path) | {"rms_norm_eps": 0.5})
    else:
        write_text(path, "another")
    after = made()
    assert before[0].key != after[0].key
    assert differing(before[1], after[1]) == {part}


def test_the_same_config_written_by_another_transformers_is_the_same_base(made: Any) -> None:
    before = made()
    write_json(Path("base/config.json"), read_json(Path("base/config.json")) | {"transformers_version": "6"})
    assert made() == before


@pytest.mark.parametrize(
    ("sections", "keys"),
    [
        ({"train": {"learning_rate": 0.5}}, {"params", "train.learning_rate"}),
        (
            {"compute": {"processes": 2, "strategy": "ddp"}},
            {"params", "compute.processes", "compute.strategy"},
        ),
    ],
)
def test_another_parameter_is_another_training_and_is_named(
    made: Any, sections: dict[str, Any], keys: set[str]
) -> None:
    before, after = made(), made(**sections)
    assert before[0].key != after[0].key
    assert differing(before[1], after[1]) == keys


@pytest.mark.parametrize(("line", "part"), [("tunegate.training.loop", "code"), ("torch==", "lock")])
def test_other_code_or_packages_are_another_training_and_are_named(made: Any, line: str, part: str) -> None:
    before = made()
    write_text(KEY, RUNS.replace(line, f"{line}1" if line.endswith("=") else f"{line}s"))
    assert differing(before[1], made()[1]) == {part}


def test_the_lineage_is_made_of_what_dvc_s_key_of_train_is_made_of(made: Any) -> None:
    """A parameter that `train` does not have in dvc.yaml is not in its lineage: DVC would not run it again for it."""
    train = read_yaml(SHIPPED.with_name("dvc.yaml"))["stages"]["train"]
    in_key, in_lineage = set(), set()
    before = made()[0].key
    for section, values in read_yaml(SHIPPED).items():
        changed = {"learning_rate": 0.5} if section == "train" else {key: other(value) for key, value in values.items()}
        for key, value in changed.items():
            with_it = {"strategy": "ddp"} if key == "processes" else {}
            try:
                lineage_key = made(**{section: {key: value} | with_it})[0].key
            except TunegateError:
                continue
            if lineage_key != before:
                in_lineage.add(f"{section}.{key}")
            if {section, f"{section}.{key}"} & set(train["params"]):
                in_key.add(f"{section}.{key}")
    assert in_lineage == in_key >= {"train.learning_rate", "compute.processes"}
    assert {"tokens", "base", "rewards", KEY.as_posix()} <= {path.removeprefix("data/").removeprefix("models/")
                                                             for path in train["deps"]}  # fmt: skip


def other(value: Any) -> Any:
    """Another value of the same kind; where the schema refuses it, the parameter is not looked at."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 or 1
    return (
        {None: "2GB", "none": "ddp", "local": "ray"}.get(value, value) if not isinstance(value, dict | list) else value
    )


@pytest.mark.parametrize("library", identity.LIBRARIES)
def test_a_checkpoint_of_another_version_of_a_library_is_told_by_its_name(
    made: Any, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = made(), importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0" if name == library else real(name))
    assert differing(before[1], made()[1]) == {library}


def test_another_reward_function_under_the_same_name_is_another_training(made: Any) -> None:
    reward = {"kind": "python", "function": "rewards/answers.py:polite"}
    train = {"technique": "reinforce", "reinforce": {"rewards": [reward]}}
    found = []
    for text in ("def polite(a, r): return 1", "def polite(a, r): return 2", "def polite(a, r): return 1"):
        write_text(Path("rewards/answers.py"), text)
        found.append(made(train=train))
    assert found[0] == found[2]
    assert found[0][0].key != found[1][0].key
    assert differing(found[0][1], found[1][1]) == {"params", "file rewards/answers.py"}


def test_the_fingerprint_names_the_processor_and_its_threads(made: Any) -> None:
    assert hardware("cpu") in made()[1]["machine"]
    assert torch.backends.cpu.get_cpu_capability() in made()[1]["machine"]
