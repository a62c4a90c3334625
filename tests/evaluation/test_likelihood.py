import contextlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tunegate.errors import InputError
from tunegate.evaluation import likelihood
from tunegate.evaluation.examples import examples_of
from tunegate.evaluation.metrics import metrics_of
from tunegate.evaluation.predictions import predictions_of
from tunegate.models.folders import TunedRecord
from tunegate.models.loading import load_base, load_tokenizer
from tunegate.models.tuned import TunedModel, tuned_from_peft
from tunegate.params import Evaluate, Train
from tunegate.training.adapter import trainable, with_adapter

TEXTS = {"a": "the roof leaks above room 3", "b": "no warm water", "c": "the roof leaks " * 12, "d": "<|im_end|>"}


def rows(source: str = "manuals") -> list[dict[str, Any]]:
    plain = {"messages": None, "label": None, "rejected": None, "slices": [("kind", "x")], "source": source}
    return [plain | {"id": name, "group": name, "text": text} for name, text in TEXTS.items()]


@pytest.fixture(scope="module")
def tuned(tiny_model: Path) -> TunedModel:
    torch.manual_seed(0)
    model = with_adapter(load_base(tiny_model, device="cpu", precision="fp32"), Train(rank=4))
    for parameter in trainable(model).values():
        torch.nn.init.normal_(parameter.data, std=0.1)
    return tuned_from_peft(model.eval(), TunedRecord(technique="pretrain"))


def test_every_text_has_the_likelihood_that_a_plain_forward_pass_gives_it(tuned: TunedModel, tiny_model: Path) -> None:
    tokenizer, plain = load_tokenizer(tiny_model), load_base(tiny_model, device="cpu", precision="fp32")
    answers = {row["id"]: row for row in predictions_of(tuned, tokenizer, rows(), Evaluate(batch_size=3))}
    for name in ("a", "b"):
        ids = torch.tensor([[1, *tokenizer(TEXTS[name], add_special_tokens=False)["input_ids"], 2]])
        with torch.no_grad():
            expected = float(plain(input_ids=ids, labels=ids).loss)
        assert answers[name]["base_nll"] == pytest.approx(expected, rel=1e-4)
        assert answers[name]["tuned_nll"] != answers[name]["base_nll"]


def test_likelihoods_do_not_depend_on_the_batch(tuned: TunedModel, tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    together = predictions_of(tuned, tokenizer, rows(), Evaluate(batch_size=4))
    alone = predictions_of(tuned, tokenizer, rows(), Evaluate(batch_size=1))
    assert [row["tuned_nll"] for row in together] == pytest.approx([row["tuned_nll"] for row in alone], rel=1e-4)


def test_a_long_document_is_read_in_pieces(
    tuned: TunedModel, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = load_tokenizer(tiny_model)
    whole = {row["id"]: row["tuned_nll"] for row in predictions_of(tuned, tokenizer, rows(), Evaluate())}
    monkeypatch.setattr(likelihood, "LONGEST", 32)
    cut = {row["id"]: row["tuned_nll"] for row in predictions_of(tuned, tokenizer, rows(), Evaluate())}
    assert cut["b"] == pytest.approx(whole["b"])
    assert cut["c"] != pytest.approx(whole["c"])
    assert math.isfinite(cut["c"])


def test_raw_text_has_perplexity_by_source_and_no_share_of_right_answers(tuned: TunedModel, tiny_model: Path) -> None:
    import pyarrow as pa

    from tunegate.evaluation.answers import PREDICTION

    general = [row | {"id": f"g{row['id']}"} for row in rows("news")]
    answers = predictions_of(tuned, load_tokenizer(tiny_model), rows() + general, Evaluate())
    table = pa.Table.from_pylist(answers, schema=PREDICTION)
    examples = examples_of(table, place="predictions")
    metrics = metrics_of(examples, lineage="", test_set="", min_slice_rows=1, ignore_case=True)
    assert set(metrics["base"]) == {"nll", "perplexity"}
    mean = sum(example.base.nll for example in examples) / len(examples)
    assert metrics["base"]["perplexity"] == pytest.approx(math.exp(mean), rel=1e-4)
    assert set(metrics["slices"]["source"]) == {"manuals", "news"}
    delta = metrics["slices"]["source"]["news"]
    assert delta["delta"]["perplexity"] == pytest.approx(
        delta["tuned"]["perplexity"] - delta["base"]["perplexity"], abs=1e-5
    )


def test_a_test_row_with_an_answer_is_named(tiny_model: Path) -> None:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    tuned = TunedModel(model, TunedRecord(technique="pretrain"), lambda: contextlib.nullcontext(model))
    with pytest.raises(InputError, match="this row has a label") as caught:
        predictions_of(tuned, load_tokenizer(tiny_model), [rows()[0] | {"label": "roof"}], Evaluate())
    assert caught.value.place == "row a"
