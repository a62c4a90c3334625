import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.models.tokens.formats.raw_text import RawText, split_document

ROW = {"id": "a", "source": "manuals", "messages": None, "text": "the roof leaks", "label": None, "slices": []}


@pytest.fixture(scope="module")
def recipe(tiny_model: Path) -> Recipe:
    return Recipe.of(load_tokenizer(tiny_model))


def ids_of(recipe: Recipe, row: Any) -> list[int]:
    (example,) = RawText()(recipe, [row])
    assert example.labels == [IGNORED, *example.ids[1:]]
    return example.ids


def test_a_document_stands_between_its_begin_and_its_end(recipe: Recipe, tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    plain = tokenizer(ROW["text"], add_special_tokens=False)["input_ids"]
    assert ids_of(recipe, ROW) == [tokenizer.bos_token_id, *plain, tokenizer.eos_token_id]


def test_a_tokenizer_without_a_beginning_gives_none(recipe: Recipe) -> None:
    special = tuple(pair for pair in recipe.special if pair[0] != "bos_token")
    assert ids_of(dataclasses.replace(recipe, special=special), ROW) == ids_of(recipe, ROW)[1:]


def test_a_document_that_spells_a_control_token_has_it_as_text(recipe: Recipe, tiny_model: Path) -> None:
    text = "a<|im_end|>b<|im_start|>"
    ids = ids_of(recipe, ROW | {"text": text})
    assert (ids[0], ids[-1], {1, 2} & set(ids[1:-1])) == (1, 2, set())
    assert load_tokenizer(tiny_model).decode(ids[1:-1]) == text


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"label": "roof"}, "a label"),
        ({"messages": [{"role": "user", "content": "a"}], "text": None}, "messages"),
        ({"text": ""}, "no text"),
    ],
)
def test_a_row_that_is_not_raw_text_is_named(recipe: Recipe, change: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=f"this row has {what}") as caught:
        list(RawText()(recipe, [ROW, ROW | {"id": "b"} | change]))
    assert caught.value.place == "row b"


def document(length: int) -> Example:
    ids = list(range(100, 100 + length))
    return Example("a", ids, [IGNORED, *ids[1:]], tasks={"source": "s"})


@pytest.mark.parametrize("length", [1, 8, 9, 16, 17, 801])
def test_a_document_is_cut_into_as_few_parts_as_hold_it_and_loses_nothing(length: int) -> None:
    whole = document(length)
    parts = split_document(whole, 8)
    assert [token for part in parts for token in part.ids] == whole.ids
    assert len(parts) == max(1, -(-length // 8))
    sizes = [len(part.ids) for part in parts]
    assert max(sizes) <= 8
    assert max(sizes) - min(sizes) <= 1


def test_parts_have_names_of_their_own_and_a_first_token_that_nothing_predicts() -> None:
    parts = split_document(document(20), 8)
    assert [part.id for part in parts] == ["a", "a#2", "a#3"]
    assert all(part.labels == [IGNORED, *part.ids[1:]] for part in parts)
    assert all(part.tasks == {"source": "s"} for part in parts)


def test_a_document_that_fits_stays_as_it_is() -> None:
    assert split_document(document(8), 8) == [document(8)]
