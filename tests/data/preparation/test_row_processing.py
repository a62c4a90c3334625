from collections.abc import Callable

import pyarrow as pa
import pytest

from tunegate.data.preparation.row_processing import TREATED, UNANSWERED, Treatment, anywhere, point
from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.params import Prepare

Make = Callable[..., Row]


@pytest.fixture
def rows(row: Make) -> pa.RecordBatch:
    """A clean row, one to repair and mask, one without an answer, and a conversation."""
    talk = ({"role": "user", "content": "Who asks a@firm.se?"}, {"role": "assistant", "content": "X"})
    made = [
        row("clean"),
        row("dirty", text="Vad \u00c3\u00a4r det, a@firm.se?"),
        row("open", label=None),
        row("talk", text=None, label=None, messages=talk),
    ]
    return table_of(made, PLACED_ROW).combine_chunks().to_batches()[0]


def test_the_hash_is_the_one_that_older_commits_were_split_with() -> None:
    points = [point(f"g{n}", "permit-helpdesk") for n in range(24)]
    names = ["e" if at < 0.2 else "a" if at < 0.3 else "r" for at in points]
    assert "".join(names) == "arrrrrrarrerrrerrrrrerrr"


def test_only_rows_that_need_it_change(rows: pa.RecordBatch) -> None:
    treated = Treatment(Prepare(near_duplicates=None))(rows)
    assert treated.schema == TREATED
    assert treated["text"].to_pylist() == ["Question clean?", "Vad \u00e4r det, [EMAIL]?", "Question open?", None]
    assert treated["changes"].to_pylist() == [
        None, ["repaired: encoding", "masked: email"], None, ["masked: email"]
    ]  # fmt: skip
    assert treated["reason"].null_count == 4


def test_a_row_is_treated_alike_in_any_batch(rows: pa.RecordBatch) -> None:
    treatment = Treatment(Prepare())
    alone = [treatment(rows.slice(number, 1)).to_pylist()[0] for number in range(rows.num_rows)]
    assert treatment(rows).to_pylist() == alone


def test_rows_with_the_same_answer_have_the_same_key(rows: pa.RecordBatch) -> None:
    keys = Treatment(Prepare())(rows)["answer_key"].to_pylist()
    assert keys[0] == keys[1] == keys[3]
    assert keys[2] == UNANSWERED


def test_any_text_of_a_row_is_looked_at(rows: pa.RecordBatch) -> None:
    def has_mail(texts: pa.Array) -> pa.Array:
        return pa.compute.match_substring(texts, "@")

    assert anywhere(rows, has_mail).tolist() == [False, True, False, True]
