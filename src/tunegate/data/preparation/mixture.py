"""How much of each source is used: caps, and weights relative to each other.

Which rows of a source are used is decided by a keyed hash of their group. Whole groups are taken in its order; one that
does not fit any more is left out, and smaller ones behind it fill the room. Where groups are of one row, adding rows
displaces as few as possible, and a smaller share is a part of a larger one. Rows of a frozen test set count, and are
never displaced. Works in the tables of `row_tables`.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from tunegate.data.compute.database import add, batches
from tunegate.errors import InputError
from tunegate.params import Mix
from tunegate.text import did_you_mean, listed

if TYPE_CHECKING:
    import duckdb


def apply_mixture(
    connection: "duckdb.DuckDBPyConnection", mixture: Mapping[str, Mix], *, frozen: int, place: str
) -> None:
    """Drop what `mixture` has too much of, as `over_cap` and `over_weight`; the first `frozen` rows always stay.

    Raises InputError for a source that does not exist, and for one of which no row is left.
    """
    if not mixture:
        return
    sources = [name for (name,) in connection.execute("SELECT DISTINCT source FROM keys ORDER BY 1").fetchall()]
    for name in mixture:
        if name not in sources:
            problem = f"no source {name!r}{did_you_mean(name, sources)}"
            raise InputError(problem, place=f"{place}: prepare.mixture", remedy=f"the sources are {listed(sources)}")
    caps = {name: mix.cap for name, mix in mixture.items() if mix.cap is not None}
    _limit(connection, caps, "over_cap", frozen)
    sizes = dict(connection.execute("SELECT source, count(*) FROM kept GROUP BY source").fetchall())
    # A weight that is not written is not a weight: a cap alone does not tie its source to the others.
    weights = {name: mix.weight for name, mix in mixture.items() if "weight" in mix.model_fields_set}
    _limit(connection, shares(sizes, weights, place=place), "over_weight", frozen)
    kept = {name for (name,) in connection.execute("SELECT DISTINCT source FROM kept").fetchall()}
    for name in mixture:
        if name not in kept:
            problem = f"no row of {name!r} is left: every group of it is larger than what its cap or weight allows"
            remedy = "raise the cap or the weight, or make the groups smaller"
            raise InputError(problem, place=f"{place}: prepare.mixture.{name}", remedy=remedy)


def shares(sizes: Mapping[str, int], weights: Mapping[str, float], *, place: str) -> dict[str, int]:
    """How many rows of each weighted source are used: as many as the one that is shortest for its weight allows."""
    empty = [name for name in weights if not sizes.get(name)]
    if empty:
        problem = f"{empty[0]!r} has a weight and no rows that are kept: nothing of the other sources could be used"
        raise InputError(problem, place=f"{place}: prepare.mixture", remedy="take out its weight, or give it rows")
    scale = min((sizes[name] / weight for name, weight in weights.items()), default=0.0)
    # The small term: 0.1 * 30 is 3.0000000000000004 in floating point and 2.999... elsewhere.
    return {name: math.floor(scale * weight + 1e-9) for name, weight in weights.items()}


def _limit(connection: "duckdb.DuckDBPyConnection", limits: Mapping[str, int], reason: str, frozen: int) -> None:
    for source, most in limits.items():
        connection.execute(
            """
            CREATE OR REPLACE TABLE ranked AS
            SELECT "group", size, fixed, row_number() OVER (ORDER BY fixed = 0, point, "group") - 1 AS place FROM (
                SELECT "group", min(mixture_point) AS point, count(*) AS size, count(*) FILTER (n < $frozen) AS fixed
                FROM kept WHERE source = $source GROUP BY "group"
            )
            """,
            {"source": source, "frozen": frozen},
        )
        connection.execute("CREATE OR REPLACE TABLE unfit (place BIGINT)")
        add(connection, "unfit", pa.table({"place": _unfit(connection, most)}))
        connection.execute(
            """
            INSERT INTO dropped SELECT n, $reason, $most::VARCHAR || ' rows', NULL FROM kept
            SEMI JOIN (FROM ranked SEMI JOIN unfit USING (place)) USING ("group")
            WHERE source = $source AND n >= $frozen
            """,
            {"source": source, "most": most, "reason": reason, "frozen": frozen},
        )


def _unfit(connection: "duckdb.DuckDBPyConnection", most: int) -> pa.Array:
    """The places of the groups in `ranked` that do not fit any more, taken one by one after all frozen rows."""
    used = connection.execute("SELECT coalesce(sum(fixed), 0) FROM ranked").fetchall()[0][0]
    unfit = []
    for batch in batches(connection, "SELECT place, size - fixed FROM ranked ORDER BY place"):
        for place, more in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if used + more > most:
                unfit.append(place)
            else:
                used += more
    return pa.array(unfit, pa.int64())
