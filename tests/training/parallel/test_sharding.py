from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from process_teams import in_processes
from rounding import close, is_close
from safetensors.torch import load_file
from torch.distributed.tensor import DTensor

from tunegate.errors import InputError
from tunegate.models.loading import load_base
from tunegate.models.tokens.examples import Example
from tunegate.params import Distill, Preference, Train
from tunegate.training import checkpoint, loop
from tunegate.training.adapter import save_adapter, trainable, with_adapter
from tunegate.training.optimizer_step import Stepper
from tunegate.training.parallel import sharding
from tunegate.training.parallel.team import ALONE, Team
from tunegate.training.techniques.sft import sft

SETTINGS = Train(precision="fp32", epochs=2, tokens_per_step=24, checkpoint_every=2, rank=4)
ROWS = [
    Example(str(n), [1, 10 + n, 20 + n, *range(40, 40 + n % 5), 30 + n % 3, 2], [-100] * (3 + n % 5) + [30 + n % 3, 2])
    for n in range(12)
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


def train(tiny_model: Path, team: Team, settings: Train) -> dict[str, Any]:
    torch.manual_seed(settings.seed)
    model = load_base(tiny_model, device="cpu", precision="fp32")
    if settings.adapter == "lora":
        model = with_adapter(model, settings)
    progress = loop.run(model, ROWS, ROWS[:5], settings, sft(), {}, team=team)
    if team.is_first:
        folder = Path(f"tuned-{team.size}")
        folder.mkdir(exist_ok=True)
        if settings.adapter == "lora":
            save_adapter(model, folder, "models/base")
        else:
            model.save_pretrained(folder)
    return {"records": progress.records}


def settings_of(adapter: str) -> Train:
    own = {"learning_rate": 0.001} if adapter == "full" else {"rank": 4}
    return Train(
        **(SETTINGS.model_dump(include={"precision", "epochs", "tokens_per_step"}) | {"adapter": adapter} | own)
    )


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_sharded_weights_train_to_the_losses_of_one_process_and_are_written_whole(
    tiny_model: Path, tmp_path: Path, adapter: str
) -> None:
    settings = settings_of(adapter).model_copy(update={"optimizer": "sgd", "learning_rate": 0.5})
    alone = train(tiny_model, ALONE, settings)
    checkpoint.discard()
    one, other = in_processes(lambda team: train(tiny_model, team, settings), tmp_path / "team", strategy="fsdp2")
    assert one == other
    for step, (found, expected) in enumerate(zip(one["records"], alone["records"], strict=True)):
        assert {k: v or 0 for k, v in found.items()} == close({k: v or 0 for k, v in expected.items()}, 2 * step + 3)
    names = sorted(file.name for file in Path("tuned-1").iterdir())
    assert names == sorted(file.name for file in Path("tuned-2").iterdir())
    for name in (name for name in names if name.endswith(".safetensors")):
        sharded, plain = load_file(f"tuned-2/{name}"), load_file(f"tuned-1/{name}")
        assert sharded.keys() == plain.keys()
        for key, weight in sharded.items():
            assert is_close(weight, plain[key], 2 * len(one["records"]))


def test_a_sharded_run_resumed_from_its_checkpoint_equals_the_uninterrupted_one(
    tiny_model: Path, tmp_path: Path
) -> None:
    settings = settings_of("lora").model_copy(update={"dropout": 0.2, "checkpoint_every": 2})

    def killed(team: Team) -> Any:
        steps = iter(range(3))

        def stop(self: Any, *arguments: Any) -> Any:
            if next(steps, None) is None:
                raise KeyError("killed")
            return real(self, *arguments)

        real, Stepper.step = Stepper.step, stop  # type: ignore[method-assign]
        return train(tiny_model, team, settings)

    whole = in_processes(lambda team: train(tiny_model, team, settings), tmp_path / "whole", strategy="fsdp2")
    written = Path("tuned-2/adapter_model.safetensors").read_bytes()
    checkpoint.discard()
    in_processes(killed, tmp_path / "killed", strategy="fsdp2")
    assert checkpoint.FOLDER.exists()
    resumed = in_processes(lambda team: train(tiny_model, team, settings), tmp_path / "resumed", strategy="fsdp2")
    assert resumed == whole
    assert Path("tuned-2/adapter_model.safetensors").read_bytes() == written


def test_each_process_holds_a_part_of_every_weight(tiny_model: Path, tmp_path: Path) -> None:
    def held(team: Team) -> Any:
        model = load_base(tiny_model, device="cpu", precision="fp32")
        before = sum(parameter.numel() for parameter in model.parameters())
        model = sharding.shard(model, Accelerator(cpu=True))
        parts = trainable(model).values()
        assert all(isinstance(parameter, DTensor) for parameter in parts)
        return [sum(part.to_local().numel() for part in parts), before]

    (mine, every), (other, _) = in_processes(held, tmp_path / "team", strategy="fsdp2")
    assert mine + other == every
    assert mine == pytest.approx(every / 2, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Train(technique="reinforce"), "technique reinforce runs the model as it prepares"),
        (Train(technique="preference", preference=Preference(loss="kto")), "technique preference runs the model"),
        (Train(technique="distill", distill=Distill(on_policy=0.5)), "technique distill runs the model"),
        (Train(optimizer="adamw_8bit"), "adamw_8bit needs whole weights"),
        (Train(adapter="qlora"), "qlora needs whole weights"),
    ],
)
def test_what_needs_whole_weights_is_refused_with_fsdp2_and_not_with_ddp(settings: Train, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        sharding.require(settings, Team(0, 2, sharded=True))
    assert caught.value.place == "params.yaml: compute.strategy"
    sharding.require(settings, Team(0, 2))
    sharding.require(settings, ALONE)
