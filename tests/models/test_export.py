from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunegate.engines.gguf_header import read_header
from tunegate.errors import InputError
from tunegate.models.export import export_gguf

SENTENCES = [
    "Behöver jag   2  kopior av bygglovet år 2026?",
    "<|im_start|>user\nHej då!<|im_end|>\n<|im_start|>assistant\n",
    "naïve ½ kg ² … “citat” — 🙂👍🏽 中文",
    "\n\n\t x\u00a0y  e\u0301 I'LL don't ",
]


@pytest.fixture
def model(tiny_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


def pipeline_of(path: Path) -> Any:
    import openvino_genai

    from tunegate.engines.openvino import FAITHFUL

    return openvino_genai.ContinuousBatchingPipeline(str(path), openvino_genai.SchedulerConfig(), "CPU", FAITHFUL)


def greedy(pipeline: Any, prompt: list[int], length: int) -> list[int]:
    import openvino
    import openvino_genai

    config = openvino_genai.GenerationConfig(max_new_tokens=length, ignore_eos=True, apply_chat_template=False)
    tensor = openvino.Tensor(np.array([prompt], dtype=np.int64))
    answer: list[int] = pipeline.generate([tensor], [config])[0].m_generation_ids[0]
    return answer


def reference(model: Any, prompt: list[int], length: int) -> list[int]:
    import torch

    ids = torch.tensor([prompt])
    for _ in range(length):
        ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], dim=1)
    answer: list[int] = ids[0, len(prompt) :].tolist()
    return answer


def through_q8_0(model: Any) -> Any:
    """The model with every matrix rounded to eight bits in blocks of 32 and back."""
    import torch
    from gguf import GGMLQuantizationType, quants

    kind = GGMLQuantizationType.Q8_0
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.copy_(torch.from_numpy(quants.dequantize(quants.quantize(weight.numpy(), kind), kind)))
    return model


@pytest.mark.parametrize("precision", ["f16", "q8_0"])
def test_openvino_answers_token_for_token_as_transformers_does(
    model: Any, tiny_model: Path, tmp_path: Path, precision: Any
) -> None:
    export_gguf(model, tiny_model, tmp_path / "model.gguf", precision, {})
    pipeline = pipeline_of(tmp_path / "model.gguf")
    prompts = [[1, 40 + k, 90, 120 + 3 * k, 7] * (k + 1) for k in range(8)]
    expected = through_q8_0(model) if precision == "q8_0" else model
    for prompt in prompts:
        assert greedy(pipeline, prompt, 12) == reference(expected, prompt, 12)


def test_untied_embeddings_are_exported_too(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoConfig, LlamaForCausalLM

    config = AutoConfig.from_pretrained(tiny_model)
    config.tie_word_embeddings = False
    torch.manual_seed(3)
    untied = LlamaForCausalLM(config).eval()
    export_gguf(untied, tiny_model, tmp_path / "model.gguf", "f16", {})
    pipeline = pipeline_of(tmp_path / "model.gguf")
    assert greedy(pipeline, [1, 40, 90], 10) == reference(untied, [1, 40, 90], 10)


def test_openvino_tokenizes_the_exported_vocabulary_as_the_original_does(tiny_package: Path, tiny_model: Path) -> None:
    import openvino_genai
    from transformers import AutoTokenizer

    theirs = openvino_genai.Tokenizer(str(tiny_package / "model.gguf"))
    ours = AutoTokenizer.from_pretrained(tiny_model)
    for sentence in SENTENCES:
        ids = theirs.encode(sentence, add_special_tokens=False).input_ids.data.tolist()[0]
        assert ids == ours(sentence, add_special_tokens=False)["input_ids"], sentence
    assert theirs.get_eos_token_id() == ours.eos_token_id
    assert theirs.chat_template == ours.chat_template


def test_equal_input_gives_equal_bytes_and_metadata_is_in_the_header(
    model: Any, tiny_model: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        export_gguf(model, tiny_model, tmp_path / name, "q8_0", {"tunegate.lineage_key": "abc", "general.name": "x"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    header = read_header(tmp_path / "a")
    assert (header["tunegate.lineage_key"], header["llama.context_length"], header["general.name"]) == ("abc", 256, "x")


def test_another_architecture_is_refused_by_name(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    other = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=32, vocab_size=64, bos_token_id=0, eos_token_id=0))
    with pytest.raises(InputError, match="GPT2LMHeadModel") as caught:
        export_gguf(other, tiny_model, tmp_path / "model.gguf", "f16", {})
    assert "LlamaForCausalLM" in caught.value.remedy
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_act", "gelu"), ("head_dim", 32), ("attention_bias", True), ("rope_parameters", {"rope_type": "linear"})],
)
def test_a_setting_that_the_reader_would_get_wrong_is_refused(
    model: Any, tiny_model: Path, tmp_path: Path, key: str, value: Any
) -> None:
    setattr(model.config, key, value)
    with pytest.raises(InputError) as caught:
        export_gguf(model, tiny_model, tmp_path / "model.gguf", "f16", {})
    assert key in caught.value.place


def test_weights_that_half_precision_cannot_hold_are_refused(model: Any, tiny_model: Path, tmp_path: Path) -> None:
    model.state_dict()["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e6
    with pytest.raises(InputError, match="half precision"):
        export_gguf(model, tiny_model, tmp_path / "model.gguf", "f16", {})


def test_a_tokenizer_larger_than_the_model_is_refused(model: Any, tiny_model: Path, tmp_path: Path) -> None:
    model.config.vocab_size = 100
    with pytest.raises(InputError, match="the model has 100 embeddings"):
        export_gguf(model, tiny_model, tmp_path / "model.gguf", "f16", {})
