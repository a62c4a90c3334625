"""Scoring a locked model again, on this machine: the incumbent on a new test set, or a sample of a claim.

Restores model and rows from DVC's cache or remote. A model trained on a GPU is scored on what this machine has. Heavy:
loads torch.
"""

import math
import secrets
from collections.abc import Sequence
from typing import Any

from tunegate.errors import InputError, RefusedError
from tunegate.evaluation.examples import Example, examples_of
from tunegate.params import Evaluate, parse
from tunegate.repository.snapshot import Snapshot
from tunegate.tables import read_parquet
from tunegate.text import listed

PREDICTIONS = "models/predictions.parquet"
PREPARED = "data/prepared"
BASE = "models/base"
ADAPTER = "models/adapter"

NLL_TOLERANCE = {"fp32": 0.01, "bf16": 0.1}
"""Largest difference of a row's NLL, in nats per token, between two machines, by the precision of the claim's forward
pass: sums in another order move fp32 by 1e-5, bf16 by some hundredths."""
ANSWERS_TOLERANCE = {"fp32": 0.005, "bf16": 0.02}
"""Largest share of rows whose greedy answer may differ: two tokens of nearly equal likelihood can change places."""

Row = dict[str, Any]


def rescored(model: Snapshot, rows: Sequence[Row], settings: Evaluate) -> Any:
    """A table of predictions (the columns of the untuned base empty) of `model`'s locked adapter for test `rows`."""
    import pyarrow as pa

    from tunegate.evaluation.answers import PREDICTION
    from tunegate.evaluation.predictions import predictions_of
    from tunegate.models.devices import has_device
    from tunegate.models.loading import load_tokenizer
    from tunegate.models.tuned import load_tuned

    base = model.output(BASE)
    device = settings.device if has_device(settings.device) else "cpu"
    here = settings.model_copy(update={"device": device})
    tuned = load_tuned(base, model.output(ADAPTER), device=device, precision=here.precision)
    answers = predictions_of(tuned, load_tokenizer(base), rows, here, models=["tuned"])
    return pa.Table.from_pylist(answers, schema=PREDICTION)


def rows_of_test(snapshot: Snapshot) -> list[Row]:
    """The locked test rows of a project, those that its technique answers."""
    from tunegate.evaluation.predictions import answerable

    test: list[Row] = read_parquet(snapshot.output(PREPARED) / "test.parquet").to_pylist()
    rows = answerable(snapshot.params.train.technique, test)
    if not rows:
        raise InputError("no test rows", place=snapshot.place(PREPARED), remedy="raise prepare.test_share")
    return rows


def settings_of(snapshot: Snapshot) -> Evaluate:
    """The parameters that the locked predictions were made with; those of params.yaml where the lock has only some."""
    entry = next((entry for entry in snapshot.lock.values() if PREDICTIONS in entry.outs), None)
    locked = entry.params.get("params.yaml:evaluate") if entry else None
    if not isinstance(locked, dict):
        return snapshot.params.evaluate
    place = f"{snapshot.place('dvc.lock')}: evaluate"
    return parse(Evaluate, locked, place=place, remedy="run `dvc repro evaluate`")


def check_sample(snapshot: Snapshot, *, rows: int) -> str:
    """Score `rows` random test rows again and compare them with the locked predictions; return the result as a line.

    Nobody can know beforehand which rows. Raises RefusedError, with the rows, when the claim does not reproduce
    within `NLL_TOLERANCE` and `ANSWERS_TOLERANCE`, or is not about the locked test rows.
    """
    place = snapshot.place(PREDICTIONS)
    claimed = {e.id: e for e in examples_of(read_parquet(snapshot.output(PREDICTIONS)), place=place)}
    tests = {row["id"]: row for row in rows_of_test(snapshot)}
    if set(tests) != set(claimed):
        problem = f"answers to {len(claimed)} rows, but the test set has {len(tests)}, or others"
        raise RefusedError(problem, place=place, remedy="run `dvc repro evaluate`")
    chosen = sorted(secrets.SystemRandom().sample(sorted(tests), min(rows, len(tests))))
    settings = settings_of(snapshot)
    table = rescored(snapshot, [tests[name] for name in chosen], settings)
    answers = {row["id"]: row for row in table.to_pylist()}
    _compare([claimed[name] for name in chosen], answers, settings.precision, place)
    worst = max(abs(claimed[name].tuned.nll - answers[name]["tuned_nll"]) for name in chosen)
    same = sum(claimed[name].tuned.text == answers[name]["tuned_answer"] for name in chosen)
    return f"{len(chosen)} random test rows scored again: {same} equal answers, NLL within {worst:.1e} nats per token"


def _compare(claims: Sequence[Example], answers: dict[str, Row], precision: str, place: str) -> None:
    tolerance = NLL_TOLERANCE[precision]
    remedy = "run `dvc repro --force evaluate` where the predictions were made, and find out why they differ"
    apart = [
        f"{claim.id} (claimed {claim.tuned.nll:.4f}, here {answers[claim.id]['tuned_nll']:.4f})"
        for claim in claims
        if not math.isclose(claim.tuned.nll, answers[claim.id]["tuned_nll"], abs_tol=tolerance)
    ]
    if apart:
        raise RefusedError(f"NLL does not reproduce within {tolerance}: {listed(apart, 5)}", place=place, remedy=remedy)
    # An answer differs where its text does, a claim of correctness where text and reference do not confirm it.
    other = [
        f"{claim.id} (claimed {claim.tuned.text!r}, here {answers[claim.id]['tuned_answer']!r})"
        for claim in claims
        if (claim.tuned.text, claim.tuned.correct)
        != (answers[claim.id]["tuned_answer"], answers[claim.id]["tuned_correct"])
        or claim.reference != answers[claim.id]["reference"]
    ]
    if len(other) > ANSWERS_TOLERANCE[precision] * len(claims):
        raise RefusedError(f"answers do not reproduce: {listed(other, 5)}", place=place, remedy=remedy)
