"""Rows of different length through a model with a head, in the cheapest batch layout that gives each its logits alone.

Decoders whose head reads the last token take packed rows, end to end with position ids restarting; others take rows of
similar length padded on the right or on the left, as their head reads the first token or the last. Which layout is
exact is measured, not looked up by name: three short rows go through the model alone and together. Where none is, only
rows of equal length go together.
"""

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch.distributed.tensor import DTensor

Layout = Literal["packed", "right", "left", "equal"]
"""Packed end to end, padded on the right or on the left, or only rows of equal length together."""

Rows = Sequence[Sequence[int]]

FULLNESS = 0.8
"""Padded rows go together where each is at least this share of the longest."""

TOLERANCE = {"fp32": 1e-4, "bf16": 0.05}
"""Largest difference of a logit from the row's alone, relative to the largest logit: what rounding can cause. A
layout that is not exact differs by 0.2 and more."""

_PROBES = (3, 11, 6)
_layouts: WeakKeyDictionary[Any, Layout] = WeakKeyDictionary()


def head_logits(model: Any, rows: Rows) -> torch.Tensor:
    """The head's logits in fp32, shape (rows, labels), in the order of the rows."""
    layout = layout_of(model)
    if layout == "packed":
        return _packed(model, rows).float()
    parts = list(_parts([len(row) for row in rows], 1.0 if layout == "equal" else 0.0 if _sharded(model) else FULLNESS))
    side = "left" if layout == "left" else "right"
    logits = torch.cat([_padded(model, [rows[index] for index in part], side) for part in parts])
    order = torch.tensor([index for part in parts for index in part], device=logits.device)
    return logits[torch.argsort(order)].float()


def max_positions(model: Any) -> int | None:
    """How many tokens of a row the model has positions for; None where its configuration does not say."""
    size: int | None = getattr(model.config, "max_position_embeddings", None)
    tables = (module for name, module in model.named_modules() if name.endswith("position_embeddings"))
    skipped = [table.padding_idx for table in tables if getattr(table, "padding_idx", None) is not None]
    # Where the table has a padding token, as RoBERTa's, positions begin after it.
    return size - skipped[0] - 1 if size is not None and skipped else size


def layout_of(model: Any) -> Layout:
    """The cheapest exact layout; measured once for each model object."""
    if model not in _layouts:
        _layouts[model] = _measured(model)
    return _layouts[model]


def _measured(model: Any) -> Layout:
    pad, size = model.config.pad_token_id or 0, model.config.vocab_size
    tokens = [token for token in range(min(size, 64)) if token != pad]
    rows = [[tokens[(7 * row + 5 * place) % len(tokens)] for place in range(n)] for row, n in enumerate(_PROBES)]
    with _evaluating(model):
        alone = torch.cat([_padded(model, [row], "right") for row in rows]).float()
        tolerance = TOLERANCE["bf16" if _is_bf16(model, alone) else "fp32"] * float(alone.abs().max())
        if _has_last_token_head(model) and float((_packed(model, rows).float() - alone).abs().max()) <= tolerance:
            return "packed"
        for side in ("right", "left"):
            if float((_padded(model, rows, side).float() - alone).abs().max()) <= tolerance:
                return "right" if side == "right" else "left"
    return "equal"


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def _is_bf16(model: Any, logits: torch.Tensor) -> bool:
    has_bf16 = any(parameter.dtype == torch.bfloat16 for parameter in model.parameters())
    return has_bf16 or torch.is_autocast_enabled(logits.device.type)


def _has_last_token_head(model: Any) -> bool:
    if _sharded(model):
        # Where weights are sharded, every forward pass must begin at the whole model.
        return False
    inner = _inner(model)
    body = getattr(inner, inner.base_model_prefix)
    return hasattr(inner, "score") and "position_ids" in inspect.signature(body.forward).parameters


def _packed(model: Any, rows: Rows) -> torch.Tensor:
    inner = _inner(model)
    device = next(model.parameters()).device
    ids = torch.tensor([token for row in rows for token in row], device=device)
    positions = torch.tensor([place for row in rows for place in range(len(row))], device=device)
    body = getattr(inner, inner.base_model_prefix)
    hidden = body(input_ids=ids[None], position_ids=positions[None], use_cache=False).last_hidden_state[0]
    last = torch.tensor([len(row) for row in rows], device=device).cumsum(0) - 1
    logits: torch.Tensor = inner.score(hidden[last])
    return logits


def _padded(model: Any, rows: Rows, side: str) -> torch.Tensor:
    device, pad = next(model.parameters()).device, model.config.pad_token_id or 0
    width = max(map(len, rows))
    ids, mask = [], []
    for row in rows:
        missing = width - len(row)
        padding, visible = [pad] * missing, [1] * len(row)
        ids.append([*padding, *row] if side == "left" else [*row, *padding])
        mask.append([0] * missing + visible if side == "left" else visible + [0] * missing)
    tensors = {"input_ids": torch.tensor(ids, device=device), "attention_mask": torch.tensor(mask, device=device)}
    logits: torch.Tensor = model(**tensors).logits
    return logits


def _parts(lengths: Sequence[int], fullness: float) -> Iterator[list[int]]:
    """The indices of rows that go together, the longest first."""
    part: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if part and lengths[index] < fullness * lengths[part[0]]:
            yield part
            part = []
        part.append(index)
    if part:
        yield part


def _inner(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _sharded(model: Any) -> bool:
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())
