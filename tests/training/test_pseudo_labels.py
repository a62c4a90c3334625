from pathlib import Path

import pytest
import torch
from technique_runs import example

from tunegate.models.loading import load_base
from tunegate.models.tokens.examples import Example
from tunegate.training.pseudo_labels import guesses

PROMPTS = [example(f"p{n}", [40 + n, *range(60, 60 + n)], []) for n in range(6)]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> torch.nn.Module:
    made: torch.nn.Module = load_base(tiny_model, device="cpu", precision="fp32")
    return made


def first_words(model: torch.nn.Module) -> tuple[int, int]:
    """The first two tokens that the random model says to one of the prompts: the second may stand for an end."""
    with torch.no_grad():
        first = int(model(torch.tensor([PROMPTS[3].ids])).logits[0, -1].argmax())
        return first, int(model(torch.tensor([[*PROMPTS[3].ids, first]])).logits[0, -1].argmax())


def test_a_guess_is_the_greedy_answer_with_the_probability_of_the_whole(model: torch.nn.Module) -> None:
    first, end = first_words(model)
    with torch.no_grad():
        chances = model(torch.tensor([[*PROMPTS[3].ids, first, end]])).logits[0].log_softmax(-1)
    assert first != end, "another prompt is wanted for this test"
    (found,) = guesses(model, [PROMPTS[3]], end=end, longest=4, tokens=64, device="cpu")
    assert found.answer == [first, end]
    expected = float((chances[-3, first] + chances[-2, end]).exp())
    assert found.confidence == pytest.approx(expected, rel=1e-4)


def test_answers_without_an_end_and_empty_ones_are_left_out(model: torch.nn.Module) -> None:
    with torch.no_grad():
        said = int(model(torch.tensor([PROMPTS[0].ids])).logits[0, -1].argmax())
    assert guesses(model, PROMPTS[:1], end=said, longest=4, tokens=64, device="cpu") == []
    never = next(token for token in range(3, 300) if token != said)
    assert guesses(model, PROMPTS[:1], end=never, longest=1, tokens=64, device="cpu") == []


def test_guesses_keep_the_order_of_the_prompts_however_they_are_grouped(model: torch.nn.Module) -> None:
    _, end = first_words(model)

    def found(prompts: list[Example], tokens: int) -> dict[str, list[int]]:
        made = guesses(model, prompts, end=end, longest=40, tokens=tokens, device="cpu")
        assert [guess.id for guess in made] == [p.id for p in prompts if p.id in {guess.id for guess in made}]
        return {guess.id: guess.answer for guess in made}

    assert "p3" in found(PROMPTS, 8)
    assert found(PROMPTS, 8) == found(PROMPTS, 1000) == found(PROMPTS[::-1], 1000)
