import contextlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import make_model

from tunegate.errors import InputError
from tunegate.evaluation.answers import PREDICTION
from tunegate.evaluation.classification import UNSEEN_NLL, classify_all, unseen_labels
from tunegate.models.folders import TunedRecord
from tunegate.models.heads import load_headed
from tunegate.models.labels import Labels
from tunegate.models.loading import load_tokenizer
from tunegate.models.tuned import TunedModel
from tunegate.params import Evaluate

TEXTS = ["the roof leaks", "no warm water in flat 3", "pump hums", "the roof leaks above room 3 no warm water"]
LABELS = ("heat", "noise", "roof")


def rows(*labels: str | None) -> list[dict[str, Any]]:
    same = {"messages": None, "slices": [("language", "en")], "source": "s"}
    return [
        same | {"id": str(n), "group": str(n), "text": TEXTS[n % len(TEXTS)], "label": label}
        for n, label in enumerate(labels)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model("bert", tmp_path_factory.mktemp("bert"))


def tuned(folder: Path, **settings: Any) -> TunedModel:
    record = TunedRecord(technique="classify", adapter="full", labels=LABELS, **settings)
    labels = Labels.recorded(record.model_dump())
    model, before = (load_headed(folder, labels, device="cpu", precision="fp32", seed=s).model for s in (8, 7))
    return TunedModel(model, record, lambda: contextlib.nullcontext(before))


def classified(model: TunedModel, folder: Path, given: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
    return classify_all(model, load_tokenizer(folder), given, Evaluate(batch_size=3), **how)


def chances(model: Any, folder: Path, text: str) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(**load_tokenizer(folder)(text, return_tensors="pt")).logits[0]
    return logits


def test_a_row_is_answered_with_the_likeliest_label_by_both_models(folder: Path) -> None:
    model, given = tuned(folder), rows("roof", "heat", "noise", "roof", "heat")
    answers = classified(model, folder, given)
    assert set(answers[0]) == set(PREDICTION.names)
    with model.untuned() as before:
        for row, answer in zip(given, answers, strict=True):
            for name, network in (("base", before), ("tuned", model.model)):
                logs = chances(network, folder, row["text"]).log_softmax(-1)
                assert answer[f"{name}_answer"] == LABELS[int(logs.argmax())]
                assert answer[f"{name}_correct"] == (answer[f"{name}_answer"] == row["label"])
                assert answer[f"{name}_nll"] == pytest.approx(-float(logs[LABELS.index(row["label"])]), rel=1e-4)
    assert any(answer["base_nll"] != answer["tuned_nll"] for answer in answers)


def test_of_several_labels_all_above_the_threshold_are_given(folder: Path) -> None:
    model, given = tuned(folder, multi_label=True, threshold=0.4), rows("roof; heat", "", "noise")
    for row, answer in zip(given, classified(model, folder, given), strict=True):
        likely = chances(model.model, folder, row["text"]).sigmoid()
        reference = model_labels(row["label"])
        expected = [name for name, chance in zip(LABELS, likely, strict=True) if chance >= 0.4]
        assert answer["tuned_answer"] == ";".join(expected)
        assert answer["reference"] == answer["label"] == ";".join(reference)
        assert answer["tuned_correct"] == (expected == reference)
        factors = [float(c) if n in reference else 1 - float(c) for n, c in zip(LABELS, likely, strict=True)]
        assert answer["tuned_nll"] == pytest.approx(-sum(map(math.log, factors)), rel=1e-4)


def model_labels(text: str) -> list[str]:
    return sorted(part.strip() for part in text.split(";") if part.strip())


def test_a_label_that_no_training_row_has_counts_as_wrong_and_has_a_finite_nll(folder: Path) -> None:
    model, given = tuned(folder), rows("lift", "roof", "lift")
    answers = classified(model, folder, given)
    assert [answer["tuned_correct"] for answer in (answers[0], answers[2])] == [False, False]
    assert answers[0]["tuned_nll"] == UNSEEN_NLL
    assert unseen_labels(model, given) == {"lift": 2}


def test_only_the_models_asked_for_answer(folder: Path) -> None:
    answers = classified(tuned(folder), folder, rows("roof"), models=["tuned"])
    assert "base_answer" not in answers[0]


def test_answers_of_a_head_do_not_depend_on_the_batch(folder: Path) -> None:
    model, given = tuned(folder), rows(*["roof", "heat"] * 4)
    whole = classified(model, folder, given)
    single = [classified(model, folder, [row])[0] for row in given]
    for one, other in zip(whole, single, strict=True):
        assert one["tuned_answer"] == other["tuned_answer"]
        assert one["tuned_nll"] == pytest.approx(other["tuned_nll"], rel=1e-4)


def test_a_test_row_longer_than_the_model_can_read_is_cut(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.model_max_length = 66
    long = rows("roof")[0] | {"text": "roof " * 200}
    cut = classify_all(tuned(folder), tokenizer, [long], Evaluate())
    fitting = long | {"text": "roof " * 64}
    assert cut[0]["tuned_nll"] == classify_all(tuned(folder), tokenizer, [fitting], Evaluate())[0]["tuned_nll"]


@pytest.mark.parametrize(("architecture", "positions"), [("bert", 66), ("roberta", 64)])
def test_where_the_tokenizer_names_no_limit_a_row_is_cut_at_the_models_positions(
    architecture: str, positions: int, tmp_path: Path
) -> None:
    model, tokenizer = tuned(make_model(architecture, tmp_path)), load_tokenizer(tmp_path)
    tokenizer.model_max_length = 10**30
    long, fitting = (rows("roof")[0] | {"text": "roof " * n} for n in (200, positions - 2))
    answers = [classify_all(model, tokenizer, [row], Evaluate())[0]["tuned_nll"] for row in (long, fitting)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(("label", "settings"), [(None, {"multi_label": True}), (None, {}), (" ", {})])
def test_a_test_row_without_a_label_is_named(label: str | None, settings: Any, folder: Path) -> None:
    with pytest.raises(InputError, match="without a label") as caught:
        classified(tuned(folder, **settings), folder, rows("roof", label))
    assert caught.value.place == "row 1"
