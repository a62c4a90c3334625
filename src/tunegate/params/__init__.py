"""params.yaml as frozen, closed pydantic models: one class per section, its name in lower case.

An unknown key is refused with the nearest known name; a value out of range with the range. The text under a field is
its documentation and becomes docs/params.md.
"""

from tunegate.params.closed import Closed, parse
from tunegate.params.data import Augment, Ingest, Mix, PersonalData, Prepare, Tokenize, Validate
from tunegate.params.project import Base, Compute, Evaluate, Package, Params, Score, load_params
from tunegate.params.techniques import (
    Classify,
    Distill,
    Fewshot,
    Multitask,
    Preference,
    Pretrain,
    Reinforce,
    Reward,
    Semisupervised,
)
from tunegate.params.training import Adapter, Technique, Train

__all__ = [
    "Adapter",
    "Augment",
    "Base",
    "Classify",
    "Closed",
    "Compute",
    "Distill",
    "Evaluate",
    "Fewshot",
    "Ingest",
    "Mix",
    "Multitask",
    "Package",
    "Params",
    "PersonalData",
    "Preference",
    "Prepare",
    "Pretrain",
    "Reinforce",
    "Reward",
    "Score",
    "Semisupervised",
    "Technique",
    "Tokenize",
    "Train",
    "Validate",
    "load_params",
    "parse",
]
