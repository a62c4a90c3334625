from pathlib import Path
from typing import Any

import pytest
import torch

from tunegate.evaluation.answers import answer_all
from tunegate.models.folders import TunedRecord
from tunegate.models.loading import load_base, load_tokenizer
from tunegate.models.tuned import tuned_from_peft
from tunegate.params import Evaluate, Train
from tunegate.training.adapter import trainable, with_adapter

SETTINGS = Evaluate(batch_size=3, max_new_tokens=5)


@pytest.fixture(scope="module")
def tuned(tiny_model: Path) -> Any:
    torch.manual_seed(0)
    model = with_adapter(load_base(tiny_model, device="cpu", precision="fp32"), Train(rank=4))
    for parameter in trainable(model).values():
        torch.nn.init.normal_(parameter.data, std=0.3)
    return tuned_from_peft(model.eval(), TunedRecord())


def rows(tiny_rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [row | {"group": row["id"], "messages": None, "slices": [("language", "en")]} for row in tiny_rows[:7]]


def test_every_row_is_answered_by_both_models(tuned: Any, tiny_model: Path, tiny_rows: list[dict[str, str]]) -> None:
    answers = answer_all(tuned, load_tokenizer(tiny_model), rows(tiny_rows), SETTINGS)
    assert [answer["id"] for answer in answers] == sorted(row["id"] for row in tiny_rows[:7])
    assert all(answer["base_nll"] > 0 and answer["tuned_nll"] > 0 for answer in answers)
    assert any(answer["base_answer"] != answer["tuned_answer"] for answer in answers)


def test_answers_do_not_depend_on_the_batch(tuned: Any, tiny_model: Path, tiny_rows: list[dict[str, str]]) -> None:
    tokenizer = load_tokenizer(tiny_model)
    together = answer_all(tuned, tokenizer, rows(tiny_rows), SETTINGS)
    alone = answer_all(tuned, tokenizer, rows(tiny_rows), SETTINGS.model_copy(update={"batch_size": 1}))
    for one, other in zip(together, alone, strict=True):
        assert one["tuned_answer"] == other["tuned_answer"]
        assert one["tuned_nll"] == pytest.approx(other["tuned_nll"], rel=1e-4)


def test_the_base_column_is_the_model_without_its_adapter(
    tuned: Any, tiny_model: Path, tiny_rows: list[dict[str, str]]
) -> None:
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(tiny_model)
    plain = AutoModelForCausalLM.from_pretrained(tiny_model)
    row = rows(tiny_rows)[0]
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": row["text"]}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = plain.generate(**prompt, max_new_tokens=5, do_sample=False, eos_token_id=2, pad_token_id=2)
    expected = tokenizer.decode(output[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    assert answer_all(tuned, tokenizer, [row], SETTINGS)[0]["base_answer"] == expected
