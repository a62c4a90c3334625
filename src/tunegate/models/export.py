"""A merged model as one GGUF file that OpenVINO GenAI opens directly: weights, vocabulary, template, metadata.

Reads the model in memory and a Hugging Face tokenizer folder; writes the target file, atomically, equal input to equal
bytes. Knows the Llama family only, and of that only what OpenVINO GenAI's reader computes faithfully: everything else
is refused by name, because a reader that guesses answers wrongly without an error.
"""

import re
from pathlib import Path
from typing import Any, Literal

from tunegate.errors import InputError
from tunegate.files import atomic_file, read_json, read_text

Precision = Literal["f16", "q8_0"]

ARCHITECTURE = "LlamaForCausalLM"
BLOCK = 32
"""Values that share one scale in q8_0: the length of every weight's rows must be a multiple of it."""

_OUTSIDE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_INSIDE = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5


def export_gguf(
    merged: Any, tokenizer_folder: Path, target: Path, precision: Precision, metadata: dict[str, str]
) -> None:
    """Write `merged` (a transformers causal model, fp32 on the CPU) and its tokenizer to `target`.

    `metadata` adds string keys to the file's header. Tied embeddings stay tied: there is then no `output.weight`.
    Raises InputError for an architecture, a setting or a tokenizer that the file's reader would get wrong.
    """
    import gguf

    require_exportable(merged, precision)
    with atomic_file(target) as temporary:
        writer = gguf.GGUFWriter(temporary, "llama")
        _write_settings(writer, merged.config, precision)
        _write_tokenizer(writer, tokenizer_folder, merged.config.vocab_size)
        for key, value in sorted(metadata.items()):
            writer.add_string(key, value)
        _write_weights(writer, merged, precision)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def export_safetensors(merged: Any, folder: Path, metadata: dict[str, str]) -> None:
    """Write `merged` as transformers loads it: model.safetensors, and config.json with its labels and `metadata`."""
    for key, value in sorted(metadata.items()):
        setattr(merged.config, key, value)
    merged.save_pretrained(folder)


def require_exportable(model: Any, precision: Precision) -> None:
    """Raise InputError unless the file's reader computes this model faithfully."""
    name, config = type(model).__name__, model.config
    if name != ARCHITECTURE:
        remedy = (
            f"choose a base model whose architecture is {ARCHITECTURE} with byte-level BPE, such as SmolLM2; or stop "
            "before this stage, with `dvc repro score`, and use models/adapter with transformers"
        )
        raise InputError(f"cannot export the architecture {name}", place="config.json: architectures", remedy=remedy)
    rope = (config.rope_parameters or {}).get("rope_type", "default")
    head = config.hidden_size // config.num_attention_heads
    faults = [
        ("rope_parameters.rope_type", rope, rope == "default", "'default'"),
        ("hidden_act", config.hidden_act, config.hidden_act == "silu", "'silu'"),
        ("head_dim", config.head_dim, config.head_dim == head, f"hidden_size / num_attention_heads = {head}"),
        ("attention_bias", config.attention_bias, not config.attention_bias, "false"),
        ("mlp_bias", config.mlp_bias, not config.mlp_bias, "false"),
    ]
    for size in ("hidden_size", "intermediate_size") if precision == "q8_0" else ():
        value = getattr(config, size)
        faults.append((size, value, value % BLOCK == 0, f"a multiple of {BLOCK} for q8_0"))
    for key, value, fine, expected in faults:
        if not fine:
            remedy = "choose another base model, or package.export: f16 where a size is at fault"
            raise InputError(
                f"must be {expected} to be exported (got {value!r})", place=f"config.json: {key}", remedy=remedy
            )


def _write_settings(writer: Any, config: Any, precision: Precision) -> None:
    import gguf

    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if precision == "f16" else gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)


