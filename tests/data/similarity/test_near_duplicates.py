from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tunegate.data.compute.database import add, connect
from tunegate.data.similarity.near_duplicates import LEADERS, pairs_between, pairs_within
from tunegate.data.similarity.shingles import Plan, plan_for, sketched

PLAN = plan_for(0.8)


def load(connection: object, table: str, texts: list[str], plan: Plan = PLAN, alike: list[int] | None = None) -> None:
    sketches = sketched(texts, plan)
    numbers = {"n": np.arange(len(texts)), "alike": alike or [0] * len(texts)}
    columns = [pa.array(values, pa.int64()) for values in numbers.values()]
    rows = pa.RecordBatch.from_arrays([*columns, *sketches.columns], names=[*numbers, *sketches.schema.names])
    add(connection, table, rows)  # type: ignore[arg-type]


def text(number: int, words: int = 30) -> str:
    return " ".join(f"w{number}x{n}" for n in range(words))


def test_near_texts_of_one_table_are_paired_once_with_their_similarity(tmp_path: Path) -> None:
    with connect(tmp_path, 2**26) as connection:
        load(connection, "t", [text(0), text(1), text(1) + " more", text(2)])
        pairs_within(connection, "t", "pairs", PLAN, 0.8)
        assert connection.execute("FROM pairs").fetchall() == [(2, 1, pytest.approx(28 / 29, abs=1e-6))]


def test_only_texts_that_are_alike_are_compared(tmp_path: Path) -> None:
    with connect(tmp_path, 2**26) as connection:
        load(connection, "t", [text(0), text(0), text(0)], alike=[1, 2, 1])
        pairs_within(connection, "t", "pairs", PLAN, 0.8)
        assert connection.execute("FROM pairs").fetchall() == [(2, 0, 1.0)]


def test_a_form_that_very_many_share_costs_no_square_and_equal_ones_are_still_found(tmp_path: Path) -> None:
    form = [f"form{n}" for n in range(70)]
    texts = [" ".join([*form, *(f"f{number}x{n}" for n in range(12))]) for number in range(1_000)]
    texts += [texts[500], texts[999]]
    with connect(tmp_path, 2**26) as connection:
        load(connection, "t", texts)
        pairs_within(connection, "t", "all_compared", PLAN, 0.0)
        pairs_within(connection, "t", "pairs", PLAN, 0.8)
        assert sorted(connection.execute("FROM pairs").fetchall()) == [(1000, 500, 1.0), (1001, 999, 1.0)]
        compared = connection.execute("SELECT count(*) FROM all_compared").fetchall()[0][0]
        assert 1_000 < compared <= len(texts) * LEADERS * len(PLAN.columns)


def test_texts_of_one_table_are_found_in_another(tmp_path: Path) -> None:
    with connect(tmp_path, 2**26) as connection:
        load(connection, "ones", [text(5), text(1) + " more", text(2)])
        load(connection, "others", [text(0), text(1), text(2), text(2)])
        pairs_between(connection, ("ones", "others"), "pairs", PLAN, 0.8)
        found = connection.execute("SELECT one, other FROM pairs ORDER BY ALL").fetchall()
        assert found == [(1, 1), (2, 2), (2, 3)]


def templated(copies: int) -> list[str]:
    """200 texts of one form, every band of which very many share, then texts with one word of one of them changed."""
    form = [f"form{n}" for n in range(54)]
    texts = [[*form, *(f"f{number}x{n}" for n in range(6))] for number in range(200)]
    for copy in range(copies):
        changed = list(texts[60 + copy])
        changed[10 + copy % 40] = f"changed{copy}"
        texts.append(changed)
    return [" ".join(words) for words in texts]


def test_texts_of_one_form_are_found_that_only_their_rarest_words_tell_apart(tmp_path: Path) -> None:
    plan = plan_for(0.88)
    with connect(tmp_path, 2**26) as connection:
        load(connection, "t", templated(100), plan)
        pairs_within(connection, "t", "within", plan, 0.88)
        found = connection.execute("SELECT DISTINCT later FROM within WHERE later >= 200").fetchall()
        assert len(found) >= 99
        connection.execute("CREATE VIEW copies AS FROM t WHERE n >= 200; CREATE VIEW forms AS FROM t WHERE n < 200")
        pairs_between(connection, ("copies", "forms"), "between", plan, 0.88)
        assert len(connection.execute("SELECT DISTINCT one FROM between").fetchall()) >= 99
        assert connection.execute("SELECT min(similarity) > 0.88 FROM between").fetchall() == [(True,)]
