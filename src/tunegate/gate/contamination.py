"""Test rows among the training rows: a score on them is memory, not skill.

Compares the locked splits of a project, exactly and nearly (tunegate.data.duplicates). Reads DVC's outputs; does not
decide.
"""

from pathlib import Path

from tunegate.data.duplicates import Match, matches
from tunegate.data.rows import rows_of
from tunegate.tables import read_parquet


def contaminated(test: Path, train: Path, *, near: float) -> tuple[list[Match], list[Match]]:
    """Test rows that the training rows contain, exactly and nearly, each with its training row.

    `test` and `train` are folders of the stage `prepare`. Exact is the same question but for case, punctuation and
    white space; near is a similarity of at least `near`.
    """
    found = matches(_questions(test / "test.parquet"), _questions(train / "train.parquet"), threshold=near)
    return [match for match in found if match.similarity == 1], [match for match in found if match.similarity < 1]


def named(found: list[Match]) -> list[str]:
    """The matches as a verdict lists them."""
    return [f"{match.left} = {match.right}" if match.similarity == 1 else _near(match) for match in found]


def _near(match: Match) -> str:
    return f"{match.left} ≈ {match.right} ({match.similarity:.2f})"


def _questions(path: Path) -> dict[str, str]:
    return {row.id: row.question for row in rows_of(read_parquet(path))}
