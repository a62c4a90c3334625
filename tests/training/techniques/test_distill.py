import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from rounding import close, is_close

from tunegate.models.loading import load_base, load_tokenizer
from tunegate.models.resources import bytes_of
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import Example
from tunegate.models.tokens.formats.answers import Answers
from tunegate.params import Distill, Train
from tunegate.training import checkpoint, loop
from tunegate.training.adapter import start, trainable
from tunegate.training.sequence_likelihood import laid_out
from tunegate.training.technique import Technique
from tunegate.training.techniques.distill import distill, divergence, samples_in
from tunegate.training.techniques.sft import sft

SETTINGS = Train(
    technique="distill", precision="fp32", epochs=6, tokens_per_step=256, checkpoint_every=2, rank=8, learning_rate=0.02
)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def rows(tiny_model: Path, tiny_rows: list[dict[str, str]]) -> list[Example]:
    canonical: list[dict[str, Any]] = [row | {"source": "desks", "slices": [], "messages": None} for row in tiny_rows]
    return list(Answers()(Recipe.of(load_tokenizer(tiny_model)), canonical))


@pytest.fixture(scope="module")
def base(tiny_model: Path, rows: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, and in its folder a teacher that has learned which desk a question belongs to."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        AcceleratorState._reset_state(reset_partial_state=True)
        settings = Train(precision="fp32", epochs=8, tokens_per_step=256, learning_rate=0.02, rank=8)
        model = start(tiny_model, settings)
        loop.run(model, rows[:36], rows[:6], settings, sft(), {})
        shutil.copytree(tiny_model, folder / "model")
        shutil.copytree(tiny_model, folder / "model/teacher")
        model.merge_and_unload().save_pretrained(folder / "model/teacher")
    return folder / "model"


def with_own(**own: Any) -> Train:
    return SETTINGS.model_copy(update={"distill": Distill(**own)})


def made(base: Path, settings: Train) -> tuple[Any, Technique]:
    return start(base, settings), distill(settings, base)


@torch.no_grad()
def right(model: Any, rows: Sequence[Example]) -> float:
    """Share of rows at which every token of the answer is the likeliest."""
    found = 0
    for row in rows:
        likeliest = model(input_ids=torch.tensor([row.ids])).logits[0].argmax(-1).tolist()
        found += likeliest[row.prompt - 1 : -1] == row.ids[row.prompt :]
    return found / len(rows)


@pytest.mark.parametrize("on_policy", [0.0, 0.5])
def test_a_student_beats_its_own_start_at_what_its_teacher_knows(
    base: Path, rows: list[Example], on_policy: float
) -> None:
    settings = with_own(on_policy=on_policy, max_new_tokens=4)
    model, technique = made(base, settings)
    before = right(model, rows[36:])
    records = loop.run(model, rows[:36], rows[36:], settings, technique, {}).records
    assert right(load_base(base / "teacher", device="cpu", precision="fp32"), rows[36:]) > 0.9
    assert before < 0.1
    assert right(model.eval(), rows[36:]) > 0.8
    own = [record for record in records if record["on_policy"] == 0]
    assert own[-1]["divergence"] < own[0]["divergence"] / 4
    assert records[-1]["agreement"] > records[0]["agreement"]
    assert {record["on_policy"] for record in records} == ({0.0, 1.0} if on_policy else {0.0})


def test_distillation_resumed_equals_the_uninterrupted_run_bit_for_bit(base: Path, rows: list[Example]) -> None:
    settings = with_own(on_policy=0.5, temperature=2.0, hard_share=0.2, max_new_tokens=4)
    whole, technique = made(base, settings)
    expected = loop.run(whole, rows[:24], rows[:3], settings, technique, {}).records
    checkpoint.discard()
    killed, technique = made(base, settings)
    with pytest.raises(KeyError):
        loop.run(killed, rows[:24], rows[:3], settings, dying(technique, step=5), {})
    resumed, technique = made(base, settings)
    assert loop.run(resumed, rows[:24], rows[:3], settings, technique, {}).records == expected
    for one, other in zip(trainable(whole).values(), trainable(resumed).values(), strict=True):
        assert torch.equal(one, other)


def dying(technique: Technique, step: int) -> Technique:
    """The same technique, ended as by a kill when a step (from 0) begins."""

    def prepare(model: Any, examples: Sequence[Example], number: int) -> Any:
        if number == step:
            raise KeyError("killed")
        assert technique.prepare is not None
        return technique.prepare(model, examples, number)

    return dataclasses.replace(technique, prepare=prepare)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_divergence_is_that_of_its_definition_and_of_trl(temperature: float) -> None:
    from trl.experimental.gkd import GKDTrainer

    torch.manual_seed(0)
    teacher, student = torch.randn(7, 50) * 3, torch.randn(7, 50) * 3
    p, q = (torch.softmax(logits / temperature, -1) for logits in (teacher, student))
    found = divergence(teacher, student, temperature)
    assert is_close(found, (p * (p / q).log()).sum(-1))
    trl: Any = GKDTrainer
    theirs = trl.generalized_jsd_loss(student[None], teacher[None], beta=0, temperature=temperature, reduction="sum")
    assert float(found.sum()) == close(float(theirs))


def test_the_loss_weighs_teacher_and_own_answer_at_the_trained_positions(base: Path, rows: list[Example]) -> None:
    settings = with_own(hard_share=0.25, temperature=2.0)
    model, technique = made(base, settings)
    assert technique.prepare is not None
    loss = technique.loss(model.eval(), technique.collate(technique.prepare(model, rows[:5], -1)))
    teacher, expected = load_base(base / "teacher", device="cpu", precision="fp32"), 0.0
    for row in rows[:5]:
        ids, start = torch.tensor([row.ids]), row.prompt - 1
        with torch.no_grad():
            mine, wanted = (m(input_ids=ids).logits[0, start:-1] for m in (model, teacher))
        soft = divergence(wanted, mine, 2.0).sum() * 4
        hard = torch.nn.functional.cross_entropy(mine, ids[0, row.prompt :], reduction="sum")
        expected += float(0.75 * soft + 0.25 * hard)
    assert float(loss.total.detach()) == close(expected)
    assert technique.collate(technique.prepare(model, rows[:5], -1)).units == int(laid_out(rows[:5]).lengths.sum())


def test_the_share_of_sampled_steps_is_what_was_asked_for() -> None:
    assert not any(samples_in(step, with_own()) for step in range(50))
    assert all(samples_in(step, with_own(on_policy=1.0)) for step in range(50))
    assert 0.25 < sum(samples_in(step, with_own(on_policy=0.3)) for step in range(1000)) / 1000 < 0.35


def test_the_teacher_s_memory_is_counted(base: Path) -> None:
    student, technique = made(base, SETTINGS)
    assert technique.extra_bytes == bytes_of(student.get_base_model()) - bytes_of_adapter(student)


def bytes_of_adapter(model: Any) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in trainable(model).values())
