from pathlib import Path
from typing import Any

import pytest
import torch
from rounding import assert_same_run
from training_runs import settings, weights, whole

from tunegate.errors import InputError
from tunegate.files import read_json
from tunegate.params import Train
from tunegate.training.adapter import save_adapter, start, trainable


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["lora", "rslora", "dora", "qlora"])
def test_an_adapter_starts_from_numbers_that_the_seed_names(tiny_model: Path, kind: Any) -> None:
    one, again, other = (weights(start(tiny_model, settings(adapter=kind, seed=seed))) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["lora", "rslora", "dora", "qlora", "full"])
def test_every_adapter_learns_with_its_trained_weights_in_fp32(tiny_model: Path, kind: Any, precision: Any) -> None:
    rate = 0.003 if kind == "full" else 0.05
    of = (
        settings(adapter=kind, precision=precision, learning_rate=rate, epochs=6, dropout=0.0)
        if kind != "full"
        else (settings(adapter=kind, precision=precision, learning_rate=rate, epochs=6))
    )
    model, progress = whole(tiny_model, of)
    assert {parameter.dtype for parameter in trainable(model).values()} == {torch.float32}
    assert progress.records[-1]["valid_loss"] < progress.records[3]["valid_loss"]
    assert progress.records[-1]["loss"] < progress.records[0]["loss"]


@pytest.mark.parametrize("kind", ["lora", "qlora", "full"])
def test_activation_checkpointing_changes_no_bit(tiny_model: Path, kind: Any) -> None:
    plain, saving = (
        whole(tiny_model, settings(adapter=kind, activation_checkpointing=saving)) for saving in (False, True)
    )
    assert saving[0].is_activation_checkpointing
    assert saving[1].records == plain[1].records
    assert all(torch.equal(mine, weights(saving[0])[name]) for name, mine in weights(plain[0]).items())


def test_activations_are_computed_again_where_that_is_asked_for(tiny_model: Path) -> None:
    def passes(*, saving: bool) -> int:
        model, counted = start(tiny_model, settings(activation_checkpointing=saving)), []
        model.get_base_model().model.layers[0].mlp.register_forward_pre_hook(lambda *_: counted.append(1))
        model.train()
        model(input_ids=torch.tensor([[1, 40, 50]]), use_cache=False).logits.sum().backward()
        return len(counted)

    assert (passes(saving=False), passes(saving=True)) == (1, 2)


def test_modules_that_the_model_has_not_are_refused_with_the_nearest_names(tiny_model: Path) -> None:
    with pytest.raises(InputError, match="no linear layer 'q_prj'") as caught:
        start(tiny_model, Train(rank=4, target_modules=("v_proj", "q_prj")))
    assert caught.value.place == "params.yaml: train.target_modules"
    assert "did you mean 'q_proj'" in caught.value.problem
    assert "down_proj" in caught.value.remedy


@pytest.mark.parametrize("asked", ["v_proj", ("v_proj",), ("layers.1.self_attn.v_proj", "layers.0.self_attn.v_proj")])
def test_modules_are_named_by_the_end_of_their_path(tiny_model: Path, asked: Any) -> None:
    names = {
        name.split(".lora_")[0].rsplit(".", 1)[-1]
        for name in trainable(start(tiny_model, Train(rank=4, target_modules=asked)))
    }
    assert names == {"v_proj"}


def test_a_rank_beyond_a_module_s_size_is_refused_with_the_module(tiny_model: Path) -> None:
    with pytest.raises(InputError, match=r"rank 33 is more than model\.layers\.0\.self_attn\.k_proj has") as caught:
        start(tiny_model, Train(rank=33))
    assert "maps 64 to 32" in caught.value.problem
    assert "at most 32" in caught.value.remedy
    start(tiny_model, Train(rank=32))
    start(tiny_model, Train(rank=64, target_modules=("q_proj",)))


@pytest.mark.parametrize("kind", ["lora", "rslora", "dora", "qlora", "full"])
def test_equal_runs_write_equal_bytes(tiny_model: Path, tmp_path: Path, kind: Any) -> None:
    made = []
    for name in ("one", "other"):
        model, _ = whole(tiny_model, settings(adapter=kind, epochs=1))
        (tmp_path / name).mkdir()
        save_adapter(model, tmp_path / name, "models/base")
        made.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert made[0] == made[1]
    assert str(tmp_path).encode() not in b"".join(made[0].values())
    assert str(tiny_model).encode() not in b"".join(made[0].values())


def test_the_adapter_s_own_file_says_its_kind(tiny_model: Path, tmp_path: Path) -> None:
    for kind, key in (("rslora", "use_rslora"), ("dora", "use_dora")):
        (tmp_path / kind).mkdir()
        save_adapter(start(tiny_model, settings(adapter=kind)), tmp_path / kind, "models/base")
        assert read_json(tmp_path / kind / "adapter_config.json")[key] is True


def test_smaller_batches_give_the_same_step(tiny_model: Path) -> None:
    of = {"dropout": 0.0, "optimizer": "sgd", "learning_rate": 0.5}
    one, several = (whole(tiny_model, settings(tokens_per_batch=size, **of))[1].records for size in (None, 12))
    for name in ("loss", "grad_norm"):
        assert_same_run([record[name] for record in several], [record[name] for record in one])
    assert [record["tokens"] for record in several] == [record["tokens"] for record in one]


def test_measuring_on_the_validation_rows_changes_no_step(tiny_model: Path) -> None:
    seldom, often = (whole(tiny_model, settings(validate_every=every)) for every in (None, 1))
    assert [r["loss"] for r in seldom[1].records] == [r["loss"] for r in often[1].records]
    assert sum(r["valid_loss"] is not None for r in often[1].records) == len(often[1].records)
    assert all(torch.equal(mine, weights(often[0])[name]) for name, mine in weights(seldom[0]).items())
