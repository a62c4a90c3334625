from pathlib import Path
from typing import Any

import pytest
import torch

from tunegate.models.loading import load_base
from tunegate.training.sampling import Sampler

PROMPTS = [[1, 40, 41], [1, 50], [1, 60, 61, 62, 63]]


@pytest.fixture
def model(tiny_model: Path) -> Any:
    return load_base(tiny_model, device="cpu", precision="fp32")


def test_answers_have_the_models_own_frequencies_whatever_its_files_say_of_generation(model: Any) -> None:
    model.generation_config.min_p, model.generation_config.suppress_tokens = 0.9, [50, 51]
    torch.manual_seed(0)
    answers = Sampler(eos=2, max_new_tokens=1, temperature=2.0)(model, [PROMPTS[0]] * 4000)
    found = torch.bincount(torch.tensor([answer[0] for answer in answers]), minlength=model.config.vocab_size) / 4000
    with torch.no_grad():
        expected = (model(torch.tensor([PROMPTS[0]])).logits[0, -1] / 2).softmax(-1)
    assert float((found - expected).abs().max()) < 0.03
    assert int((found > 0).sum()) > 50


def test_the_likeliest_answer_does_not_depend_on_the_others_in_the_batch(model: Any) -> None:
    together = Sampler(2, 6)(model, PROMPTS, greedy=True)
    assert together == [Sampler(2, 6)(model, [prompt], greedy=True)[0] for prompt in PROMPTS]
    assert together == Sampler(2, 6, tokens_per_batch=12)(model, PROMPTS, greedy=True)


def test_an_answer_ends_with_its_end_or_is_cut_off(model: Any) -> None:
    torch.manual_seed(1)
    answers = Sampler(eos=2, max_new_tokens=40, temperature=5.0)(model, PROMPTS * 30)
    ended = [answer for answer in answers if answer[-1] == 2]
    assert 0 < len(ended) < len(answers)
    assert all(answer.count(2) == 1 for answer in ended)
    assert all(len(answer) == 40 for answer in answers if answer[-1] != 2)


def test_the_random_state_decides_the_answers_and_the_likeliest_ones_draw_none(model: Any) -> None:
    sample, found = Sampler(2, 5), []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(sample(model, PROMPTS))
    assert found[0] == found[1] != sample(model, PROMPTS)
    before = torch.get_rng_state()
    sample(model.train(), PROMPTS, greedy=True)
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
