from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.models.loading import load_base, load_tokenizer
from tunegate.models.vocabulary_check import require_fitting


def test_a_model_s_own_tokenizer_fits(tiny_model: Path) -> None:
    require_fitting(load_tokenizer(tiny_model), load_base(tiny_model, device="cpu", precision="fp32"), "tiny")


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused_with_the_numbers(tiny_model: Path) -> None:
    tokenizer, model = load_tokenizer(tiny_model), load_base(tiny_model, device="cpu", precision="fp32")
    rows = model.get_input_embeddings().num_embeddings
    tokenizer.add_tokens(["<one>", "<two>"])
    with pytest.raises(
        InputError, match=f"'<two>', {rows + 1}, and the model has {rows} embeddings: 2 tokens"
    ) as found:
        require_fitting(tokenizer, model, "tiny")
    assert found.value.place == "models/catalog.yaml: models.tiny"


@pytest.mark.parametrize("number", [320_000, [2, 320_000]])
def test_special_tokens_out_of_range_are_refused(tiny_model: Path, number: int | list[int]) -> None:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    model.config.eos_token_id = number
    with pytest.raises(InputError, match="eos_token_id is"):
        require_fitting(load_tokenizer(tiny_model), model, "tiny")
