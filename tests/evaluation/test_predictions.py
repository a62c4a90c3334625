import contextlib
from pathlib import Path

import pytest
from tiny_models import make_model

from tunegate.errors import InputError
from tunegate.evaluation.predictions import predictions_of, remarks_of
from tunegate.models.folders import TunedRecord
from tunegate.models.heads import load_headed
from tunegate.models.labels import Labels
from tunegate.models.loading import load_base, load_tokenizer
from tunegate.models.tuned import TunedModel
from tunegate.params import Evaluate

ROWS = [
    {"id": n, "group": n, "messages": None, "text": "the roof leaks", "label": n, "rejected": None, "slices": []}
    for n in ("heat", "lift", "roof")
]


def test_a_head_is_asked_for_labels_and_unseen_ones_are_remarked(tmp_path: Path) -> None:
    folder, labels = make_model("bert", tmp_path), ("heat", "roof")
    record = TunedRecord(technique="classify", adapter="head", labels=labels)
    model = load_headed(folder, Labels(labels), device="cpu", precision="fp32", seed=7).model
    tuned = TunedModel(model, record, lambda: contextlib.nullcontext(model))
    answers = predictions_of(tuned, load_tokenizer(folder), ROWS, Evaluate())
    assert {answer["tuned_answer"] for answer in answers} <= set(labels)
    assert remarks_of(tuned, ROWS) == [
        "test rows with the label 'lift', which no training row has: 1, all counted as wrong"
    ]


def test_a_decoder_is_asked_for_words(tiny_model: Path) -> None:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    tuned = TunedModel(model, TunedRecord(technique="sft"), lambda: contextlib.nullcontext(model))
    answers = predictions_of(tuned, load_tokenizer(tiny_model), ROWS, Evaluate(max_new_tokens=2), models=["tuned"])
    assert [answer["reference"] for answer in answers] == ["heat", "lift", "roof"]
    assert remarks_of(tuned, ROWS) == []


def test_rows_without_an_answer_are_left_out_where_training_takes_them_and_else_named(tiny_model: Path) -> None:
    model, tokenizer = load_base(tiny_model, device="cpu", precision="fp32"), load_tokenizer(tiny_model)
    given, how = [*ROWS, ROWS[0] | {"id": "none", "label": None}], Evaluate(max_new_tokens=2)

    def tuned(technique: str) -> TunedModel:
        return TunedModel(
            model, TunedRecord.model_validate({"technique": technique}), lambda: contextlib.nullcontext(model)
        )

    for technique in ("reinforce", "semisupervised"):
        answers = predictions_of(tuned(technique), tokenizer, given, how, models=["tuned"])
        assert [row["id"] for row in answers] == ["heat", "lift", "roof"]
        assert remarks_of(tuned(technique), given) == [
            "test rows without an answer, which nothing can be compared with: 1, left out"
        ]
    for technique in ("sft", "preference"):
        rows = [row | {"rejected": "x"} for row in given]
        with pytest.raises(InputError, match=r"no answer to learn|no chosen answer") as caught:
            predictions_of(tuned(technique), tokenizer, rows, how, models=["tuned"])
        assert caught.value.place == "row none"


def test_rows_without_a_label_are_not_asked_and_tasks_are_slices(tiny_model: Path) -> None:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    rows = [row | {"source": "desk"} for row in ROWS]
    predictions = {}
    for technique in ("semisupervised", "multitask", "sft"):
        tuned = TunedModel(
            model, TunedRecord.model_validate({"technique": technique}), lambda: contextlib.nullcontext(model)
        )
        given = [*rows, rows[0] | {"id": "none", "label": None}] if technique == "semisupervised" else rows
        predictions[technique] = predictions_of(
            tuned, load_tokenizer(tiny_model), given, Evaluate(max_new_tokens=2), models=["tuned"]
        )
    assert [row["id"] for row in predictions["semisupervised"]] == ["heat", "lift", "roof"]
    assert dict(predictions["multitask"][0]["slices"]) == {"source": "desk"}
    assert dict(predictions["sft"][0]["slices"]) == {}
