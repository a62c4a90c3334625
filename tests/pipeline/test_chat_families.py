"""Chat templates in the style of the known families: training, evaluation and serving agree, and generation stops."""

from pathlib import Path
from typing import Any

import pytest
import torch
from technique_runs import start_of
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tunegate.engines.chat import Chat
from tunegate.evaluation.answers import answer_all
from tunegate.models.folders import TunedRecord
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED
from tunegate.models.tokens.formats.answers import Answers
from tunegate.models.tuned import tuned_from_peft
from tunegate.params import Evaluate, Train
from tunegate.training import checkpoint, loop

FAMILIES = {
    "chatml": (
        ["<|im_start|>", "<|im_end|>"],
        "<|im_end|>",
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ),
    "llama3": (
        ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|eot_id|>",
        "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
        "{{ m.content | trim }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
    ),
    "mistral": (
        ["<s>", "</s>", "[INST]", "[/INST]"],
        "</s>",
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
        "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}",
    ),
    "gemma": (
        ["<bos>", "<start_of_turn>", "<end_of_turn>"],
        "<end_of_turn>",
        "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
    ),
    "phi": (
        ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
        "<|end|>",
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
    ),
}
QUESTIONS = {"the roof leaks": "roof", "no warm water": "heat", "the pump hums": "noise"}
SETTINGS = Train(precision="fp32", epochs=25, tokens_per_step=512, learning_rate=0.02, warmup_share=0.0, rank=8)


def made_of(family: str, folder: Path) -> Path:
    """A random two-layer model with a tokenizer in the family's style, whose padding is its end of a turn."""
    special, end, template = FAMILIES[family]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    backend.train_from_iterator([*QUESTIONS, *QUESTIONS.values()] * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=special[0], eos_token=end, pad_token=end)
    tokenizer.chat_template = template
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=backend.get_vocab_size(), initializer_range=0.15, tie_word_embeddings=True, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rows() -> list[dict[str, Any]]:
    common = {"messages": None, "rejected": None, "slices": [], "source": "desk"}
    return [common | {"id": a, "group": a, "text": q, "label": a} for q, a in QUESTIONS.items()]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tuned_model_stops_at_its_family_s_end_of_turn(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, (_, end, _) = made_of(family, tmp_path / "model"), FAMILIES[family]
    tokenizer = load_tokenizer(folder)
    stop = tokenizer.convert_tokens_to_ids(end)
    examples = list(Answers()(Recipe.of(tokenizer), rows()))
    assert all(e.ids[-1] == e.labels[-1] == stop for e in examples), "padding that is the end must not hide it"
    assert all(e.labels.count(stop) == 1 for e in examples)
    model, technique = start_of(folder, SETTINGS)
    loop.run(model, examples, examples, SETTINGS, technique, {})
    checkpoint.discard()
    model.eval()
    served = Chat(folder)
    assert served.eos_id == stop
    for row, example in zip(rows(), examples, strict=True):
        prompt = example.ids[: example.prompt]
        assert served.prompt_ids([{"role": "user", "content": row["text"]}]) == prompt
        output = model.generate(
            torch.tensor([prompt]), max_new_tokens=12, do_sample=False, eos_token_id=stop, pad_token_id=stop
        )
        assert output[0, len(prompt) :].tolist() == [label for label in example.labels if label != IGNORED]
    tuned = tuned_from_peft(model, TunedRecord())
    answers = answer_all(tuned, tokenizer, rows(), Evaluate(max_new_tokens=12), models=["tuned"])
    assert all(answer["tuned_correct"] for answer in answers), [answer["tuned_answer"] for answer in answers]
