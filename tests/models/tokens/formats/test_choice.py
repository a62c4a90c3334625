from typing import get_args

import pytest

from tunegate.models.tokens.formats.answers import Answers, Prompts
from tunegate.models.tokens.formats.choice import format_of
from tunegate.models.tokens.formats.classes import Classes
from tunegate.models.tokens.formats.preferences import Preferences
from tunegate.models.tokens.formats.raw_text import RawText
from tunegate.params import Technique, Tokenize

FORMATS = {"pretrain": RawText, "classify": Classes, "preference": Preferences, "reinforce": Prompts}


@pytest.mark.parametrize("technique", get_args(Technique))
def test_a_technique_has_a_format_and_only_semisupervised_takes_answers_away(technique: Technique) -> None:
    chosen = format_of(technique, Tokenize(turns="all"))
    assert type(chosen) is FORMATS.get(technique, Answers)
    if isinstance(chosen, Answers):
        assert chosen.turns == "all"
        assert chosen.unanswered == (technique == "semisupervised")
