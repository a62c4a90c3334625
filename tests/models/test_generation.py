from pathlib import Path

import torch

from tunegate.models.generation import generated
from tunegate.models.loading import load_base
from tunegate.params import Train
from tunegate.training.adapter import with_adapter

PROMPT = [1, 40, 41]


def test_what_the_models_files_say_of_generation_changes_no_answer(tiny_model: Path) -> None:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    plain = generated(model, [PROMPT, [1, 50]], end=2, longest=6)
    settings = model.generation_config
    settings.suppress_tokens, settings.bad_words_ids, settings.repetition_penalty = [plain[0][0]], [plain[1][:1]], 9.0
    settings.min_p, settings.top_k, settings.min_new_tokens = 0.9, 1, 6
    assert generated(model, [PROMPT, [1, 50]], end=2, longest=6) == plain
    assert model.generation_config is settings
    assert generated(with_adapter(model, Train(rank=2)), [PROMPT, [1, 50]], end=2, longest=6) == plain
    assert model.generation_config is settings


def test_samples_have_the_models_own_frequencies_where_its_files_would_leave_tokens_out(tiny_model: Path) -> None:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    likeliest = generated(model, [PROMPT], end=2, longest=1)[0][0]
    model.generation_config.min_p, model.generation_config.suppress_tokens = 0.99, [likeliest]
    torch.manual_seed(0)
    how = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    answers = [answer[0] for answer in generated(model, [PROMPT] * 500, end=2, longest=1, **how)]
    assert likeliest in answers
    assert len(set(answers)) > 50
