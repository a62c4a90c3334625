"""Models that stand beside the base: the teacher of `distill` and the translator of `back_translation`.

Each is a folder inside of the base's, fetched and verified like it and with its own provenance. Compares the teacher's
tokenizer with the base's, since probabilities of other tokens teach nothing. Does not know how a model is fetched.
"""

from pathlib import Path

from tunegate.errors import InputError

TEACHER = "teacher"
"""The folder of the teacher inside of the base's."""

TRANSLATOR = "translator"
"""The folder of the translator inside of the base's."""

_SHOWN = 3


def require_same_vocabulary(base: Path, teacher: Path) -> None:
    """Raise InputError unless both folders' tokenizers give every token the same number."""
    ours, theirs = _vocabulary(base), _vocabulary(teacher)
    changed = sorted(
        (number, token)
        for token in ours.keys() | theirs.keys()
        if ours.get(token) != theirs.get(token)
        for number in (ours.get(token, theirs.get(token)),)
    )
    if changed:
        shown = ", ".join(_difference(token, ours, theirs) for _, token in changed[:_SHOWN])
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        problem = f"the teacher's tokenizer has other tokens than the base model's (base → teacher): {shown}{more}"
        remedy = "name a teacher of the same family: its probabilities must be over the same tokens"
        raise InputError(problem, place="params.yaml: base.teacher", remedy=remedy)


def _difference(token: str, ours: dict[str, int], theirs: dict[str, int]) -> str:
    return f"{token!r} {ours.get(token, 'missing')} → {theirs.get(token, 'missing')}"


def _vocabulary(folder: Path) -> dict[str, int]:
    from tokenizers import Tokenizer

    found: dict[str, int] = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab(with_added_tokens=True)
    return found
