"""The history of one row: where it came from, what each stage did to it, which row it duplicates, its outcome.

Reads of each stage's output only the row it needs. A history may be shown to anyone who may not read the rows: personal
data and secrets are masked in every text, and a text that a stage masked is shown only as it was afterwards.
"""

import itertools
from pathlib import Path
from typing import Any, NamedTuple

from tunegate.data.diff.display import shown, shown_edit
from tunegate.data.diff.result import Words
from tunegate.data.diff.row_lookup import Lookup
from tunegate.data.ledger.stage_ledger import PSEUDO_LABELS_FILE, combine, read_ledger
from tunegate.data.preparation.splits import SPLITS
from tunegate.errors import InputError
from tunegate.params import Closed

Record = dict[str, Any]
_MASKING_CHANGES = ("masked", "tagged")
_MASKED_REASONS = ("secret", "personal_data")
"""Reasons for which a row is dropped masked, whatever else is in it."""
_ROW_REASONS = ("duplicate", "near_duplicate", "question_")
"""Reasons for which `other` is the id of another row; for the others it is a value."""
_OTHER_RUN = "run `dvc repro`: the outputs are from different runs"


class Paths(NamedTuple):
    """Where the stages put their outputs."""

    ingested: Path
    validated: Path
    prepared: Path
    tokens: Path
    adapter: Path
    predictions: Path


class Step(Closed):
    """What one stage did to the row."""

    stage: str
    summary: str
    """In one line."""
    lines: tuple[str, ...] = ()
    """Details."""
    words: tuple[Words, ...] = ()
    """How its text changed, word by word."""


class RowHistory(Closed):
    """Everything that the outputs record about one row."""

    id: str
    source: str
    place: str
    """File and line."""
    license: str | None
    text: str
    """As the last stage left it, personal data masked."""
    outcome: str
    """The split that it is in, or the stage and reason for which it was left out."""
    split: str | None = None
    reason: str | None = None
    """Why it was left out; the first of several reasons."""
    other: str | None = None
    """The row that it duplicates, or the value for which it was left out."""
    similarity: float | None = None
    tokens: int | None = None
    trained: int | None = None
    """Tokens of it that are trained on."""
    cut: int | None = None
    """Tokens that were cut off."""
    steps: list[Step]


def history_of(name: str, paths: Paths) -> RowHistory:
    """The history of the row with the id `name`, as far as the stages have run.

    Raises InputError for an id that no ingested row has, naming the nearest ids, and for outputs of different runs.
    """
    with Lookup() as rows:
        ingested = rows.one(paths.ingested / "rows.parquet", name)
        if ingested is None:
            near = ", ".join(rows.nearest(paths.ingested / "rows.parquet", name)) or "there are no rows"
            raise InputError(f"no row {name!r}", place=str(paths.ingested), remedy=f"the nearest ids are: {near}")
        combine(list(itertools.takewhile(Path.exists, paths[:-2])))
        details = read_ledger(paths.ingested).details.get("sources", {}).get(ingested["source"], {})
        walk = _Walk(paths, rows, ingested)
        steps = [Step(stage="ingest", summary=f"read from {ingested['place']}")]
        for stage in (walk.validate, walk.prepare, walk.tokenize, walk.train, walk.evaluate):
            step = stage()
            steps += [step] if step else []
            if walk.ended:
                break
        origin = {key: ingested[key] for key in ("id", "source", "place")} | {"license": details.get("license")}
        return RowHistory(**origin, text=_shown_turns(walk.row), outcome=walk.outcome, steps=steps, **walk.facts)


