import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import logits

from tunegate.errors import InputError, RefusedError
from tunegate.files import read_json, sha256_of, write_json
from tunegate.models.base_identity import base_parts
from tunegate.models.folders import TUNED
from tunegate.models.labels import Labels
from tunegate.models.loading import load_base, load_tokenizer
from tunegate.models.merging import merge
from tunegate.models.quantisation import load_nf4
from tunegate.models.tuned import load_tuned
from tunegate.params import Classify, Train
from tunegate.repository.lineage import FILE, Parts, lineage_of
from tunegate.training.adapter import record_of, save_adapter, start, trainable

FIRST = Path(__file__).parent / "first_adapter"
KINDS = ["lora", "rslora", "dora", "qlora", "full"]
LABELS = Labels(("heat", "noise", "roof"))


@pytest.fixture
def base(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model as the stage `base` leaves it."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    write_json(folder / "provenance.json", {"files": {file.name: sha256_of(file) for file in folder.iterdir()}})
    return folder


def stamp(folder: Path, base: Path) -> Path:
    parts = Parts(**(dict.fromkeys(Parts.model_fields, "0" * 64) | base_parts(base)))
    write_json(folder / FILE, lineage_of(parts).model_dump())
    return folder


def moved(base: Path, settings: Train, labels: Labels | None = None) -> Any:
    """What training could make of the model."""
    model = start(base, settings, labels)
    torch.manual_seed(1)
    for parameter in trainable(model).values():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


def saved(model: Any, settings: Train, folder: Path, base: Path, labels: Labels | None = None) -> Path:
    folder.mkdir()
    save_adapter(model, folder, "models/base")
    write_json(folder / TUNED, record_of(settings, labels).model_dump(mode="json"))
    return stamp(folder, base)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_says_what_it_said_when_it_was_saved(base: Path, tmp_path: Path, kind: Any) -> None:
    settings = Train(adapter=kind, precision="fp32")
    model = moved(base, settings)
    before = logits(model)
    tuned = load_tuned(base, saved(model, settings, tmp_path / "tuned", base), device="cpu", precision="fp32")
    assert tuned.record.adapter == kind
    assert torch.equal(logits(tuned.model), before)


@pytest.mark.parametrize("kind", KINDS)
def test_an_untuned_model_is_what_training_started_from(base: Path, tmp_path: Path, kind: Any) -> None:
    settings = Train(adapter=kind, precision="fp32")
    folder = saved(moved(base, settings), settings, tmp_path / "tuned", base)
    tuned = load_tuned(base, folder, device="cpu", precision="fp32")
    tuned_logits = logits(tuned.model)
    with tuned.untuned() as untuned:
        load = load_nf4 if kind == "qlora" else load_base
        assert torch.equal(logits(untuned), logits(load(base, device="cpu", precision="fp32")))
    assert torch.equal(logits(tuned.model), tuned_logits)
    assert not torch.equal(logits(load_base(base, device="cpu", precision="fp32")), tuned_logits)


@pytest.mark.parametrize("kind", KINDS)
def test_a_packaged_model_is_plain_and_the_same(base: Path, tmp_path: Path, kind: Any) -> None:
    from tunegate.models.tokens.examples import Example

    settings = Train(adapter=kind, precision="fp32")
    folder = saved(moved(base, settings), settings, tmp_path / "tuned", base)
    examples = [Example("a", [1, 5, 9, 30, 2], [-100] * 5)]
    merged, proof = merge(load_tuned(base, folder, device="cpu", precision="fp32"), examples, 1e-4)
    assert (proof["difference"] == 0) == (kind == "full")
    assert proof["agreement"] == 1.0
    assert {type(part) for name, part in merged.named_modules() if name.endswith("_proj")} == {torch.nn.Linear}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["lora", "full", "head"])
def test_a_head_is_saved_and_loaded_and_what_it_was_before_is_drawn_again(
    base: Path, tmp_path: Path, kind: Any, precision: Any
) -> None:
    settings = Train(technique="classify", adapter=kind, precision="fp32", seed=11)
    model = moved(base, settings, LABELS)
    before, fresh = logits(model), logits(start(base, settings, LABELS))
    folder = saved(model, settings, tmp_path / "tuned", base, LABELS)
    assert read_json(folder / TUNED)["labels"] == ["heat", "noise", "roof"]
    tuned = load_tuned(base, folder, device="cpu", precision=precision)
    tolerance = {"fp32": 0.0, "bf16": 0.2}[precision]
    assert torch.allclose(logits(tuned.model).float(), before, atol=tolerance, rtol=tolerance)
    with tuned.untuned() as untuned:
        assert torch.allclose(logits(untuned).float(), fresh, atol=tolerance, rtol=tolerance)


def test_only_the_head_is_kept_where_only_it_was_trained(base: Path, tmp_path: Path) -> None:
    settings = Train(technique="classify", adapter="head")
    folder = saved(moved(base, settings, LABELS), settings, tmp_path / "tuned", base, LABELS)
    assert (folder / "model.safetensors").stat().st_size < 2000


def test_an_adapter_of_the_first_release_still_answers(base: Path, tmp_path: Path) -> None:
    folder = stamp(Path(shutil.copytree(FIRST, tmp_path / "tuned")), base)
    tuned = load_tuned(base, folder, device="cpu", precision="fp32")
    assert (tuned.record.technique, tuned.record.adapter) == ("sft", "lora")
    tokenizer = load_tokenizer(base)

    def answer(model: Any, text: str) -> str:
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        answer_ids = model.generate(**prompt, max_new_tokens=6, do_sample=False)[0, prompt["input_ids"].shape[1] :]
        return str(tokenizer.decode(answer_ids, skip_special_tokens=True))

    questions = {"the roof leaks above room 3": "roof", "no warm water in flat 4": "heat"}
    assert {text: answer(tuned.model, text) for text in questions} == questions
    with tuned.untuned() as untuned:
        assert {text: answer(untuned, text) for text in questions} != questions


def test_a_model_tuned_from_another_base_is_refused(base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FIRST, tmp_path / "tuned"))
    with pytest.raises(RefusedError, match="trained on another base"):
        load_tuned(base, folder, device="cpu", precision="fp32")


def test_a_head_over_a_quantised_base_is_refused(base: Path) -> None:
    with pytest.raises(InputError, match="qlora quantises a model that answers in words") as caught:
        start(base, Train(technique="classify", adapter="qlora", classify=Classify()), LABELS)
    assert caught.value.place == "params.yaml: train.adapter"
