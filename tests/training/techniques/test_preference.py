import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from rounding import close

from tunegate.models.loading import load_base
from tunegate.models.resources import bytes_of
from tunegate.models.tokens.examples import Example
from tunegate.params import Preference, Train
from tunegate.training import checkpoint, loop
from tunegate.training.adapter import start, trainable
from tunegate.training.sequence_likelihood import answered, laid_out, log_probs
from tunegate.training.technique import Technique
from tunegate.training.techniques.preference import preference

SETTINGS = Train(
    technique="preference",
    precision="fp32",
    epochs=3,
    tokens_per_step=96,
    checkpoint_every=2,
    rank=8,
    learning_rate=0.02,
)

NATS = 50.0
"""About how unlikely an untrained model finds an answer: rewards and losses are small differences of such numbers."""


def pair(number: int) -> Example:
    """The chosen answer is the prompt's last token and one more, the rejected one other tokens, of other lengths."""
    key = 30 + number % 3
    prompt, chosen, rejected = [1, 10 + number, key], [key + 10, key + 20, 2], [61, 2 + number % 3, 62, 63, 2]
    return Example(str(number), prompt + chosen, [-100] * 3 + chosen, rejected=rejected[: 5 - number % 2])


PAIRS = [pair(number) for number in range(18)]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


def with_loss(name: Any, **more: Any) -> Train:
    return SETTINGS.model_copy(update={"preference": Preference(loss=name), **more})


def made(tiny_model: Path, settings: Train) -> tuple[Any, Technique]:
    if settings.adapter == "full":
        torch.manual_seed(settings.seed)
        model = load_base(tiny_model, device="cpu", precision="fp32")
    else:
        model = start(tiny_model, settings)
    return model, preference(settings, model)