def _write_weights(writer: Any, model: Any, precision: Precision) -> None:
    import gguf
    import numpy as np

    config = model.config
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, tensor in sorted(model.state_dict().items()):
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        new = _gguf_name(name)
        weight = tensor.detach().float().numpy()
        if weight.ndim == 1:
            writer.add_tensor(new, weight)
            continue
        kind = new.split(".")[-2]
        weight = _interleaved(weight, heads[kind]) if kind in heads else weight
        if precision == "q8_0":
            kind_of = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(new, gguf.quants.quantize(weight, kind_of), raw_dtype=kind_of)
            continue
        if not float(np.abs(weight).max()) <= float(np.finfo(np.float16).max):
            problem = f"{name} holds values that half precision cannot (largest {np.abs(weight).max()})"
            raise InputError(
                problem, place="package.export", remedy="set package.export: q8_0, or look at the training"
            )
        writer.add_tensor(new, weight.astype(np.float16))


def _gguf_name(name: str) -> str:
    inside = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
    new = f"blk.{inside[1]}.{_INSIDE[inside[2]]}.weight" if inside and inside[2] in _INSIDE else _OUTSIDE.get(name)
    if new is None:
        raise InputError(f"unknown weight {name!r}", place="merged model", remedy=f"only {ARCHITECTURE} is exported")
    return new


def _interleaved(weight: Any, heads: int) -> Any:
    """Rows of q or k in GGUF's order: the two halves that rotary embedding pairs lie side by side."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _write_tokenizer(writer: Any, folder: Path, vocab_size: int) -> None:
    content = read_json(folder / "tokenizer.json")
    settings = read_json(folder / "tokenizer_config.json")
    place = str(folder / "tokenizer.json")
    model = content["model"]
    if model.get("type") != "BPE" or (content.get("decoder") or {}).get("type") != "ByteLevel":
        raise InputError("not a byte-level BPE tokenizer", place=place, remedy="choose a base model that has one")
    tokens, types = _vocabulary(model["vocab"], content["added_tokens"], vocab_size, place)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(content))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    for role, add in (
        ("bos", writer.add_bos_token_id),
        ("eos", writer.add_eos_token_id),
        ("pad", writer.add_pad_token_id),
    ):
        token = settings.get(f"{role}_token")
        token = token["content"] if isinstance(token, dict) else token
        if token is not None:
            add(tokens.index(token))
    template = folder / "chat_template.jinja"
    source = read_text(template) if template.exists() else settings.get("chat_template")
    if source:
        writer.add_chat_template(source)


def _vocabulary(
    vocab: dict[str, int], added: list[dict[str, Any]], size: int, place: str
) -> tuple[list[str], list[int]]:
    tokens = [f"<|unused_{index}|>" for index in range(size)]
    types = [_UNUSED] * size
    for token, index in vocab.items():
        if index >= size:
            problem = f"token {token!r} has the id {index}, but the model has {size} embeddings"
            raise InputError(problem, place=place, remedy="use the tokenizer that belongs to the base model")
        tokens[index], types[index] = token, _NORMAL
    for entry in added:
        tokens[entry["id"]] = entry["content"]
        types[entry["id"]] = _CONTROL if entry["special"] else _USER_DEFINED
    return tokens, types


def _pre_tokenizer(content: dict[str, Any]) -> str:
    """The name under which GGUF readers know the way this tokenizer cuts text before BPE.

    Readers that do not know a name cut wrongly without a word (OpenVINO GenAI 2026.4 knows only `smollm` and `qwen2`),
    so tunegate's own service tokenizes by tokenizer.json; the name is for those who open the file elsewhere.
    """
    pre = content.get("pre_tokenizer") or {}
    steps = pre.get("pretokenizers", [pre])
    shape = [step.get("type") for step in steps]
    plain = content.get("normalizer") is None and not steps[-1].get("add_prefix_space")
    if plain and shape == ["Digits", "ByteLevel"] and steps[0]["individual_digits"]:
        return "smollm"
    if plain and shape == ["ByteLevel"]:
        return "gpt-2"
    if plain and shape == ["Split", "ByteLevel"] and steps[0]["pattern"].get("Regex") == _LLAMA3_SPLIT:
        return "llama-bpe"
    return "default"
