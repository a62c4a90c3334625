import pyarrow as pa
import pytest

from tunegate.data.sources.parquet_size import cut, decoded, row_bytes

TEXTS = pa.array(["å", None, "bbb", "å"])
COLUMNS = {
    "text": (TEXTS, [2, 0, 3, 2]),
    "dictionary": (TEXTS.dictionary_encode(), [2, 0, 3, 2]),
    "number": (pa.array([1, None, 3, 4], pa.int32()), [4, 4, 4, 4]),
    "list": (pa.array([["å", "b"], None, [], ["c"]]), [3, 0, 0, 1]),
    "pair": (pa.array([["a", "b"]] * 4, pa.list_(pa.string(), 2)), [2] * 4),
    "struct": (pa.StructArray.from_arrays([TEXTS, TEXTS], ["a", "b"]), [4, 0, 6, 4]),
    "nothing": (pa.nulls(4), [0] * 4),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_value_takes_what_it_takes_without_a_dictionary(name: str) -> None:
    values, sizes = COLUMNS[name]
    assert row_bytes(values).tolist() == sizes
    assert row_bytes(values.slice(1, 2)).tolist() == sizes[1:3]


def test_a_batch_is_cut_by_what_it_takes_once_decoded() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 10, pa.int32()), pa.array(["x" * 100]))
    batch = pa.RecordBatch.from_arrays([column], names=["text"])
    assert [(len(part), size) for part, size in cut(batch, 300)] == [(3, 300), (3, 300), (3, 300), (1, 100)]
    assert [(len(part), size) for part, size in cut(batch, 1)] == [(1, 100)] * 10
    assert decoded(batch).column("text").equals(pa.array(["x" * 100] * 10))
