"""Attention document by document, for batches that lay documents end to end.

transformers gives a padding-free batch one mask over all pairs of its tokens, so that most of the work is on pairs that
see nothing of each other. Here queries, keys and values are spread over rows of one document each, documents of similar
length together, and the outputs collected again. What may see what comes from the model's own mask function, evaluated
on each document's square: sliding windows and chunks stay what they are.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

NAME = "tunegate_documents"
"""The name of this attention in transformers."""
SHORT = 128
"""Up to this length, a CPU's bf16 attention is faster as plain products than as torch's fused kernel (docs)."""

_lengths: contextvars.ContextVar[Sequence[int] | None] = contextvars.ContextVar("documents", default=None)


@dataclasses.dataclass(frozen=True)
class Group:
    """Documents of similar length: rows of `length` places, which the shorter ones do not fill."""

    count: int
    length: int
    mask: torch.Tensor | None
    """bool, (count, 1, length, length): which key each query sees; None: those up to its own place."""


@dataclasses.dataclass(frozen=True)
class Documents:
    """How T tokens laid end to end are spread over groups; stands where transformers has an attention mask."""

    groups: tuple[Group, ...]
    places: torch.Tensor
    """int64, (T): where each token stands in the groups' rows laid end to end."""
    size: int
    """How many places these rows have."""

    def spread(self, states: torch.Tensor) -> list[torch.Tensor]:
        """(1, heads, T, width) as (count, heads, length, width) of each group; free places are zero."""
        _, heads, _, width = states.shape
        empty = states.new_zeros(1, heads, self.size, width)
        rows = empty.index_copy(2, self.places, states).squeeze(0)
        parts = torch.split(rows, [group.count * group.length for group in self.groups], dim=1)
        shapes = [(heads, group.count, group.length, width) for group in self.groups]
        return [part.reshape(shape).transpose(0, 1) for part, shape in zip(parts, shapes, strict=True)]

    def collect(self, outputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """(count, length, heads, width) of each group as (1, T, heads, width)."""
        rows = torch.cat([output.flatten(0, 1) for output in outputs])
        return rows.index_select(0, self.places).unsqueeze(0)


@contextlib.contextmanager
def documents(lengths: Sequence[int]) -> Iterator[None]:
    """While open, a model's batch is documents of these lengths, end to end."""
    token = _lengths.set(lengths)
    try:
        yield
    finally:
        _lengths.reset(token)


def install(model: Any) -> bool:
    """Let `model` attend document by document inside of `documents`, and as before outside; say whether it can.

    It can when its attention is torch's, through transformers' interface.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    if getattr(model.config, "_attn_implementation", None) != "sdpa":
        return False
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, _mask)
    model.set_attn_implementation(NAME)
    return bool(model.config._attn_implementation == NAME)


def uninstall(model: Any) -> None:
    """Give `model` torch's attention back."""
    model.set_attn_implementation("sdpa")


def _mask(**options: Any) -> Any:
    from transformers.masking_utils import sdpa_mask

    lengths = _lengths.get()
    if lengths is None or options.get("use_vmap") or options["batch_size"] != 1 or options["q_length"] != sum(lengths):
        return sdpa_mask(**options)
    return _laid_out(lengths, options["mask_function"], options["device"])


def _laid_out(lengths: Sequence[int], sees: Callable[..., Any], device: Any) -> Documents:
    starts = [sum(lengths[:index]) for index in range(len(lengths))]
    buckets: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        buckets.setdefault(max(64, 1 << (length - 1).bit_length()), []).append(index)
    groups, places, size = [], torch.empty(sum(lengths), dtype=torch.int64), 0
    for _, members in sorted(buckets.items()):
        longest = max(lengths[index] for index in members)
        for row, index in enumerate(members):
            first = size + row * longest
            places[starts[index] : starts[index] + lengths[index]] = torch.arange(first, first + lengths[index])
        mask = _squares([starts[i] for i in members], [lengths[i] for i in members], longest, sees, device)
        groups.append(Group(len(members), longest, mask))
        size += len(members) * longest
    return Documents(tuple(groups), places.to(device), size)


def _squares(
    starts: Sequence[int], lengths: Sequence[int], longest: int, sees: Callable[..., Any], device: Any
) -> torch.Tensor | None:
    """The mask function on each document's square of tokens, or None where it says: whatever came before."""
    inside = torch.arange(longest, device=device)
    size = torch.tensor(lengths, device=device)[:, None]
    tokens = torch.tensor(starts, device=device)[:, None] + torch.minimum(inside, size - 1)
    first = torch.zeros(1, 1, 1, 1, dtype=torch.int64, device=device)
    allowed = sees(first, first, tokens[:, None, :, None], tokens[:, None, None, :])
    real = inside < size
    both = real[:, None, :, None] & real[:, None, None, :]
    before = (inside[:, None] >= inside).expand(len(lengths), 1, -1, -1)
    mask = torch.where(both, allowed.expand_as(both), before)
    return None if torch.equal(mask, before) else mask


def _attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any, **options: Any
) -> tuple[torch.Tensor, None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if not isinstance(attention_mask, Documents):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)  # type: ignore[no-any-return]
    outputs = []
    spread = [attention_mask.spread(states) for states in (query, key, value)]
    for group, queries, keys, values in zip(attention_mask.groups, *spread, strict=True):
        if _plain_is_faster(group, query, options):
            output = _plain(queries, keys, values, group.mask, options.get("scaling"))
        else:
            how = options | ({"is_causal": True} if group.mask is None else {})
            output, _ = sdpa_attention_forward(module, queries, keys, values, group.mask, **how)
        outputs.append(output)
    return attention_mask.collect(outputs), None


def _plain_is_faster(group: Group, query: torch.Tensor, options: dict[str, Any]) -> bool:
    is_plain = not options.get("dropout") and options.get("position_bias") is None
    return is_plain and group.length <= SHORT and query.device.type == "cpu" and query.dtype == torch.bfloat16


def _plain(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scaling: float | None
) -> torch.Tensor:
    """softmax(q kᵀ · scaling) v, the softmax in fp32; (count, length, heads, width)."""
    count, heads, length, width = query.shape
    shared = heads // key.shape[1]
    # The heads that share keys and values are one matrix of shared · length queries.
    rows = query.reshape(count, key.shape[1], shared * length, width)
    scores = rows @ key.transpose(-1, -2)
    allowed = query.new_ones(length, length, dtype=torch.bool).tril() if mask is None else mask
    hidden = torch.zeros((), dtype=torch.float32).masked_fill(~allowed, -torch.inf).to(scores.dtype)
    scale = width**-0.5 if scaling is None else scaling
    squares = scores.view(count, key.shape[1], shared, length, length) * scale + hidden.unsqueeze(-3)
    weights = torch.softmax(squares, dim=-1, dtype=torch.float32).to(value.dtype)
    output = weights.view(count, key.shape[1], shared * length, length) @ value
    return output.view(count, heads, length, value.shape[-1]).transpose(1, 2)
