import shutil
from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.files import read_json, write_json
from tunegate.models.loading import load_base, load_tokenizer
from tunegate.models.vocabulary import require_embeddings, require_end_token, require_same_vocabulary


def test_a_model_s_own_tokenizer_fits(tiny_model: Path) -> None:
    require_embeddings(load_tokenizer(tiny_model), load_base(tiny_model, device="cpu", precision="fp32"), "tiny")


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused_with_the_numbers(tiny_model: Path) -> None:
    tokenizer, model = load_tokenizer(tiny_model), load_base(tiny_model, device="cpu", precision="fp32")
    rows = model.get_input_embeddings().num_embeddings
    tokenizer.add_tokens(["<one>", "<two>"])
    with pytest.raises(
        InputError, match=f"'<two>', {rows + 1}, and the model has {rows} embeddings: 2 tokens"
    ) as caught:
        require_embeddings(tokenizer, model, "tiny")
    assert caught.value.place == "models/catalog.yaml: models.tiny"


@pytest.mark.parametrize("number", [320_000, [2, 320_000]])
def test_special_tokens_out_of_range_are_refused(tiny_model: Path, number: int | list[int]) -> None:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    model.config.eos_token_id = number
    with pytest.raises(InputError, match="eos_token_id is"):
        require_embeddings(load_tokenizer(tiny_model), model, "tiny")


def test_a_teacher_with_the_same_tokens_is_accepted(tiny_model: Path, tmp_path: Path) -> None:
    teacher = Path(shutil.copytree(tiny_model, tmp_path / "teacher"))
    require_same_vocabulary(tiny_model, teacher)


def test_a_teacher_with_other_tokens_is_refused_with_what_differs(tiny_model: Path, tmp_path: Path) -> None:
    teacher = Path(shutil.copytree(tiny_model, tmp_path / "teacher"))
    tokens = read_json(teacher / "tokenizer.json")
    vocabulary = tokens["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.__getitem__)
    number = vocabulary[last]
    tokens["model"]["merges"] = [pair for pair in tokens["model"]["merges"] if "".join(pair) != last]
    del vocabulary[last]
    vocabulary["other"] = number
    write_json(teacher / "tokenizer.json", tokens)
    with pytest.raises(InputError, match=r"'other' missing → \d+") as caught:
        require_same_vocabulary(tiny_model, teacher)
    assert f"{last!r} {number} → missing" in caught.value.problem
    assert caught.value.place == "params.yaml: base.teacher"


def test_a_model_without_an_end_is_named() -> None:
    with pytest.raises(InputError, match="no token that ends an answer") as caught:
        require_end_token(None, "plain-7b")
    assert caught.value.place == "models/catalog.yaml: models.plain-7b"
