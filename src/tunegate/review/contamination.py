"""Test rows among the training rows: a score on them is memory, not skill.

Compares the locked splits of a project, exactly and nearly (data.similarity.overlap), batch by batch. Reads DVC's
outputs; does not decide.
"""

import tempfile
from pathlib import Path

from tunegate.data.compute.database import connect
from tunegate.data.similarity.overlap import Match, modest_memory, near_pairs
from tunegate.tables import parquet_batches

_COLUMNS = ["id", "text", "messages"]


def contaminated(test: Path, train: Path, *, near: float) -> tuple[list[Match], list[Match]]:
    """Test rows that the training rows contain, exactly and nearly, each with its training row.

    `test` and `train` are folders of the stage `prepare`. Exact is the same question but for case, punctuation and
    white space; near is a similarity of at least `near`.
    """
    tested = parquet_batches(test / "test.parquet", columns=_COLUMNS)
    trained = parquet_batches(train / "train.parquet", columns=_COLUMNS)
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder), modest_memory()) as connection:
        found = [Match(**pair) for pair in near_pairs(tested, trained, near, connection).to_pylist()]
    return [match for match in found if match.similarity == 1], [match for match in found if match.similarity < 1]
