"""The names of what lies in a model's folder: models/base and what the stage `train` leaves in models/adapter.

Also what `train` says in tuned.json that it trained. Needs neither torch nor transformers.
"""

from pathlib import Path

from tunegate.files import read_json
from tunegate.params import Adapter, Closed, Technique, parse

PROVENANCE = "provenance.json"
"""Base: its catalogue entry and the sha256 of every file."""

CONFIG = "config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
TEMPLATE = "chat_template.jinja"
"""The chat template; encoders and models of raw text have none."""

TEACHER = "teacher"
"""The folder of the teacher of `distill` inside the base's, with a provenance of its own."""

TRANSLATOR = "translator"
"""The folder of the translator of `back_translation` inside the base's, with a provenance of its own."""

TUNED = "tuned.json"
"""Tuned: what was trained, as a `TunedRecord`."""

WEIGHTS = "model.safetensors"
"""Tuned: every weight (full), or the head's (head)."""


class TunedRecord(Closed):
    """tuned.json: what was trained. Folders of earlier releases have none, and hold a LoRA adapter."""

    technique: Technique = "sft"
    adapter: Adapter = "lora"
    labels: tuple[str, ...] | None = None
    """classify: the labels, in the order of the head's outputs."""
    multi_label: bool = False
    """classify: whether a row may have several of them, or none."""
    separator: str = ";"
    """classify: what stands between several."""
    threshold: float = 0.5
    """classify: the probability from which a label of several is given."""
    seed: int = 7
    """Of the weights that the base does not have, such as a head's."""


def read_record(folder: Path) -> TunedRecord:
    """What the folder of a tuned model says was trained. Raises InputError when tuned.json is malformed."""
    path = folder / TUNED
    if not path.is_file():
        return TunedRecord()
    remedy = "run `dvc repro train`, or `dvc checkout` the folder"
    return parse(TunedRecord, read_json(path), place=str(path), remedy=remedy)
