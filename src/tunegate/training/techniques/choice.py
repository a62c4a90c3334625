"""Which name stands for which technique."""

from tunegate.params import Train
from tunegate.training.technique import Technique
from tunegate.training.techniques.sft import sft


def technique_of(settings: Train) -> Technique:
    """The technique that `train.technique` names."""
    match settings.technique:
        case "sft":
            return sft()
        case other:
            raise NotImplementedError(other)
