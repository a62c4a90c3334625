import re
from pathlib import Path
from typing import Any, get_args

import pytest
from technique_runs import start_of

from tunegate.files import parse_yaml, read_text, read_yaml
from tunegate.params import Params, Technique, Train, parse

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/training.md"
BLOCKS = [parse_yaml(text, place=PAGE) for text in re.findall(r"(?ms)^```yaml\n(.*?)^```$", read_text(ROOT / PAGE))]


@pytest.mark.parametrize("block", [b for b in BLOCKS if "train" in b], ids=lambda block: str(block["train"]))
def test_the_parameters_that_the_page_shows_are_valid(block: dict[str, Any]) -> None:
    shipped = read_yaml(ROOT / "params.yaml")
    params = shipped | {name: shipped[name] | values for name, values in block.items()}
    if block["train"].get("adapter") in ("full", "head"):
        refused = {"rank", "alpha", "dropout", "target_modules"} - block["train"].keys()
        params["train"] = {name: value for name, value in params["train"].items() if name not in refused}
    parse(Params, params, place=PAGE, remedy="mend the page")


@pytest.mark.parametrize("name", ["pretrain", "multitask", "semisupervised", "fewshot"])
def test_the_page_shows_the_parameters_of_the_technique(name: str) -> None:
    assert [block for block in BLOCKS if block.get("train", {}).get("technique") == name]


@pytest.mark.parametrize("name", ["sft", "pretrain", "multitask", "semisupervised", "fewshot"])
def test_a_technique_s_name_chooses_it(name: Any, tiny_model: Path) -> None:
    assert name in get_args(Technique)
    _, technique = start_of(tiny_model, Train(technique=name, precision="fp32"))
    assert technique.notes == (("adapted_loss",) if name == "fewshot" else ())
    assert technique.phases == (3 if name == "semisupervised" else 1)
