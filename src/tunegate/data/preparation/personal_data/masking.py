"""What happens to personal data in a row: it is counted, masked, replaced by surrogates, or the row is dropped.

Looked at are the text and every message, and an answer of several words: a label of one word is the name of a class.
Not looked at are ids, groups and slices. The rules always look; the model when asked, at rows that no slice `language`
says are of another language than English. Finding nothing proves nothing: this is no anonymisation. Reads and writes
nothing.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from tunegate.data.preparation.personal_data.key import checked_key
from tunegate.data.preparation.personal_data.name_model import KINDS, LANGUAGE, check_installed, find_names
from tunegate.data.preparation.personal_data.rules import SCREEN, Span, find, may_match
from tunegate.data.preparation.personal_data.surrogates import surrogate
from tunegate.data.preparation.spans import first_come, replaced
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.params import PersonalData

PLACE = "params.yaml: prepare.personal_data"
# A placeholder brings words nearer to numbers, so that more may be found: until nothing is, or twice were not as once.
_MOST_PASSES = 10
_WORDS = {"keep": "found", "drop": "found", "mask": "masked", "pseudonymise": "pseudonymised"}


@dataclass(frozen=True)
class Personal:
    """What to look for and what to do with it; `key` makes surrogates and is needed for nothing else.

    Raises InputError for a kind that needs the model, a model without such a kind, and a key that is missing or not
    the one of the fingerprint; MachineError where the extra of the model is not installed.
    """

    settings: PersonalData
    key: bytes | None = None

    def __post_init__(self) -> None:
        names = [kind for kind in self.settings.kinds if kind in KINDS]
        if names and not self.settings.model:
            problem = f"only the model finds {', '.join(names)}, and `model` is false"
            raise InputError(problem, place=f"{PLACE}.kinds", remedy="set model: true, or take them out")
        if self.settings.model and not names:
            problem = f"the model is asked for nothing: kinds has none of {', '.join(KINDS)}"
            raise InputError(problem, place=f"{PLACE}.model", remedy="set it to false, or add what it finds")
        if self.settings.model:
            check_installed()
        if self.settings.action == "pseudonymise":
            checked_key(self.key, self.settings.key, place=f"{PLACE}.key")

    def may_concern(self, text: str) -> bool:
        """Whether `treat` may find something in `text`: cheap, and never False where it does."""
        return self.settings.model or may_match(text)

    def concerns(self, texts: Any) -> Any:
        """`may_concern` of every text of an Arrow array of strings, as an array of booleans; null is False."""
        import pyarrow
        import pyarrow.compute

        if self.settings.model:
            return pyarrow.compute.is_valid(texts)
        return pyarrow.compute.fill_null(pyarrow.compute.match_substring_regex(texts, SCREEN), False)

    def treat(self, row: Row) -> tuple[Row | None, list[str]]:
        """`row` treated, None when it is dropped, and what was found, as `masked: email x2`. Twice is as once."""
        found: Counter[str] = Counter()
        names = self.settings.model and row.slices.get("language", LANGUAGE).lower().startswith(LANGUAGE)

        def treated(text: str, *, names: bool) -> str:
            text, kinds = self._treated(text, names=names)
            found.update(kinds)
            return text

        def answer(text: str | None) -> str | None:
            # Beside messages, what was rejected is talk like theirs; beside a label, it is a label.
            if row.messages is not None:
                return None if text is None else treated(text, names=names)
            return text if text is None or len(text.split()) < 2 else treated(text, names=False)

        label, rejected = answer(row.label), answer(row.rejected)
        text = None if row.text is None else treated(row.text, names=names)
        messages = row.messages
        if messages is not None:
            messages = tuple(message | {"content": treated(message["content"], names=names)} for message in messages)
        word = _WORDS[self.settings.action]
        changes = [f"{word}: {kind} x{count}" if count > 1 else f"{word}: {kind}" for kind, count in found.items()]
        if found and self.settings.action == "drop":
            return None, sorted(changes)
        return replace(row, text=text, label=label, rejected=rejected, messages=messages), sorted(changes)

    def treat_text(self, text: str) -> str:
        """`text` masked or with surrogates, as that of a row would be; as it is where the action is keep or drop."""
        return self._treated(text, names=self.settings.model)[0]

    def found_in(self, text: str, *, names: bool = False) -> list[Span]:
        """The personal data of the kinds asked for in `text`, in order; with `names` also what the model finds."""
        spans = find(text) if may_match(text) else []
        if names:
            spans = first_come([*spans, *find_names(text)], len(text))
        return [span for span in spans if span.kind in self.settings.kinds]

    def _treated(self, text: str, *, names: bool) -> tuple[str, list[str]]:
        found: list[str] = []
        changing = self.settings.action in ("mask", "pseudonymise")
        for _ in range(_MOST_PASSES if changing else 1):
            spans = self.found_in(text, names=names) if self.may_concern(text) else []
            if not spans:
                break
            found += [span.kind for span in spans]
            text = self._changed(text, spans) if changing else text
        return text, found

    def _changed(self, text: str, spans: list[Span]) -> str:
        if self.settings.action == "mask" or self.key is None:
            return replaced(text, spans, lambda span: f"[{span.kind.upper()}]")
        key = self.key
        return replaced(text, spans, lambda span: surrogate(span, text[span.start : span.end], key))
