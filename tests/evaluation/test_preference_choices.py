from pathlib import Path
from typing import Any

import pytest
import torch

from tunegate.errors import InputError
from tunegate.evaluation.predictions import predictions_of
from tunegate.evaluation.preference_choices import choose_all
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
    return tuned_from_peft(model.eval(), TunedRecord(technique="preference"))


def row(number: int, **changes: Any) -> dict[str, Any]:
    answers = ("roof " * (number % 3 + 1), "noise")
    chosen, rejected = answers if number % 2 else answers[::-1]
    row: dict[str, Any] = {"id": f"r{number}", "group": "g", "source": "s", "messages": None, "slices": []}
    return row | {"text": f"the roof leaks {number}", "label": chosen, "rejected": rejected} | changes


ROWS = [row(number) for number in range(7)]


def test_the_likelier_of_the_two_answers_by_its_mean_is_the_answer(tuned: Any, tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    predictions = predictions_of(tuned, tokenizer, ROWS, SETTINGS)
    assert [answer["id"] for answer in predictions] == [f"r{number}" for number in range(7)]
    assert {answer["tuned_correct"] for answer in predictions} == {True, False}
    for row, answer in zip(ROWS, predictions, strict=True):
        prompt = f"<|im_start|>user\n{row['text']}<|im_end|>\n<|im_start|>assistant\n"
        means = {}
        for text in (row["label"], row["rejected"]):
            start = tokenizer(prompt, return_tensors="pt")["input_ids"]
            end = tokenizer(text + "<|im_end|>", return_tensors="pt")["input_ids"]
            with torch.no_grad():
                chances = tuned.model(input_ids=torch.cat([start, end], 1)).logits[0].log_softmax(-1)
            means[text] = float(chances[start.shape[1] - 1 : -1].gather(-1, end[0, :, None]).mean())
        likelier = max(means, key=means.__getitem__)
        assert answer["tuned_answer"] == likelier
        assert answer["tuned_correct"] == (likelier == row["label"])
        assert answer["tuned_nll"] == pytest.approx(-means[row["label"]], rel=1e-4)
        assert answer["reference"] == row["label"]
        assert answer["label"] is None


def test_choices_do_not_depend_on_the_batch(tuned: Any, tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    together = choose_all(tuned, tokenizer, ROWS, SETTINGS)
    alone = choose_all(tuned, tokenizer, ROWS, SETTINGS.model_copy(update={"batch_size": 1}), models=("tuned",))
    for one, other in zip(together, alone, strict=True):
        assert one["tuned_answer"] == other["tuned_answer"]
        assert "base_answer" not in other


def test_the_last_message_of_a_conversation_is_what_was_chosen(tuned: Any, tiny_model: Path) -> None:
    talk = [{"role": "user", "content": "the roof leaks 1"}, {"role": "assistant", "content": "roof roof "}]
    both = [row(1), row(1, id="talk", text=None, label=None, messages=talk)]
    plain, talked = choose_all(tuned, load_tokenizer(tiny_model), both, SETTINGS)
    assert plain["tuned_nll"] == pytest.approx(talked["tuned_nll"], rel=1e-5)
    assert plain["tuned_answer"] == talked["tuned_answer"]


def test_a_test_row_without_a_rejected_answer_is_named(tuned: Any, tiny_model: Path) -> None:
    with pytest.raises(InputError, match="no rejected answer") as caught:
        choose_all(tuned, load_tokenizer(tiny_model), [*ROWS, row(9, rejected=None)], SETTINGS)
    assert caught.value.place == "row r9"
