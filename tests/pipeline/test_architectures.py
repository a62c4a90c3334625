"""Every architecture of the tests' list trains, is saved, loaded and predicts the same, to the bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from tiny_models import DECODERS, ENCODERS, make_model

from tunegate.errors import InputError
from tunegate.evaluation.predictions import predictions_of
from tunegate.files import sha256_of, write_json
from tunegate.models.base_identity import base_parts
from tunegate.models.batch_layouts import head_logits
from tunegate.models.folders import TUNED
from tunegate.models.labels import labels_of
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.formats.choice import format_of
from tunegate.models.tuned import TunedModel, load_tuned
from tunegate.params import Evaluate, Tokenize, Train
from tunegate.repository.lineage import FILE, Parts, lineage_of
from tunegate.training import loop
from tunegate.training.adapter import record_of, save_adapter, start, trainable
from tunegate.training.setup import technique_of

TEXTS = {"roof": "the roof leaks", "heat": "no warm water in flat", "noise": "pump hums"}
ROWS = [
    {
        "id": str(n),
        "group": str(n),
        "messages": None,
        "text": f"{text} {n}",
        "label": label,
        "slices": [],
        "source": "s",
    }
    for n, (label, text) in enumerate([*TEXTS.items()] * 4)
]
COMMON: dict[str, Any] = {"precision": "fp32", "epochs": 1, "tokens_per_step": 64, "learning_rate": 0.01}
HEADS = [*ENCODERS, "llama"]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name in (*ENCODERS, *DECODERS):
        folder = make_model(name, tmp_path_factory.mktemp(name) / "base")
        write_json(folder / "provenance.json", {"files": {f.name: sha256_of(f) for f in sorted(folder.iterdir())}})
        found[name] = folder
    return found


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


def tuned(base: Path, settings: Train) -> tuple[Any, TunedModel]:
    """The model as it was trained, and as it is loaded again."""
    layout = format_of(settings.technique, Tokenize())
    examples = list(layout(Recipe.of(load_tokenizer(base)), ROWS))
    labels = labels_of(examples, examples, settings.classify) if settings.technique == "classify" else None
    model = start(base, settings, labels)
    before = {name: parameter.detach().clone() for name, parameter in trainable(model).items()}
    loop.run(model, examples, examples[:3], settings, technique_of(settings, model, base), {})
    assert any(not torch.equal(before[name], parameter) for name, parameter in trainable(model).items())
    folder = Path("adapter")
    folder.mkdir()
    save_adapter(model, folder, "models/base")
    write_json(folder / TUNED, record_of(settings, labels).model_dump(mode="json"))
    parts = dict.fromkeys(Parts.model_fields, "0" * 64) | base_parts(base)
    write_json(folder / FILE, lineage_of(Parts(**parts)).model_dump())
    # torch sums in another order where a weight wants a gradient.
    return model.eval().requires_grad_(False), load_tuned(base, folder, device="cpu", precision="fp32")


@pytest.mark.parametrize("adapter", ["lora", "full", "head"])
@pytest.mark.parametrize("name", HEADS)
def test_a_classifier_trains_is_saved_loaded_and_gives_the_same_logits(
    name: str, adapter: Any, bases: dict[str, Path]
) -> None:
    more = {"rank": 2} if adapter == "lora" else {}
    settings = Train(technique="classify", adapter=adapter, **more, **COMMON)
    model, loaded = tuned(bases[name], settings)
    rows = [[10, 11, 12], [10, 14, 15, 16, 17, 18], [11, 19]]
    with torch.no_grad():
        assert torch.equal(head_logits(model, rows), head_logits(loaded.model, rows))
    found = predictions_of(loaded, load_tokenizer(bases[name]), ROWS, Evaluate())
    assert len(found) == len(ROWS)
    assert any(row["base_nll"] != row["tuned_nll"] for row in found)


@pytest.mark.parametrize("adapter", ["lora", "full"])
@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_trains_on_answers_is_saved_loaded_and_answers_the_same(
    name: str, adapter: Any, bases: dict[str, Path]
) -> None:
    more: dict[str, Any] = {"rank": 2} if adapter == "lora" else {}
    if name == "mamba" and adapter == "lora":
        more["target_modules"] = ("in_proj", "x_proj")
    model, loaded = tuned(bases[name], Train(adapter=adapter, **more, **COMMON))
    ids = torch.tensor([[10, 11, 12, 13, 14]])
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, loaded.model(input_ids=ids).logits)
    settings = Evaluate(max_new_tokens=3)
    found = predictions_of(loaded, load_tokenizer(bases[name]), ROWS[:3], settings, models=["base", "tuned"])
    assert all(row["tuned_nll"] != row["base_nll"] for row in found)


def test_lora_on_layers_that_mamba_reads_past_is_refused_with_the_names_that_work(bases: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="'out_proj' is incompatible") as caught:
        start(bases["mamba"], Train(rank=2, **COMMON))
    assert "in_proj" in caught.value.remedy
