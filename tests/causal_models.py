"""Tiny models of many families, with random weights, for tests of what must hold for any causal language model."""

from typing import Any

import torch

SMALL = {
    "vocab_size": 97,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
GATED = {**SMALL, "intermediate_size": 48, "num_key_value_heads": 2}
OWN_NAMES = {"vocab_size": 97, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
SETTINGS: dict[str, dict[str, Any]] = {
    "llama": GATED,
    "qwen2": GATED,
    "qwen3": {**GATED, "head_dim": 8},
    "mistral": {**GATED, "sliding_window": 6},
    "gemma2": {**GATED, "head_dim": 8, "sliding_window": 6},
    "gemma3_text": {
        **GATED,
        "head_dim": 8,
        "sliding_window": 6,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "granite": {**GATED, "logits_scaling": 4.0},
    "phi": {**SMALL, "intermediate_size": 48},
    "gpt_neox": {**SMALL, "intermediate_size": 48},
    "gpt2": OWN_NAMES,
    "opt": {**SMALL, "ffn_dim": 48, "word_embed_proj_dim": 32},
    "bloom": {"vocab_size": 97, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "mamba": {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
}


def causal_model(name: str) -> Any:
    """A model of the causal_model, in fp32 and evaluation mode, its weights large enough for attention to matter."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = AutoConfig.for_model(name, **SETTINGS[name], **special)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.2)
    return model.eval()