def moved(model: Any) -> Any:
    """The model after some training that nobody saw."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def accuracy(model: Any, pairs: Sequence[Example]) -> float:
    """Share of pairs whose chosen answer has the higher mean log-probability."""
    right = 0
    with torch.no_grad():
        for example in pairs:
            both = laid_out([example, answered(example, example.rejected or [])])
            chosen, rejected = both.means(log_probs(model.eval(), both.tokens))
            right += int(chosen > rejected)
    return right / len(pairs)


@pytest.mark.parametrize("loss", ["dpo", "kto", "orpo"])
def test_preference_beats_its_own_start_on_pairs_it_has_not_seen(tiny_model: Path, loss: Any) -> None:
    settings = with_loss(loss, epochs=8)
    model, technique = made(tiny_model, settings)
    unseen = [pair(number) for number in range(18, 30)]
    before = accuracy(model, unseen)
    records = loop.run(model, PAIRS, unseen, settings, technique, {}).records
    assert before <= 0.5
    assert accuracy(model, unseen) > 0.9
    assert records[-1]["preference_accuracy"] > 0.9
    assert records[-1]["reward_margin"] > records[0]["reward_margin"]
    assert set(technique.notes) <= records[-1].keys()


@pytest.mark.parametrize("loss", ["dpo", "kto", "orpo"])
@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_preference_resumed_equals_the_uninterrupted_run_bit_for_bit(tiny_model: Path, loss: Any, adapter: Any) -> None:
    settings = with_loss(loss, adapter=adapter, learning_rate=0.005)
    whole, technique = made(tiny_model, settings)
    expected = loop.run(whole, PAIRS, PAIRS[:4], settings, technique, {}).records
    checkpoint.discard()
    killed, technique = made(tiny_model, settings)
    with pytest.raises(KeyError):
        loop.run(killed, PAIRS, PAIRS[:4], settings, dying(technique, step=5), {})
    resumed, technique = made(tiny_model, settings)
    assert loop.run(resumed, PAIRS, PAIRS[:4], settings, technique, {}).records == expected
    for one, other in zip(trainable(whole).values(), trainable(resumed).values(), strict=True):
        assert torch.equal(one, other)


def dying(technique: Technique, step: int) -> Technique:
    """The same technique, ended as by a kill in the loss of a step (from 0)."""
    left = iter(range(step))

    def loss(model: Any, batch: Any) -> Any:
        if torch.is_grad_enabled() and next(left, None) is None:
            raise KeyError("killed")
        return technique.loss(model, batch)

    return dataclasses.replace(technique, loss=loss)


@pytest.mark.parametrize("loss", ["dpo", "kto", "orpo"])
def test_pairs_in_several_batches_give_the_step_of_one(tiny_model: Path, loss: Any) -> None:
    found = []
    for tokens in (None, 32):
        settings = with_loss(loss, epochs=1, tokens_per_batch=tokens, optimizer="sgd", learning_rate=0.01)
        model, technique = made(tiny_model, settings)
        found.append(loop.run(moved(model), PAIRS, PAIRS[:4], settings, technique, {}).records)
        checkpoint.discard()
    for step, (one, other) in enumerate(zip(*found, strict=True)):
        for name in ("loss", "grad_norm", *technique.notes):
            assert one[name] == close(other[name], 2 * step + 2, size=NATS)


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_before_training_dpo_sees_no_difference_to_the_reference(tiny_model: Path, adapter: Any) -> None:
    model, technique = made(tiny_model, with_loss("dpo", adapter=adapter))
    loss = technique.loss(model, technique.collate(PAIRS))
    assert float(loss.total.detach()) / len(PAIRS) == close(math.log(2), size=NATS)
    assert loss.notes["reward_margin"] == close(0, size=NATS * len(PAIRS))


def test_the_reference_stays_where_training_started(tiny_model: Path) -> None:
    found = {}
    for adapter in ("lora", "full"):
        settings = with_loss("dpo", adapter=adapter)
        model, technique = made(tiny_model, settings)
        # Counted, so that memory can be forecast; a switched off adapter needs no copy.
        assert technique.extra_bytes == (0 if adapter == "lora" else bytes_of(model))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.add_(0.05)
                elif adapter == "full":
                    parameter.mul_(1.01)
        batch = technique.collate(PAIRS)
        now = batch.sequences.sums(log_probs(model, batch.sequences.tokens))
        base = load_base(tiny_model, device="cpu", precision="fp32")
        then = batch.sequences.sums(log_probs(base, batch.sequences.tokens))
        found[adapter] = technique.loss(model, batch).notes["reward_chosen"]
        assert found[adapter] == close(0.1 * float((now - then)[0::2].sum()), size=NATS * len(PAIRS))
    assert all(abs(value) > 0.01 for value in found.values())


# The same numbers as TRL, which pads, on the rows that it has tokenised.

ROWS = [
    {"prompt": f"the roof leaks above room {n}", "chosen": ("roof", "roof and heat")[n % 2], "rejected": "noise now"}
    for n in range(6)
]


@pytest.fixture
def trl(tiny_model: Path, tmp_path: Path) -> Iterator[Any]:
    """`trl(Trainer, Config, model, rows)`: a trainer of TRL that does not train."""
    from transformers import AutoTokenizer

    datasets: Any = pytest.importorskip("datasets")
    datasets.disable_progress_bars()

    def make(trainer: Any, config: Any, model: Any, rows: Any, **more: Any) -> Any:
        args = config(
            output_dir=str(tmp_path), use_cpu=True, bf16=False, beta=0.1, max_length=64, report_to="none",
            per_device_train_batch_size=len(rows), **more,
        )  # fmt: skip
        data = datasets.Dataset.from_list(rows)
        tokenizer = AutoTokenizer.from_pretrained(tiny_model)
        return trainer(model=model, args=args, train_dataset=data, processing_class=tokenizer)

    yield make
    AcceleratorState._reset_state(reset_partial_state=True)


def of_trl(row: dict[str, Any]) -> Example:
    prompt, chosen = row["prompt_ids"], row["chosen_ids"]
    return Example("", prompt + chosen, [-100] * len(prompt) + chosen, rejected=row["rejected_ids"])


def mean_of(technique: Technique, model: Any, items: Sequence[Any]) -> float:
    batch = technique.collate(items)
    found: float = technique.loss(model.eval(), batch).total.item()
    return found / int(batch.units)


def test_dpo_gives_the_loss_that_trl_gives(tiny_model: Path, trl: Any) -> None:
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    model, technique = made(tiny_model, with_loss("dpo"))
    trainer = trl(DPOTrainer, DPOConfig, model, ROWS)
    rows = list(trainer.train_dataset)
    expected = trainer.compute_loss(moved(model).eval(), trainer.data_collator(rows))
    assert mean_of(technique, model, [of_trl(row) for row in rows]) == close(float(expected), size=NATS)


def test_kto_gives_the_loss_that_trl_gives(tiny_model: Path, trl: Any) -> None:
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    model, technique = made(tiny_model, with_loss("kto"))
    unpaired = [
        {"prompt": row["prompt"], "completion": row[name], "label": name == "chosen"}
        for name in ("chosen", "rejected")
        for row in ROWS
    ]
    trainer = trl(KTOTrainer, KTOConfig, model, unpaired)
    rows = list(trainer.train_dataset)
    pairs = [
        of_trl(
            {
                "prompt_ids": one["prompt_ids"],
                "chosen_ids": one["completion_ids"],
                "rejected_ids": other["completion_ids"],
            }
        )
        for one, other in zip(rows[: len(ROWS)], rows[len(ROWS) :], strict=True)
    ]
    # TRL takes the answer of the row before within the batch: here, each row's own kind of answer.
    for one, other in zip(rows, [*rows[-1:], *rows[:-1]], strict=True):
        one["KL_completion_ids"] = other["completion_ids"]
    for kind in (rows[: len(ROWS)], rows[len(ROWS) :]):
        kind[0]["KL_completion_ids"] = kind[-1]["completion_ids"]
    expected = trainer.compute_loss(moved(model).eval(), trainer.data_collator(rows))
    assert technique.prepare is not None
    prepared = technique.prepare(model.eval(), pairs, 0)
    assert prepared[0].kl > 0.01
    assert mean_of(technique, model, prepared) == close(float(expected), size=NATS)


def test_kto_has_no_divergence_where_a_pair_is_alone_in_its_step(tiny_model: Path) -> None:
    model, technique = made(tiny_model, with_loss("kto"))
    assert technique.prepare is not None
    model = moved(model).eval()
    assert {technique.prepare(model, [pair], 0)[0].kl for pair in PAIRS} == {0}


def test_orpo_gives_the_odds_ratio_that_trl_gives(tiny_model: Path, trl: Any) -> None:
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    model, technique = made(tiny_model, with_loss("orpo"))
    trainer = trl(ORPOTrainer, ORPOConfig, model, ROWS)
    batch, _ = technique.collate(PAIRS), moved(model)
    means = batch.sequences.means(log_probs(model.eval(), batch.sequences.tokens)).detach()
    ratios, chosen, rejected, *_ = trainer.odds_ratio_loss(means[0::2], means[1::2])
    expected = float((-means[0::2] - ratios).mean())
    assert mean_of(technique, model, PAIRS) == close(expected, size=NATS)
    notes = technique.loss(model, batch).notes
    assert notes["reward_margin"] == close(float((chosen - rejected).sum()), size=NATS * len(PAIRS))
