"""What happens to personal data in a row: it is counted, masked, replaced by tags, or the row is dropped.

Examined are the text and every message, and an answer of several words: a label of one word is the name of a class.
Not examined are ids, groups and slices. The rules are always applied; the model, when enabled, to rows that no slice
`language` marks as another language than English. Finding nothing proves nothing: this does not anonymise.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from tunegate.data.preparation.personal_data.name_model import KINDS, LANGUAGE, check_installed, find_names
from tunegate.data.preparation.personal_data.rules import SCREEN, Span, find, may_match
from tunegate.data.preparation.personal_data.tags import check_key, tag
from tunegate.data.preparation.spans import first_come, replaced
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.params import PersonalData
from tunegate.text import did_you_mean

PLACE = "params.yaml: prepare.personal_data"
# A placeholder brings words nearer to numbers, so that more may be found: passes until nothing is.
_MAX_PASSES = 10
_WORDS = {"keep": "found", "drop": "found", "mask": "masked", "tag": "tagged"}


@dataclass(frozen=True)
class Masker:
    """What to look for and what to do with it; `key` makes tags and is needed for nothing else.

    Raises InputError for an unknown region, a kind that needs the model, a model without such a kind, and a key that is
    missing or does not have the fingerprint; MachineError where the extra of the model is not installed.
    """

    settings: PersonalData
    key: bytes | None = None

    def __post_init__(self) -> None:
        _check_regions(self.settings.regions)
        names = [kind for kind in self.settings.kinds if kind in KINDS]
        if names and not self.settings.model:
            problem = f"only the model finds {', '.join(names)}, and `model` is false"
            raise InputError(problem, place=f"{PLACE}.kinds", remedy="set model: true, or take them out")
        if self.settings.model and not names:
            problem = f"the model has nothing to find: kinds has none of {', '.join(KINDS)}"
            raise InputError(problem, place=f"{PLACE}.model", remedy="set it to false, or add what it finds")
        if self.settings.model:
            check_installed()
        if self.settings.action == "tag":
            check_key(self.key, self.settings.key, place=f"{PLACE}.key")

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
        """`row` treated, None when it is dropped, and what was found, as `masked: email x2`. Idempotent."""
        counts: Counter[str] = Counter()
        names = self.settings.model and row.slices.get("language", LANGUAGE).lower().startswith(LANGUAGE)

        def treated(text: str, *, names: bool) -> str:
            text, kinds = self._treated(text, names=names)
            counts.update(kinds)
            return text

        def answer(text: str | None) -> str | None:
            # In a conversation, the rejected answer is text like the messages; otherwise it is a label.
            if row.messages is not None:
                return None if text is None else treated(text, names=names)
            return text if text is None or len(text.split()) < 2 else treated(text, names=False)

        label, rejected = answer(row.label), answer(row.rejected)
        text = None if row.text is None else treated(row.text, names=names)
        messages = row.messages
        if messages is not None:
            messages = tuple(message | {"content": treated(message["content"], names=names)} for message in messages)
        word = _WORDS[self.settings.action]
        changes = [f"{word}: {kind} x{count}" if count > 1 else f"{word}: {kind}" for kind, count in counts.items()]
        if counts and self.settings.action == "drop":
            return None, sorted(changes)
        return replace(row, text=text, label=label, rejected=rejected, messages=messages), sorted(changes)

    def treat_text(self, text: str) -> str:
        """`text` masked or tagged, as that of a row would be; unchanged where the action is keep or drop."""
        return self._treated(text, names=self.settings.model)[0]

    def find(self, text: str, *, names: bool = False) -> list[Span]:
        """The personal data in `text` of the settings' kinds, in order; with `names` also what the model finds."""
        spans = find(text, self.settings.regions)
        if names:
            spans = first_come([*spans, *find_names(text)], len(text))
        return [span for span in spans if span.kind in self.settings.kinds]

    def _treated(self, text: str, *, names: bool) -> tuple[str, list[str]]:
        kinds: list[str] = []
        changing = self.settings.action in ("mask", "tag")
        for _ in range(_MAX_PASSES if changing else 1):
            spans = self.find(text, names=names) if self.may_concern(text) else []
            if not spans:
                break
            kinds += [span.kind for span in spans]
            text = replaced(text, spans, self._replacement) if changing else text
        return text, kinds

    def _replacement(self, span: Span) -> str:
        if self.settings.action == "mask" or self.key is None:
            return f"[{span.kind.upper()}]"
        return tag(span, self.key)


def _check_regions(regions: tuple[str, ...]) -> None:
    import phonenumbers

    for region in regions:
        if region not in phonenumbers.SUPPORTED_REGIONS:
            problem = f"no such region {region!r}{did_you_mean(region, sorted(phonenumbers.SUPPORTED_REGIONS))}"
            remedy = "write the two letters of a country in ISO 3166-1"
            raise InputError(problem, place=f"{PLACE}.regions", remedy=remedy)
