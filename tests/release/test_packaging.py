from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from tiny_models import make_model

from tunegate.errors import InputError
from tunegate.files import read_text, read_yaml, sha256_of, write_json
from tunegate.models.base_identity import base_parts
from tunegate.models.batch_layouts import head_logits
from tunegate.models.folders import TUNED
from tunegate.models.labels import Labels
from tunegate.models.manifest import verify
from tunegate.models.tokens.examples import Example
from tunegate.params import Params, parse
from tunegate.release.packaging import package
from tunegate.repository.lineage import FILE, Parts, lineage_of
from tunegate.training.adapter import record_of, save_adapter, start, trainable

ROOT = Path(__file__).resolve().parents[2]
LABELS = Labels(("heat", "roof"))
EXAMPLES = [Example(str(n), [0, 10 + n, 11, 12, 2], [-100] * 5, target="roof") for n in range(4)]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


def params(adapter: str, export: str) -> Params:
    values = read_yaml(ROOT / "params.yaml")
    values["train"] = {"technique": "classify", "adapter": adapter, "precision": "fp32"}
    values["package"]["export"] = export
    return parse(Params, values, place="params.yaml", remedy="")


def packaged(adapter: str, export: str = "safetensors") -> Any:
    """What was trained, moved a little, and its package in the folder `package`."""
    settings = params(adapter, export)
    base, folder, target = Path("base"), Path("adapter"), Path("package")
    for place, name, licence in ((base, "tiny", "MIT"), (base / "teacher", "large", "Apache-2.0")):
        make_model("bert", place)
        files = {file.name: sha256_of(file) for file in sorted(place.iterdir())}
        write_json(place / "provenance.json", {"files": files, "model": name, "license": licence})
    model = start(base, settings.train, LABELS).eval()
    with torch.no_grad():
        for weight in trainable(model).values():
            weight.add_(0.05 * torch.randn_like(weight))
    folder.mkdir()
    target.mkdir()
    save_adapter(model, folder, "models/base")
    write_json(folder / TUNED, record_of(settings.train, LABELS).model_dump(mode="json"))
    lineage = lineage_of(Parts(**(dict.fromkeys(Parts.model_fields, "0" * 64) | base_parts(base))))
    write_json(folder / FILE, lineage.model_dump())
    metrics = {"lineage": lineage.key, "rows": 4, "base": {"accuracy": 0.0}, "tuned": {"accuracy": 1.0}}
    package(settings, base, folder, EXAMPLES, metrics, target)
    return model


@pytest.mark.parametrize("adapter", ["lora", "full", "head"])
def test_a_packaged_classifier_opens_in_transformers_and_answers_as_it_was_trained(adapter: str) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = packaged(adapter)
    manifest = verify(Path("package"))
    assert manifest.export == "safetensors"
    assert manifest.auxiliary_models["teacher"].license == "Apache-2.0"
    opened = AutoModelForSequenceClassification.from_pretrained("package").eval()
    rows = [example.ids for example in EXAMPLES]
    with torch.no_grad():
        assert torch.allclose(head_logits(opened, rows), head_logits(model, rows), atol=1e-5)
    assert opened.config.id2label == {0: "heat", 1: "roof"}
    assert AutoTokenizer.from_pretrained("package")("the roof")["input_ids"] == [0, 6, 7, 2]
    card = read_text(Path("package/README.md"))
    assert "text-classification" in card
    assert "transformers loads this folder" in card
    assert "Its teacher was `large` (Apache-2.0)." in card


def test_a_model_with_a_head_is_not_exported_to_a_file_for_decoders() -> None:
    with pytest.raises(InputError, match="cannot export the architecture BertForSequenceClassification"):
        packaged("full", "f16")
