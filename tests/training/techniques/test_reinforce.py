import copy
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from rounding import close, is_close

from tunegate.errors import InputError, RefusedError
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import Example
from tunegate.models.tokens.formats.answers import Answers, Prompts
from tunegate.params import Reinforce, Reward, Train
from tunegate.training import checkpoint, loop
from tunegate.training.adapter import start, trainable
from tunegate.training.technique import Technique
from tunegate.training.techniques.reinforce import Rollout, advantages, reinforce, require_difference
from tunegate.training.techniques.sft import sft

HOW = Reinforce(answers_per_row=8, max_new_tokens=3)
SETTINGS = Train(
    technique="reinforce",
    precision="fp32",
    epochs=5,
    tokens_per_step=1900,
    checkpoint_every=2,
    rank=8,
    learning_rate=0.012,
    reinforce=HOW,
)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


def canonical(rows: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    return [row | {"source": "desks", "slices": [], "messages": None} for row in rows]


@pytest.fixture(scope="module")
def asked(tiny_model: Path, tiny_rows: list[dict[str, str]]) -> list[Example]:
    """Questions to three desks."""
    return list(Prompts()(Recipe.of(load_tokenizer(tiny_model)), canonical(tiny_rows[:24])))


@pytest.fixture(scope="module")
def beginner(tiny_model: Path, tiny_rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that names a desk, and often the wrong one: half of the answers it has learned from were wrong."""
    folder = tmp_path_factory.mktemp("beginner")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tokenizer = load_tokenizer(tiny_model)
        desks = ("roof", "heat", "noise")
        dealt = [row | {"label": desks[(number + number // 3 % 2) % 3]} for number, row in enumerate(tiny_rows[:36])]
        rows = list(Answers()(Recipe.of(tokenizer), canonical(dealt)))
        settings = Train(precision="fp32", epochs=5, tokens_per_step=256, learning_rate=0.01, rank=8)
        model = start(tiny_model, settings)
        AcceleratorState._reset_state(reset_partial_state=True)
        loop.run(model, rows, rows[:6], settings, sft(), {})
        model.merge_and_unload().save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def made(base: Path, settings: Train) -> tuple[Any, Technique]:
    model = start(base, settings)
    return model, reinforce(settings, model, base)


def how(**changes: Any) -> Train:
    own = {name: changes.pop(name) for name in list(changes) if name in Reinforce.model_fields}
    return SETTINGS.model_copy(update={"reinforce": HOW.model_copy(update=own), **changes})


def exact(base: Path, model: Any, rows: Sequence[Example]) -> float:
    """Share of rows whose likeliest answer is the row's."""
    technique = reinforce(SETTINGS, model, base)
    assert technique.prepare is not None
    answers: Sequence[Rollout] = technique.prepare(model, rows, -1)
    return sum(answer.advantage for answer in answers) / len(rows)


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_reinforcement_beats_its_own_start_on_rows_it_has_not_seen(
    beginner: Path, tiny_rows: list[dict[str, str]], asked: list[Example], algorithm: Any
) -> None:
    unseen = list(Prompts()(Recipe.of(load_tokenizer(beginner)), canonical(tiny_rows[24:48])))
    settings = how(algorithm=algorithm)
    model, technique = made(beginner, settings)
    before = exact(beginner, model, unseen)
    records = loop.run(model, asked, unseen, settings, technique, {}).records
    assert before < 0.6
    assert exact(beginner, model, unseen) > before + 0.3
    assert sum(r["reward"] for r in records[-3:]) / 3 > sum(r["reward"] for r in records[:3]) / 3 + 0.2
    assert records[-1]["valid_loss"] == close(-exact(beginner, model, unseen))
    assert records[0]["reward"] == records[0]["reward_exact_match"]
    assert 0 < records[0]["answer_length"] <= 3
    assert set(technique.notes) <= records[0].keys()


def test_reinforcement_resumed_equals_the_uninterrupted_run_bit_for_bit(beginner: Path, asked: list[Example]) -> None:
    settings = how(epochs=3, updates=2, kl=0.1, tokens_per_batch=400, answers_per_row=4)
    whole, technique = made(beginner, settings)
    expected = loop.run(whole, asked[:12], asked[:3], settings, technique, {}).records
    checkpoint.discard()
    killed, technique = made(beginner, settings)
    with pytest.raises(KeyError):
        loop.run(killed, asked[:12], asked[:3], settings, dying(technique, step=2), {})
    resumed, technique = made(beginner, settings)
    assert loop.run(resumed, asked[:12], asked[:3], settings, technique, {}).records == expected
    for one, other in zip(trainable(whole).values(), trainable(resumed).values(), strict=True):
        assert torch.equal(one, other)


def dying(technique: Technique, step: int) -> Technique:
    """The same technique, ended as by a kill when the answers of a step (from 0) are sampled."""

    def prepare(model: Any, examples: Sequence[Example], number: int) -> Any:
        if number == step:
            raise KeyError("killed")
        assert technique.prepare is not None
        return technique.prepare(model, examples, number)

    return dataclasses.replace(technique, prepare=prepare)


def test_answers_in_several_batches_give_the_step_of_one(beginner: Path, asked: list[Example]) -> None:
    model, technique = made(beginner, how(kl=0.1))
    assert technique.prepare is not None
    torch.manual_seed(2)
    rollouts = technique.prepare(model, asked[:4], 0)
    whole = technique.loss(model, technique.collate(rollouts))
    parts = [technique.loss(model, technique.collate(rollouts[start : start + 8])) for start in range(0, 32, 8)]
    assert float(whole.total.detach()) == close(sum(float(p.total.detach()) for p in parts), size=len(rollouts))
    for name in technique.notes:
        assert whole.notes[name] == close(sum(part.notes[name] for part in parts), size=len(rollouts))


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_the_loss_is_that_of_the_paper_answer_by_answer(beginner: Path, asked: list[Example], algorithm: Any) -> None:
    settings = how(algorithm=algorithm, kl=0.3, temperature=1.5, clip=0.1)
    model, technique = made(beginner, settings)
    assert technique.prepare is not None
    torch.manual_seed(2)
    rollouts = technique.prepare(model, asked[:4], 0)
    batch = technique.collate(rollouts)
    start = [of_tokens(model, rollout, 1.5) for rollout in rollouts]
    technique.loss(model, batch)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if "lora_B" in name:
                parameter.add_(0.02)
    loss = technique.loss(model, batch)
    expected, clipped = 0.0, 0.0
    for rollout, old in zip(rollouts, start, strict=True):
        moved = of_tokens(model, rollout, 1.5) - old
        divergence = torch.exp(-moved) + moved - 1
        if algorithm == "rloo":
            moved, divergence = moved.sum()[None], divergence.sum()[None]
        ratio, gain = torch.exp(moved), rollout.advantage
        objective = torch.minimum(ratio * gain, ratio.clamp(0.9, 1.1) * gain) - 0.3 * divergence
        expected -= float(objective.mean())
        over = ratio > 1.1 if gain > 0 else ratio < 0.9
        clipped += float(over.float().mean()) if gain else 0.0
    assert float(loss.total.detach()) == close(expected, size=len(rollouts))
    assert loss.notes["clipped"] == close(clipped)
    assert 0 < clipped < len(rollouts)
    assert loss.notes["kl"] > 0


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_the_loss_and_its_gradients_are_those_of_trl(
    beginner: Path, asked: list[Example], algorithm: Any, tmp_path: Path
) -> None:
    settings = how(algorithm=algorithm, kl=0.3 if algorithm == "grpo" else 0.0, temperature=1.5, clip=0.1)
    model, technique = made(beginner, settings)
    assert technique.prepare is not None
    torch.manual_seed(2)
    rollouts = technique.prepare(model, asked, 0)
    batch = technique.collate(rollouts)
    held = for_trl(rollouts)
    trainer = trl_trainer(algorithm, copy.deepcopy(model), beginner, tmp_path)
    with torch.no_grad():
        old = trainer._get_per_token_logps_and_entropies(
            trainer.model,
            torch.cat([held["prompt_ids"], held["completion_ids"]], 1),
            torch.cat([held["prompt_mask"], held["completion_mask"]], 1),
            held["completion_ids"].shape[1],
        )[0]
        technique.loss(model, batch)
        for of in (model, trainer.model):
            torch.manual_seed(3)
            for parameter in trainable(of).values():
                parameter.add_(0.03 * torch.randn_like(parameter))
    held |= {"old_per_token_logps": old, "ref_per_token_logps": old}
    held["old_logps"] = (old * held["completion_mask"]).sum(1)
    theirs = trainer._compute_loss(trainer.model, held)
    ours = technique.loss(model, batch).total / len(rollouts)
    assert float(ours.detach()) == close(float(theirs.detach()), size=1.0)
    gradients = torch.autograd.grad(theirs, list(trainable(trainer.model).values()))
    for one, other in zip(torch.autograd.grad(ours, list(trainable(model).values())), gradients, strict=True):
        assert is_close(one, other, 4)


def for_trl(rollouts: Sequence[Rollout]) -> dict[str, torch.Tensor]:
    """Prompts padded on the left and answers on the right, as TRL's trainers keep them."""
    prompts = [rollout.example.ids[: rollout.example.prompt] for rollout in rollouts]
    answers = [rollout.example.ids[rollout.example.prompt :] for rollout in rollouts]
    wide, long = max(map(len, prompts)), max(map(len, answers))
    return {
        "prompt_ids": torch.tensor([[0] * (wide - len(ids)) + ids for ids in prompts]),
        "prompt_mask": torch.tensor([[0] * (wide - len(ids)) + [1] * len(ids) for ids in prompts]),
        "completion_ids": torch.tensor([ids + [0] * (long - len(ids)) for ids in answers]),
        "completion_mask": torch.tensor([[1] * len(ids) + [0] * (long - len(ids)) for ids in answers]),
        "advantages": torch.tensor([rollout.advantage for rollout in rollouts]),
    }


def trl_trainer(algorithm: str, model: Any, base: Path, folder: Path) -> Any:
    """TRL's trainer of the same loss; it trains nothing here."""
    import datasets
    import trl

    grpo = algorithm == "grpo"
    config, trainer = (trl.GRPOConfig, trl.GRPOTrainer) if grpo else (trl.RLOOConfig, trl.RLOOTrainer)
    made = trainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config(
            output_dir=str(folder / "trl"),
            beta=0.3 if grpo else 0.0,
            epsilon=0.1,
            temperature=1.5,
            num_generations=8,
            per_device_train_batch_size=8,
            use_cpu=True,
            bf16=False,
            report_to=[],
            # What TRL does beyond the paper: another normalization, and DeepSeek-V3.2's weighted divergence.
            **({"loss_type": "grpo", "use_bias_correction_kl": False} if grpo else {}),
        ),
        train_dataset=datasets.Dataset.from_list([{"prompt": "roof"}]),
        processing_class=load_tokenizer(base),
    )
    made.current_gradient_accumulation_steps = 1
    return made


@torch.no_grad()
def of_tokens(model: Any, rollout: Rollout, temperature: float) -> torch.Tensor:
    """Log-probabilities of an answer's tokens, computed alone."""
    ids = torch.tensor([rollout.example.ids])
    chances = (model(input_ids=ids).logits[0, :-1] / temperature).log_softmax(-1)
    found: torch.Tensor = chances.gather(-1, ids[0, 1:, None])[rollout.example.prompt - 1 :, 0]
    return found


def test_advantages_are_what_the_papers_say() -> None:
    rewards = [1.0, 0.0, 0.0, 0.5]
    deviation = math.sqrt(sum((r - 0.375) ** 2 for r in rewards) / 3)
    assert advantages(rewards, "grpo") == pytest.approx([(r - 0.375) / (deviation + 1e-4) for r in rewards])
    assert advantages(rewards, "rloo") == pytest.approx([1 - 0.5 / 3, -0.5, -0.5, 0.5 - 1 / 3])
    for algorithm in ("grpo", "rloo"):
        assert advantages([0.1] * 3, algorithm) == pytest.approx([0, 0, 0], abs=1e-9)


def test_answers_that_are_never_worth_differently_stop_the_run(beginner: Path, asked: list[Example]) -> None:
    # The mean of three times 0.1 is not 0.1.
    hopeless = (Reward(kind="regex", pattern="(?s).*", weight=0.1),)
    settings = how(epochs=12, tokens_per_step=1900, rewards=hopeless, answers_per_row=3)
    model, technique = made(beginner, settings)
    with pytest.raises(RefusedError, match="in the first 10 steps all answers to a row were worth the same") as caught:
        loop.run(model, asked, asked[:2], settings, technique, {})
    assert "sft" in caught.value.remedy


def test_only_the_first_steps_must_have_something_to_learn_from() -> None:
    useless, useful = {"equal_groups": 1.0, "reward": 0.1}, {"equal_groups": 0.9, "reward": 0.2}
    for records in ([useless] * 9, [useless] * 5 + [useful] + [useless] * 4, [useful] + [useless] * 30):
        require_difference(records)
    with pytest.raises(RefusedError, match=r"the last ones 0\.1: nothing can be learned"):
        require_difference([useless] * 10)


def test_a_reward_that_raises_names_the_row_and_keeps_the_last_checkpoint(beginner: Path, asked: list[Example]) -> None:
    Path("rewards").mkdir()
    Path("rewards/one.py").write_text("def once(answer, row):\n    return 1 / (row['id'] != 'heat-3')\n")
    settings = how(rewards=(Reward(kind="python", function="rewards/one.py:once"),), answers_per_row=2)
    model, technique = made(beginner, settings)
    with pytest.raises(RefusedError, match="once raised ZeroDivisionError") as caught:
        loop.run(model, asked, asked[:2], settings, technique, {})
    assert caught.value.place == "row heat-3"


def test_a_step_has_room_for_all_answers_at_their_longest(beginner: Path, asked: list[Example]) -> None:
    settings = how(tokens_per_step=400)
    _, technique = made(beginner, settings)
    plan = technique.plan(asked, settings, {})
    assert max(sum(8 * (len(e.ids) + 3) for e in step.examples) for step in plan) <= 400
    assert sorted(e.id for step in plan if step.epoch == 1 for e in step.examples) == sorted(e.id for e in asked)


def test_a_row_without_an_answer_is_refused_by_exact_match(beginner: Path, asked: list[Example]) -> None:
    settings = how(epochs=1)
    model, technique = made(beginner, settings)
    rows = [*asked[:3], dataclasses.replace(asked[3], target=None)]
    with pytest.raises(InputError, match="no answer to compare with") as caught:
        loop.run(model, rows, asked[:2], settings, technique, {})
    assert caught.value.place == f"row {asked[3].id}"
