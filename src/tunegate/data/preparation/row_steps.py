"""The steps that change one row, in their order: HTML, repair, secrets, personal data.

A row that is left out for what is in it keeps neither: in dropped.parquet, too, its secrets and personal data are
masked.
"""

from dataclasses import dataclass
from functools import cached_property

from tunegate.data.preparation import secrets
from tunegate.data.preparation.html import strip_html
from tunegate.data.preparation.personal_data.masking import Masker
from tunegate.data.preparation.text_repair import repair_row
from tunegate.data.rows import Row, with_texts
from tunegate.params import Prepare


@dataclass(frozen=True)
class Steps:
    """What params.yaml says is done to a row that may need it; `key` makes tags of personal data."""

    settings: Prepare
    key: bytes | None = None

    def __call__(self, row: Row) -> tuple[Row, list[str], str | None]:
        """The row as it is now, what was done to it, and the reason why it is left out, or None."""
        row, changes = self._mended(row)
        if changes and _lacks_words(row):
            return self._masked(row), changes, "empty_after_repair"
        kept, finds = secrets.treat(row, self.settings.secrets)
        changes += finds
        if kept is None:
            return self._masked(row), [*finds, *changes[: -len(finds)]], "secret"
        treated, finds = self._masker.treat(kept)
        changes += finds
        if treated is None:
            return self._masked(kept), [*finds, *changes[: -len(finds)]], "personal_data"
        return treated, changes, None

    def _mended(self, row: Row) -> tuple[Row, list[str]]:
        changes = []
        if self.settings.strip_html:
            stripped = with_texts(row, strip_html)
            changes += ["stripped: html"] if stripped != row else []
            row = stripped
        if self.settings.repair_text:
            row, names = repair_row(row)
            changes += [f"repaired: {name}" for name in names]
        return row, changes

    def _masked(self, row: Row) -> Row:
        masked = secrets.treat(row, "mask")[0] or row
        return self._masking.treat(masked)[0] or masked

    @cached_property
    def _masker(self) -> Masker:
        return Masker(self.settings.personal_data, self.key)

    @cached_property
    def _masking(self) -> Masker:
        keep = self.settings.personal_data.action == "keep"
        settings = self.settings.personal_data
        return Masker(settings if keep else settings.model_copy(update={"action": "mask"}))


def _lacks_words(row: Row) -> bool:
    return not row.last_turn or (row.is_answered and not row.answer) or row.rejected == ""
