"""Tiny random models of many architectures, each with a tokenizer of words, as folders that a base is loaded from."""

from pathlib import Path
from typing import Any

TOKENS = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "<|im_start|>", "<|im_end|>")
WORDS = (
    "the",
    "roof",
    "leaks",
    "above",
    "room",
    "no",
    "warm",
    "water",
    "in",
    "flat",
    "heat",
    "pump",
    "hums",
    "house",
    "user",
    "assistant",
    "noise",
)
_NUMBERS = [str(number) for number in range(30)]
VOCABULARY = [*TOKENS, *WORDS, *_NUMBERS]
TEMPLATE = (
    "{%- for m in messages -%}{{ '<|im_start|>' + m['role'] + ' ' + m['content'] + '<|im_end|>' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant ' }}{%- endif -%}"
)

_SIZE: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
}
_IDS: dict[str, Any] = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "initializer_range": 0.2}
_CHAT: dict[str, Any] = _IDS | {"eos_token_id": 5}
_KV = {"num_key_value_heads": 2, "head_dim": 8}

ENCODERS: dict[str, dict[str, Any]] = {
    "bert": _SIZE | _IDS,
    "roberta": _SIZE | _IDS,
    "xlnet": {"vocab_size": 96, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64} | _IDS,
    "distilbert": {"vocab_size": 96, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64} | _IDS,
    "albert": _SIZE | _IDS | {"embedding_size": 16},
    "longformer": _SIZE | _IDS | {"attention_window": 8},
    "modernbert": _SIZE | _IDS | {"cls_token_id": 0, "sep_token_id": 2},
}
"""model_type of transformers to the settings that make it tiny."""

DECODERS: dict[str, dict[str, Any]] = {
    "llama": _SIZE | _CHAT | _KV,
    "qwen2": _SIZE | _CHAT | _KV,
    "qwen3": _SIZE | _CHAT | _KV,
    "mistral": _SIZE | _CHAT | _KV,
    "gemma": _SIZE | _CHAT | _KV,
    "gemma2": _SIZE | _CHAT | _KV,
    "gemma3_text": _SIZE | _CHAT | _KV,
    "phi3": _SIZE | _CHAT | _KV,
    "gpt2": {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 66} | _CHAT,
    "gpt_neox": _SIZE | _CHAT,
    "falcon": _SIZE | _CHAT,
    "bloom": {"vocab_size": 96, "hidden_size": 32, "n_layer": 2, "n_head": 4} | _CHAT,
    "opt": _SIZE | _CHAT | {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "mamba": {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4} | _CHAT,
}


def make_model(name: str, folder: Path) -> Path:
    """A folder with a random model of the architecture in fp32 and its tokenizer; the same each time."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    torch.manual_seed(0)
    encoder = name in ENCODERS
    config = AutoConfig.for_model(name, **(ENCODERS | DECODERS)[name])
    (AutoModel if encoder else AutoModelForCausalLM).from_config(config).save_pretrained(folder)
    _tokenizer(name).save_pretrained(folder)
    return folder


def _tokenizer(name: str) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = {word: number for number, word in enumerate(VOCABULARY)}
    backend = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if name in ENCODERS:
        frame = "$A [SEP] [CLS]" if name == "xlnet" else "[CLS] $A [SEP]"
        backend.post_processor = processors.TemplateProcessing(
            single=frame, special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
        )
        special = {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    else:
        special = {"bos_token": "[CLS]", "eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", **special)
    tokenizer.chat_template = None if name in ENCODERS else TEMPLATE
    return tokenizer
