import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rounding import close
from technique_runs import example, loss_on, require_exact_resume, share_right, start_of, trained

from tunegate.data.ledger.stage_ledger import read_ledger
from tunegate.errors import InputError
from tunegate.models.loading import load_base
from tunegate.models.tokens.examples import Example
from tunegate.params import Semisupervised, Train
from tunegate.tables import read_parquet
from tunegate.training import loop
from tunegate.training.techniques.semisupervised import pseudo_labels

SETTINGS = Train(
    technique="semisupervised",
    precision="fp32",
    epochs=3,
    tokens_per_step=64,
    learning_rate=0.02,
    checkpoint_every=4,
    semisupervised=Semisupervised(rounds=3, confidence=0.5),
)


def rows(name: str, pairs: Sequence[tuple[int, int]], *, labelled: bool) -> list[Example]:
    """Questions of two words about each of three classes; each class has six words of its own."""
    return [
        example(f"{name}{kind}{one}{two}", [40 + 10 * kind + one, 40 + 10 * kind + two, 30], [80 + kind] * labelled)
        for kind in range(3)
        for one, two in pairs
    ]


# Labels tell of three words of a class; that the others belong to it is told by unlabelled rows alone.
LABELLED = rows("l", [*itertools.permutations(range(3), 2)], labelled=True)
UNLABELLED = rows("u", [p for p in itertools.permutations(range(6), 2) if min(p) < 3 <= max(p)], labelled=False)
VALID = LABELLED[::3]
TEST = rows("t", [*itertools.permutations(range(3, 6), 2)], labelled=True)
TRAIN = [*LABELLED, *UNLABELLED]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_pseudo_labels_beat_the_start_and_the_labelled_rows_alone(tiny_model: Path) -> None:
    settings = SETTINGS.model_copy(update={"seed": 7})
    start, _ = start_of(tiny_model, settings)
    only = Train(technique="sft", precision="fp32", epochs=12, tokens_per_step=64, learning_rate=0.02, seed=7)
    alone, _ = trained(tiny_model, only, LABELLED, VALID)
    model, progress = trained(tiny_model, settings, TRAIN, VALID)
    assert len(progress.state["accepted"]) > len(UNLABELLED) / 2
    assert loss_on(model, TEST) < min(loss_on(start, TEST), loss_on(alone, TEST)) * 0.8
    assert share_right(model, TEST) > max(share_right(start, TEST), share_right(alone, TEST)) + 0.05


def test_a_run_that_dies_while_it_learns_from_its_own_labels_resumes_exactly(tiny_model: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 3, "semisupervised": Semisupervised(rounds=1, confidence=0.05)})
    require_exact_resume(tiny_model, settings, TRAIN, VALID, passes=20)


def test_only_answers_that_the_model_is_sure_of_are_accepted(tiny_model: Path) -> None:
    _, progress = trained(tiny_model, SETTINGS, TRAIN, VALID)
    assert all(0.5 <= found["confidence"] <= 1 for found in progress.state["accepted"])
    sure = SETTINGS.model_copy(update={"epochs": 1, "semisupervised": Semisupervised(confidence=0.999)})
    assert trained(tiny_model, sure, TRAIN, VALID)[1].state["accepted"] == []


def test_rows_with_and_without_a_label_close_in_the_ledger(tiny_model: Path, tmp_path: Path) -> None:
    _, progress = trained(tiny_model, SETTINGS, TRAIN, VALID)
    _, technique = start_of(tiny_model, SETTINGS)
    assert technique.keep is not None
    technique.keep(tmp_path, TRAIN, progress.state)
    ledger, made = read_ledger(tmp_path), read_parquet(tmp_path / "pseudo_labels.parquet").to_pylist()
    counts = {"labelled": 18, "unlabelled": 54, "pseudo_labelled": len(made), "augmented_rows": 0}
    assert ledger.notes == counts
    copies = [dataclasses.replace(example, id=f"{example.id}~typo-1") for example in TRAIN[:20]]
    technique.keep(tmp_path, [*TRAIN, *copies], progress.state)
    assert read_ledger(tmp_path).notes == counts | {"augmented_rows": 20}
    assert read_ledger(tmp_path).rows == ledger.rows
    assert (ledger.rows.in_, ledger.rows.out) == (72, 18 + len(made))
    assert ledger.reasons.get("below_confidence", 0) == 54 - len(made)
    assert {row["id"]: row["confidence"] for row in made} == {
        found["id"]: found["confidence"] for found in progress.state["accepted"]
    }
    assert all(row["answer"] for row in made)


@pytest.mark.parametrize(
    ("train", "valid", "problem"),
    [
        (UNLABELLED, VALID, "no labelled row to train on"),
        (LABELLED, VALID, "no row without a label"),
        (TRAIN, UNLABELLED[:3], "no labelled row in the split valid"),
    ],
)
def test_rows_of_one_kind_alone_are_refused(tiny_model: Path, train: Any, valid: Any, problem: str) -> None:
    model, technique = start_of(tiny_model, SETTINGS)
    with pytest.raises(InputError, match=problem):
        loop.run(model, train, valid, SETTINGS, technique, {})


PROMPTS = [example(f"p{n}", [40 + n, *range(60, 60 + n)], []) for n in range(6)]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> torch.nn.Module:
    base: torch.nn.Module = load_base(tiny_model, device="cpu", precision="fp32")
    return base


def first_words(model: torch.nn.Module) -> tuple[int, int]:
    """The first two tokens that the random model says to one of the prompts: the second may stand for an end."""
    with torch.no_grad():
        first = int(model(torch.tensor([PROMPTS[3].ids])).logits[0, -1].argmax())
        return first, int(model(torch.tensor([[*PROMPTS[3].ids, first]])).logits[0, -1].argmax())


def test_a_pseudo_label_is_the_greedy_answer_with_the_probability_of_the_whole(model: torch.nn.Module) -> None:
    first, end = first_words(model)
    with torch.no_grad():
        chances = model(torch.tensor([[*PROMPTS[3].ids, first, end]])).logits[0].log_softmax(-1)
    assert first != end, "choose another prompt for this test"
    (label,) = pseudo_labels(model, [PROMPTS[3]], end=end, longest=4, tokens=64, device="cpu")
    assert label.answer == [first, end]
    expected = float((chances[-3, first] + chances[-2, end]).exp())
    assert label.confidence == close(expected)


def test_answers_without_an_end_and_empty_ones_are_left_out(model: torch.nn.Module) -> None:
    with torch.no_grad():
        first = int(model(torch.tensor([PROMPTS[0].ids])).logits[0, -1].argmax())
    assert pseudo_labels(model, PROMPTS[:1], end=first, longest=4, tokens=64, device="cpu") == []
    never = next(token for token in range(3, 300) if token != first)
    assert pseudo_labels(model, PROMPTS[:1], end=never, longest=1, tokens=64, device="cpu") == []


def test_pseudo_labels_keep_the_order_of_the_prompts_however_they_are_grouped(model: torch.nn.Module) -> None:
    _, end = first_words(model)

    def answers(prompts: list[Example], tokens: int) -> dict[str, list[int]]:
        labels = pseudo_labels(model, prompts, end=end, longest=40, tokens=tokens, device="cpu")
        assert [label.id for label in labels] == [p.id for p in prompts if p.id in {label.id for label in labels}]
        return {label.id: label.answer for label in labels}

    assert "p3" in answers(PROMPTS, 8)
    assert answers(PROMPTS, 8) == answers(PROMPTS, 1000) == answers(PROMPTS[::-1], 1000)
