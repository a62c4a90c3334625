from pathlib import Path
from typing import Any

import pytest

from tunegate.files import read_yaml, write_json, write_text
from tunegate.params import Params, parse
from tunegate.repository.lineage import Lineage
from tunegate.training.identity import fingerprint, lineage

SHIPPED = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`made(train)`: the lineage of a training with these parameters, and its fingerprint."""
    monkeypatch.chdir(tmp_path)
    for name in ("tokens/train.parquet", "tokens/valid.parquet", "base/model.safetensors", "base/tokenizer.json",
                 "base/tokenizer_config.json", "base/chat_template.jinja", "lock.txt"):  # fmt: skip
        write_text(Path(name), name)
    write_json(Path("base/provenance.json"), {"files": {"model.safetensors": ""}})

    def make(train: dict[str, Any]) -> tuple[Lineage, dict[str, Any]]:
        values = read_yaml(SHIPPED)
        params = parse(Params, values | {"train": values["train"] | train}, place="params.yaml", remedy="")
        found = lineage(params, Path("tokens"), Path("base"), Path("rewards"), Path("lock.txt"))
        return found, fingerprint(found, params, Path("rewards"))

    return make


def test_another_reward_function_under_the_same_name_is_another_training(made: Any) -> None:
    reward = {"kind": "python", "function": "rewards/answers.py:polite"}
    train = {"technique": "reinforce", "reinforce": {"rewards": [reward]}}
    found = []
    for text in ("def polite(a, r): return 1", "def polite(a, r): return 2", "def polite(a, r): return 1"):
        write_text(Path("rewards/answers.py"), text)
        found.append(made(train))
    assert found[0] == found[2]
    assert found[0][0].key != found[1][0].key
    differing = {name for name, value in found[0][1].items() if found[1][1][name] != value}
    assert differing == {"params", "file rewards/answers.py"}
