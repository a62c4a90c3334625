import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from process_teams import in_processes
from rounding import close, is_close
from safetensors.torch import load_file

from tunegate.files import sha256_of
from tunegate.models.loading import load_base
from tunegate.models.tokens.examples import Example
from tunegate.params import Preference, Train
from tunegate.training import checkpoint, loop
from tunegate.training.adapter import save_adapter, with_adapter
from tunegate.training.optimizer_step import Stepper
from tunegate.training.parallel.team import ALONE, Team
from tunegate.training.selection import Selection
from tunegate.training.state import Trained
from tunegate.training.technique import Technique
from tunegate.training.techniques.preference import preference
from tunegate.training.techniques.sft import sft

SETTINGS = Train(
    precision="fp32", epochs=2, tokens_per_step=40, checkpoint_every=2, rank=4, learning_rate=0.01, dropout=0.0
)
ROWS = [
    Example(str(n), [1, 10 + n, 20 + n, *range(40, 40 + n % 5), 30 + n % 3, 2], [-100] * (3 + n % 5) + [30 + n % 3, 2])
    for n in range(23)
]
SGD = {"optimizer": "sgd", "learning_rate": 0.5}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


def train(
    tiny_model: Path,
    team: Team,
    settings: Train = SETTINGS,
    rows: list[Example] = ROWS,
    data: str = "",
    technique: Callable[[Any], Technique] = lambda _: sft(),
) -> dict[str, Any]:
    """The records and the adapter's hash of a run of `team` in the working directory."""
    torch.manual_seed(settings.seed)
    model = with_adapter(load_base(tiny_model, device="cpu", precision=settings.precision), settings)
    records = loop.run(model, rows, rows[:6], settings, technique(model), {"data": data}, team=team).records
    folder = Path(f"adapter-{team.size}-{team.rank}")
    folder.mkdir(exist_ok=True)
    save_adapter(model, folder, "models/base")
    return {"records": records, "hash": sha256_of(folder / "adapter_model.safetensors")}


def assert_close(records: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    assert len(records) == len(others) > 0
    for step, (mine, other) in enumerate(zip(records, others, strict=True)):
        assert {k: v or 0 for k, v in mine.items()} == close(
            {k: v or 0 for k, v in other.items()}, 2 * step + 3, size=1
        )


@pytest.mark.parametrize(
    ("size", "changed"),
    [(2, {}), (2, {"tokens_per_batch": 12}), (3, {"tokens_per_step": 8})],
    ids=["a batch each", "several batches each", "more processes than examples in a step"],
)
def test_several_processes_train_to_the_losses_of_one(
    tiny_model: Path, tmp_path: Path, size: int, changed: dict[str, Any]
) -> None:
    settings = SETTINGS.model_copy(update=changed | SGD)
    alone = train(tiny_model, ALONE, settings, ROWS[:12])
    checkpoint.discard()
    one, *others = in_processes(lambda team: train(tiny_model, team, settings, ROWS[:12]), tmp_path / "team", size=size)
    assert all(other == one for other in others)
    assert_close(one["records"], alone["records"])
    weights, expected = (load_file(f"adapter-{n}-0/adapter_model.safetensors") for n in (size, 1))
    for name, weight in weights.items():
        assert is_close(weight, expected[name], 2 * len(one["records"]))


@pytest.mark.parametrize("loss", ["dpo", "kto", "orpo"])
def test_preferences_are_learned_by_several_processes_as_by_one(tiny_model: Path, tmp_path: Path, loss: Any) -> None:
    # One answer is right for all, so that it becomes likelier after other prompts too: KTO's divergence.
    chosen = [40, 41, 42, 43, 2]
    rows = [
        Example(str(n), [1, 10 + n, 20 + n, *chosen[: 4 + n % 2]], [-100] * 3 + chosen[: 4 + n % 2], rejected=[61, 2])
        for n in range(12)
    ]
    settings = SETTINGS.model_copy(
        update={
            "technique": "preference",
            "preference": Preference(loss=loss),
            "tokens_per_step": 60,
        }
        | SGD
    )

    def trained(team: Team) -> Any:
        return train(tiny_model, team, settings, rows, technique=lambda model: preference(settings, model))

    alone = trained(ALONE)
    checkpoint.discard()
    one, other = in_processes(trained, tmp_path / "team")
    assert one == other
    assert_close(one["records"], alone["records"])
    assert loss != "kto" or one["records"][-1]["kl"] > 0.01


def test_dropout_differs_by_process_and_a_resumed_team_equals_an_uninterrupted_one(
    tiny_model: Path, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"dropout": 0.2})

    def killed(team: Team) -> Any:
        """Both processes end as by kill -9 in step 6, after the checkpoint of step 4."""
        steps = iter(range(5))

        def stop(self: Any, *_: Any) -> Any:
            if next(steps, None) is None:
                raise KeyError("killed")
            return real(self, *_)

        real, Stepper.step = Stepper.step, stop  # type: ignore[method-assign, assignment]
        return train(tiny_model, team, settings)

    whole = in_processes(lambda team: train(tiny_model, team, settings), tmp_path / "whole")
    checkpoint.discard()
    assert [found["error"] for found in in_processes(killed, tmp_path / "killed")] == ["'killed'"] * 2
    newest = checkpoint.newest()
    assert newest is not None
    states = load_file(newest / checkpoint.TENSORS)
    assert not torch.equal(states["random/0"], states["random/1"])
    assert in_processes(lambda team: train(tiny_model, team, settings), tmp_path / "resumed") == whole


