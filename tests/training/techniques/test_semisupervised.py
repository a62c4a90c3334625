import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from technique_runs import example, loss_on, require_exact_resume, share_right, start_of, trained

from tunegate.data.ledger.stage_ledger import read_ledger
from tunegate.errors import InputError
from tunegate.models.tokens.examples import Example
from tunegate.params import Semisupervised, Train
from tunegate.tables import read_parquet
from tunegate.training import loop

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
