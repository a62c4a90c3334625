from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tiny_models import make_model

from tunegate.data.rows import ROW
from tunegate.errors import InputError
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED
from tunegate.models.tokens.formats.classes import Classes, shortened, text_ids
from tunegate.models.tokens.tokenisation import Counting, Encoding

TURNS = [("user", "the roof leaks"), ("assistant", "which room"), ("user", "room 3"), ("assistant", "roof")]


def row(text: str | None = "the roof leaks", label: str | None = "roof", **changes: Any) -> dict[str, Any]:
    return {
        "id": "a",
        "group": "a",
        "messages": None,
        "text": text,
        "label": label,
        "slices": {},
        "source": "s",
    } | changes


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(make_model("bert", tmp_path_factory.mktemp("bert")))


@pytest.fixture(scope="module")
def decoder(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


def example(tokenizer: Any, given: dict[str, Any]) -> Any:
    return next(Classes()(Recipe.of(tokenizer), [given]))


def test_an_encoder_reads_the_text_between_the_tokens_that_its_tokenizer_writes(encoder: Any) -> None:
    encoded = example(encoder, row())
    assert encoded.ids == encoder("the roof leaks")["input_ids"]
    assert encoder.convert_ids_to_tokens(encoded.ids)[0] == "[CLS]"
    assert encoded.target == "roof"
    assert set(encoded.labels) == {IGNORED}


def test_a_decoder_reads_the_prompt_that_an_answer_would_follow(decoder: Any) -> None:
    question = [{"role": "user", "content": "the roof leaks"}]
    prompt = decoder.apply_chat_template(question, add_generation_prompt=True, return_dict=False)
    assert example(decoder, row()).ids == prompt


def test_of_a_conversation_the_last_message_is_the_label(encoder: Any, decoder: Any) -> None:
    messages = [{"role": role, "content": text} for role, text in TURNS]
    encoded = example(encoder, row(None, None, messages=messages))
    assert encoded.target == "roof"
    assert encoded.ids == encoder("the roof leaks which room room 3")["input_ids"]
    prompt = decoder.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False)
    assert example(decoder, row(None, None, messages=messages)).ids == prompt


def test_control_tokens_in_a_text_are_text_to_an_encoder(encoder: Any) -> None:
    encoded = example(encoder, row("the roof [SEP] leaks"))
    assert encoded.ids.count(encoder.sep_token_id) == 1


def test_a_row_without_a_label_is_named(encoder: Any) -> None:
    with pytest.raises(InputError, match="this row has none") as caught:
        example(encoder, row(label=None))
    assert caught.value.place == "row a"
    assert example(encoder, row(label="")).target == "", "a row of several labels may have none"


@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_a_text_is_cut_where_it_ends_and_what_stands_behind_every_text_stays(which: str, request: Any) -> None:
    tokenizer = request.getfixturevalue(which)
    recipe = Recipe.of(tokenizer)
    whole, empty = (text_ids(recipe, row(text)) for text in ("the roof leaks above room 3", ""))
    limit = len(empty) + 2
    short = shortened(recipe, whole, limit)
    assert len(short) == limit
    assert short[:2] == whole[:2]
    behind = 1 if which == "encoder" else len(tokenizer.encode("<|im_end|>\n<|im_start|>assistant\n"))
    assert short[-behind:] == whole[-behind:]
    assert shortened(recipe, whole, len(whole)) == whole


def test_the_policy_truncate_cuts_texts_and_counts_what_is_lost(encoder: Any) -> None:
    recipe = Recipe.of(encoder)
    batch = pa.RecordBatch.from_pylist([row(), row("roof " * 20, id="b")], schema=ROW)
    encoded = Encoding(recipe, Classes(), 8, "truncate")(batch).to_pylist()
    assert [(r["reason"], r["tokens"], r["cut"], r["target"]) for r in encoded] == [
        (None, 5, 0, "roof"),
        (None, 8, 14, "roof"),
    ]
    assert encoded[1]["ids"][-1] == encoder.sep_token_id


def test_rows_of_an_encoder_that_leave_are_counted_without_a_template(encoder: Any) -> None:
    batch = pa.RecordBatch.from_pylist([row(), row(label=None, id="b")], schema=ROW)
    assert Counting(Recipe.of(encoder), Classes())(batch)["tokens"].to_pylist()[0] == 5
    assert Counting(Recipe.of(encoder), Classes())(batch)["tokens"].to_pylist()[1] >= 3


def test_a_base_without_a_template_cannot_be_asked(encoder: Any) -> None:
    with pytest.raises(InputError, match="the base model has no chat template"):
        Recipe.of(encoder).chat()