def test_processes_with_different_data_are_refused_with_the_hashes_of_both(tiny_model: Path, tmp_path: Path) -> None:
    found = in_processes(lambda team: train(tiny_model, team, data=f"{team.rank}" * 64), tmp_path / "team")
    for each in found:
        assert "the processes do not train the same" in each["error"]
        assert re.search(r"data: [0-9a-f]{12}, [0-9a-f]{12}\n", each["error"])


def nothing() -> Trained:
    return Trained({}, torch.optim.SGD([torch.zeros(1)]), Selection({}, Train()))


def test_a_checkpoint_that_only_one_process_sees_is_refused(tmp_path: Path) -> None:
    def resume(team: Team) -> Any:
        mine = tmp_path / f"node-{team.rank}"
        if team.is_first:
            checkpoint.save(checkpoint.Progress(step=3), nothing(), {}, folder=mine)
        checkpoint.resume(nothing(), {}, team=team, folder=mine)

    assert all("must be one that all nodes share" in each["error"] for each in in_processes(resume, tmp_path / "team"))


def test_items_are_dealt_whole_and_evenly_and_the_same_to_all() -> None:
    shares = [Team(rank, 3).share(ROWS) for rank in range(3)]
    assert sorted(item.id for share in shares for item in share) == sorted(row.id for row in ROWS)
    loads = [sum(item.length for item in share) for share in shares]
    assert max(loads) - min(loads) <= max(row.length for row in ROWS)
    assert [item for item in ROWS if item in shares[1]] == shares[1]
    assert Team(2, 3).share(ROWS[:2]) == []
    assert ALONE.share(ROWS) == ROWS


def test_a_parameter_gets_the_gradients_of_other_processes_or_none_where_all_have_none(tmp_path: Path) -> None:
    def add(team: Team) -> Any:
        parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
        if team.is_first:
            parameters[0].grad = torch.tensor([1.0, 2.0])
        parameters[1].grad = torch.tensor([1.0, 10.0 * team.rank])
        team.sum_gradients(parameters)
        return [None if p.grad is None else p.grad.tolist() for p in parameters]

    assert in_processes(add, tmp_path / "team") == [[[1.0, 2.0], [2.0, 10.0], None]] * 2


def test_every_process_hears_what_the_first_one_tells(tmp_path: Path) -> None:
    values = in_processes(lambda team: team.broadcast({"rank": team.rank, "who": "värme"}), tmp_path / "team")
    assert values == [{"rank": 0, "who": "värme"}] * 2


def test_each_process_draws_its_own_random_numbers_and_one_alone_draws_as_before() -> None:
    drawn = []
    for team in (Team(0, 2), Team(1, 2), Team(0, 2)):
        team.seed_by_rank(7)
        drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[2] != drawn[1]
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    ALONE.seed_by_rank(7)
    assert torch.equal(torch.rand(3), expected)