class _Walk:
    """A walk through the stages: the row as the last one left it, and whether it ends there."""

    def __init__(self, paths: Paths, rows: Lookup, row: Record) -> None:
        self._paths, self._rows = paths, rows
        self.row, self.id = row, row["id"]
        self.outcome, self.ended = "ingested", False
        self.facts: Record = {}

    def validate(self) -> Step:
        """Whether it met the expectations."""
        folder = self._paths.validated
        if not folder.exists():
            return self._not_run("validate")
        if quarantined := self._rows.one(folder / "quarantine.parquet", self.id):
            self._require_same(folder, quarantined)
            self.facts |= {"reason": f"quarantine: {quarantined['reasons'][0]}"}
            return self._left("validate", "in quarantine", list(quarantined["reasons"]))
        row = self._require(folder, self._rows.one(folder / "rows.parquet", self.id), "data/ingested")
        self._require_same(folder, row)
        return Step(stage="validate", summary="met every expectation")

    def prepare(self) -> Step:
        """What was changed in it, which row it duplicates, and its split."""
        folder = self._paths.prepared
        if not folder.exists():
            return self._not_run("prepare")
        changed = self._rows.one(folder / "changes.parquet", self.id) or {"changes": []}
        changes, before = list(changed["changes"]), self.row
        split, now = self._prepared(self.id)
        now = self._require(folder, now, "data/validated")
        if not changes or len(_turns(now)) != len(_turns(before)):
            self._require_same(folder, now)
        self.row = now
        left = None if split else self.row
        # Names that only a model finds are masked by no rule: what a stage masked is not shown as it was before.
        hidden = (left and left["reason"] in _MASKED_REASONS) or any(
            change.startswith(_MASKING_CHANGES) for change in changes
        )
        words = () if hidden else _words(before, self.row)
        if left:
            self.facts |= {name: left[name] for name in ("reason", "other", "similarity")}
            causes = [line for line in self._cause(left) if line not in changes]
            step = self._left("prepare", f"left out: {left['reason']}", [*changes, *causes])
            return step.model_copy(update={"words": words})
        self.outcome, self.facts = f"kept: {split}", {"split": split}
        return Step(stage="prepare", summary=f"kept in {split}", lines=tuple(changes), words=words)

    def tokenize(self) -> Step:
        """Its tokens."""
        folder = self._paths.tokens
        if not folder.exists():
            return self._not_run("tokenize")
        record = self._require(folder, self._rows.one(folder / "row_outcomes.parquet", self.id), "data/prepared")
        self.facts |= {name: record[name] for name in ("split", "reason", "tokens", "trained", "cut")}
        counts = f"{record['tokens']} tokens"
        if record["reason"]:
            return self._left("tokenize", f"left out: {record['reason']}", [counts])
        if record["split"] != self.outcome.removeprefix("kept: "):
            self._require(folder, None, "data/prepared")
        names = {"trained": "trained on", "cut": "cut off"}
        return Step(
            stage="tokenize",
            summary=", ".join([counts, *(f"{record[key]} {name}" for key, name in names.items() if record[key])]),
        )

    def train(self) -> Step | None:
        """Whether it was trained on with a pseudo-label, if it had no answer."""
        path = self._paths.adapter / PSEUDO_LABELS_FILE
        if self.outcome != "kept: train" or _turns(self.row)[-1][0] == "assistant" or not path.exists():
            return None
        label = self._rows.one(path, self.id)
        if label is None:
            return Step(stage="train", summary="not trained on: the model was not sure enough of its own answer")
        summary = f"trained on with the model's own answer, confidence {label['confidence']:.2f}"
        return Step(stage="train", summary=summary, lines=(shown(label["answer"]),))

    def evaluate(self) -> Step | None:
        """Whether the models answered it correctly, if it is a test row."""
        path = self._paths.predictions
        prediction = self._rows.one(path, self.id) if path.exists() and self.outcome == "kept: test" else None
        if prediction is None:
            return None
        verdicts = {name: "right" if prediction[f"{name}_correct"] else "wrong" for name in ("base", "tuned")}
        lines = [f"{name} model, {word}: {shown(prediction[f'{name}_answer'])}" for name, word in verdicts.items()]
        lines.append(f"reference: {shown(prediction['reference'])}")
        return Step(stage="evaluate", summary=f"the tuned model answers it {verdicts['tuned']}", lines=tuple(lines))

    def _cause(self, left: Record) -> list[str]:
        """The row that it duplicates, or the value for which it was left out."""
        other, similarity = left["other"], left["similarity"]
        if other is None:
            return []
        if not left["reason"].startswith(_ROW_REASONS):
            return [other]
        # As it was compared, and not as it came in: names that only a model finds were masked in between.
        _, row = self._prepared(other)
        line = f"repeats {other}" + ("" if similarity is None else f", similarity {similarity:.2f}")
        return [f"{line}:\n{_shown_turns(row)}" if row else line]

    def _require_same(self, folder: Path, row: Record) -> None:
        """Raise InputError when the row's text differs from that of the stage before, without a recorded change."""
        if _turns(row) != _turns(self.row):
            problem = f"the text of row {self.id} changed in {folder}, and no stage recorded a change"
            raise InputError(problem, place=str(folder), remedy=_OTHER_RUN)

    def _prepared(self, name: str) -> tuple[str, Record | None]:
        """The split that a row is in, or nothing, and the row as `prepare` left it."""
        for split in SPLITS:
            if row := self._rows.one(self._paths.prepared / f"{split}.parquet", name):
                return str(split), row
        return "", self._rows.one(self._paths.prepared / "dropped.parquet", name)

    def _left(self, stage: str, summary: str, lines: list[str]) -> Step:
        self.outcome, self.ended = f"left in {stage}: {summary.removeprefix('left out: ')}", True
        return Step(stage=stage, summary=summary, lines=tuple(lines))

    def _not_run(self, stage: str) -> Step:
        self.ended = True
        return Step(stage=stage, summary=f"has not run: `dvc repro {stage}`")

    def _require(self, folder: Path, row: Record | None, before: str) -> Record:
        if row is None:
            problem = f"row {self.id} is in {before}, but {folder} has no record of it"
            raise InputError(problem, place=str(folder), remedy=_OTHER_RUN)
        return row


def _shown_turns(row: Record) -> str:
    return shown("\n".join(f"{role}: {content}" for role, content in _turns(row)))


def _turns(row: Record) -> list[tuple[str, str]]:
    if row["messages"]:
        turns = [(message["role"], message["content"]) for message in row["messages"]]
    else:
        turns = [("user", row["text"] or "")]
        turns += [] if row["label"] is None else [("assistant", row["label"])]
    return turns if row.get("rejected") is None else [*turns, ("rejected", row["rejected"])]


def _words(before: Record, after: Record) -> tuple[Words, ...]:
    parts: list[Words] = []
    for (role, old), (_, new) in zip(_turns(before), _turns(after), strict=True):
        if old != new:
            parts += [Words(side="both", text=f"\n{role}: " if parts else f"{role}: "), *shown_edit(old, new)]
    return tuple(parts)
