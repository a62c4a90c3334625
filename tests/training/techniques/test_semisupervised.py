from pathlib import Path
from typing import Any

import pytest
from learners import asked, learned, loss_on, require_exact_resume, share_right, start_of

from tunegate.data.ledger import read_ledger
from tunegate.errors import InputError
from tunegate.models.examples import Example
from tunegate.params import Semisupervised, Train
from tunegate.tables import read_parquet
from tunegate.training import loop

SETTINGS = Train(
    technique="semisupervised",
    precision="fp32",
    epochs=6,
    tokens_per_step=64,
    learning_rate=0.02,
    checkpoint_every=4,
    semisupervised=Semisupervised(rounds=2, confidence=0.6),
)


def row(name: str, kind: int, number: int, *, labelled: bool) -> Example:
    """A question about one of three classes: one word somewhere among others tells which."""
    words = [100 + (number * 31 + at * 17 + number * number * 3) % 60 for at in range(3)]
    words[number % 3] = 40 + kind
    return asked(name, [*words, 30], [80 + kind] if labelled else [])


# So few labelled rows that some of the other words seem to tell the class too.
LABELLED = [row(f"l{n}", n % 3, n, labelled=True) for n in range(9)]
UNLABELLED = [row(f"u{n}", (n * 7 + n // 3) % 3, 20 + n, labelled=False) for n in range(48)]
VALID = [row(f"v{n}", n % 3, 80 + n, labelled=True) for n in range(6)]
TEST = [row(f"t{n}", (n + n // 3) % 3, 100 + n, labelled=True) for n in range(36)]
TRAIN = [*LABELLED, *UNLABELLED]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_pseudo_labels_beat_the_start_and_the_labelled_rows_alone(tiny_model: Path) -> None:
    start, _ = start_of(tiny_model, SETTINGS)
    only = Train(technique="sft", precision="fp32", epochs=18, tokens_per_step=64, learning_rate=0.02)
    alone, _ = learned(tiny_model, only, LABELLED, VALID)
    model, progress = learned(tiny_model, SETTINGS, TRAIN, VALID)
    assert len(progress.state["accepted"]) > len(UNLABELLED) / 2
    assert loss_on(model, TEST) < min(loss_on(start, TEST), loss_on(alone, TEST)) / 2
    assert share_right(model, TEST) > max(share_right(start, TEST), share_right(alone, TEST))


def test_a_run_that_dies_while_it_learns_from_its_own_labels_resumes_exactly(tiny_model: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 3, "semisupervised": Semisupervised(rounds=1, confidence=0.05)})
    require_exact_resume(tiny_model, settings, TRAIN, VALID, passes=20)


def test_only_answers_that_the_model_is_sure_of_are_accepted(tiny_model: Path) -> None:
    _, progress = learned(tiny_model, SETTINGS, TRAIN, VALID)
    assert all(0.6 <= found["confidence"] <= 1 for found in progress.state["accepted"])
    sure = SETTINGS.model_copy(update={"epochs": 1, "semisupervised": Semisupervised(confidence=0.999)})
    assert learned(tiny_model, sure, TRAIN, VALID)[1].state["accepted"] == []


def test_rows_with_and_without_a_label_close_in_the_ledger(tiny_model: Path, tmp_path: Path) -> None:
    _, progress = learned(tiny_model, SETTINGS, TRAIN, VALID)
    _, technique = start_of(tiny_model, SETTINGS)
    assert technique.keep is not None
    technique.keep(tmp_path, TRAIN, progress.state)
    ledger, rows = read_ledger(tmp_path), read_parquet(tmp_path / "pseudo_labels.parquet").to_pylist()
    assert ledger.notes == {"labelled": 9, "unlabelled": 48, "pseudo_labelled": len(rows)}
    assert (ledger.rows.in_, ledger.rows.out) == (57, 9 + len(rows))
    assert ledger.reasons.get("below_confidence", 0) == 48 - len(rows)
    assert {row["id"]: row["confidence"] for row in rows} == {
        found["id"]: found["confidence"] for found in progress.state["accepted"]
    }
    assert all(row["answer"] for row in rows)


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
