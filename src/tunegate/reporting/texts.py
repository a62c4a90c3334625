"""How names and long texts look to people, the same in all reports. Knows nothing of what they say."""

_LONGEST_TEXT = 280


def words(name: str) -> str:
    """A name as words: `question_also_in_test` becomes `question also in test`."""
    return name.replace("_", " ")


def short(text: str, most: int = _LONGEST_TEXT) -> str:
    """The text, cut to `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"
