import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
import torch

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
    "lock.txt",
)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`made(section={key: value})`: the lineage of a training with these parameters, and its fingerprint."""
    monkeypatch.chdir(tmp_path)
    for name in TEXTS:
        write_text(Path(name), name)
    for folder in ("base", "base/teacher"):
        write_text(Path(folder, "model.safetensors"), folder)
        write_json(Path(folder, "provenance.json"), {"files": {"model.safetensors": ""}})
        write_json(Path(folder, "config.json"), {"rms_norm_eps": 0.000001, "transformers_version": "5"})

    def make(**sections: dict[str, Any]) -> tuple[Lineage, dict[str, Any]]:
        values = read_yaml(SHIPPED)
        values |= {name: values[name] | changed for name, changed in sections.items()}
        params = parse(Params, values, place="params.yaml", remedy="")
        found = lineage(params, Path("tokens"), Path("base"), Path("rewards"), Path("lock.txt"))
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
        ("lock.txt", "lock"),
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
        ({"tokenize": {"max_length": 99}}, {"params"}),
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


def test_what_is_said_of_later_stages_or_changes_no_bytes_is_the_same_training(made: Any) -> None:
    assert made() == made(evaluate={"batch_size": 3}, compute={"reuse": False, "memory": "2GB"})


@pytest.mark.parametrize("library", identity.LIBRARIES)
def test_a_checkpoint_of_another_version_of_a_library_is_told_by_its_name(
    made: Any, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = made(), importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0" if name == library else real(name))
    assert differing(before[1], made()[1]) == {library}


def test_another_code_is_another_training(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = made()
    monkeypatch.setattr(identity, "code_digest", lambda _parts: "0" * 64)
    assert differing(before[1], made()[1]) == {"code"}


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
