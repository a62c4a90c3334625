"""One row's whole story: where it came from, what each stage did to it, which row it met, what became of it.

Reads the outputs of the stages, the one row of each that it needs. What it tells may be shown to readers: personal data
and secrets are masked in every text, and a text from which a stage has masked them is told as it was afterwards only.
Does not know tokens or models beyond what the files say.
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
_HIDING = ("masked", "tagged")
_MASKED = ("secret", "personal_data")
"""Reasons for which a row left masked, whatever else was found in it."""
_MEETING = ("duplicate", "near_duplicate", "question_")
"""Reasons for which another row was in the way; for the others, a value was."""
_OTHER_RUN = "run `dvc repro`: the outputs are from different runs"


class Places(NamedTuple):
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
    said: str
    """In one line."""
    lines: tuple[str, ...] = ()
    """And in more."""
    words: tuple[Words, ...] = ()
    """How its text changed, word by word."""


class Story(Closed):
    """Everything about one row."""

    id: str
    source: str
    place: str
    """File and line."""
    license: str | None
    text: str
    """What it says in the end, personal data masked."""
    outcome: str
    """Where it is now, or why it is not."""
    split: str | None = None
    reason: str | None = None
    """Why it left; the first of several."""
    other: str | None = None
    """The row or the value that was in its way."""
    similarity: float | None = None
    tokens: int | None = None
    trained: int | None = None
    """Tokens of it that are trained on."""
    cut: int | None = None
    """Tokens that were cut off."""
    steps: list[Step]


def story_of(name: str, places: Places) -> Story:
    """The story of the row with the id `name`, as far as the stages have run.

    Raises InputError for an id that no ingested row has, with those nearest to it, and for outputs of different runs.
    """
    with Lookup() as rows:
        raw = rows.one(places.ingested / "rows.parquet", name)
        if raw is None:
            near = ", ".join(rows.nearest(places.ingested / "rows.parquet", name)) or "there are no rows"
            raise InputError(f"no row {name!r}", place=str(places.ingested), remedy=f"the nearest ids are: {near}")
        folders = itertools.takewhile(Path.exists, places[:-2])
        combine(list(folders))
        details = read_ledger(places.ingested).details.get("sources", {}).get(raw["source"], {})
        told = _Told(places, rows, raw)
        steps = [Step(stage="ingest", said=f"read from {raw['place']}")]
        for step in (told.validate, told.prepare, told.tokenize, told.train, told.evaluate):
            found = step()
            steps += [found] if found else []
            if told.ended:
                break
        where = {"id": raw["id"], "source": raw["source"], "place": raw["place"], "license": details.get("license")}
        return Story(**where, text=_said(told.row), outcome=told.outcome, steps=steps, **told.facts)


class _Told:
    """The story so far: the row as the last stage left it, and whether it ends there."""

    def __init__(self, places: Places, rows: Lookup, row: Record) -> None:
        self._places, self._rows = places, rows
        self.row, self.id = row, row["id"]
        self.outcome, self.ended = "ingested", False
        self.facts: Record = {}

    def validate(self) -> Step:
        """Whether it met the expectations."""
        folder = self._places.validated
        if not folder.exists():
            return self._not_run("validate")
        if held := self._rows.one(folder / "quarantine.parquet", self.id):
            self._same(folder, held)
            self.facts |= {"reason": f"quarantine: {held['reasons'][0]}"}
            return self._left("validate", "in quarantine", list(held["reasons"]))
        found = self._require(folder, self._rows.one(folder / "rows.parquet", self.id), "data/ingested")
        self._same(folder, found)
        return Step(stage="validate", said="met every expectation")

    def prepare(self) -> Step:
        """What was changed in it, which row it met, and its split."""
        folder = self._places.prepared
        if not folder.exists():
            return self._not_run("prepare")
        changed = self._rows.one(folder / "changes.parquet", self.id) or {"changes": []}
        changes, before = list(changed["changes"]), self.row
        split, now = self._prepared(self.id)
        now = self._require(folder, now, "data/validated")
        if not changes or len(_turns(now)) != len(_turns(before)):
            self._same(folder, now)
        self.row = now
        left = None if split else self.row
        # Names that only a model finds are masked by no rule: where a stage has masked, what was there is not told.
        hidden = (left and left["reason"] in _MASKED) or any(change.startswith(_HIDING) for change in changes)
        words = () if hidden else _words(before, self.row)
        if left:
            self.facts |= {name: left[name] for name in ("reason", "other", "similarity")}
            met = [line for line in self._met(left) if line not in changes]
            step = self._left("prepare", f"left out: {left['reason']}", [*changes, *met])
            return step.model_copy(update={"words": words})
        self.outcome, self.facts = f"kept: {split}", {"split": split}
        return Step(stage="prepare", said=f"kept in {split}", lines=tuple(changes), words=words)

    def tokenize(self) -> Step:
        """Its tokens."""
        folder = self._places.tokens
        if not folder.exists():
            return self._not_run("tokenize")
        outcome = self._require(folder, self._rows.one(folder / "row_outcomes.parquet", self.id), "data/prepared")
        self.facts |= {name: outcome[name] for name in ("split", "reason", "tokens", "trained", "cut")}
        counts = f"{outcome['tokens']} tokens"
        if outcome["reason"]:
            return self._left("tokenize", f"left out: {outcome['reason']}", [counts])
        if outcome["split"] != self.outcome.removeprefix("kept: "):
            self._require(folder, None, "data/prepared")
        more = ", ".join(
            f"{outcome[key]} {said}" for key, said in (("trained", "trained on"), ("cut", "cut off")) if outcome[key]
        )
        return Step(stage="tokenize", said=f"{counts}, {more}" if more else counts)

    def train(self) -> Step | None:
        """Whether it was trained on with an answer of the model's own, if nobody had answered it."""
        path = self._places.adapter / PSEUDO_LABELS_FILE
        if self.outcome != "kept: train" or _turns(self.row)[-1][0] == "assistant" or not path.exists():
            return None
        found = self._rows.one(path, self.id)
        if found is None:
            return Step(stage="train", said="not trained on: the model was not sure enough of its own answer")
        said = f"trained on with the model's own answer, confidence {found['confidence']:.2f}"
        return Step(stage="train", said=said, lines=(shown(found["answer"]),))

    def evaluate(self) -> Step | None:
        """Whether it was answered right, if it is a test row and was asked."""
        path = self._places.predictions
        asked = self._rows.one(path, self.id) if path.exists() and self.outcome == "kept: test" else None
        if asked is None:
            return None
        judged = {name: "right" if asked[f"{name}_correct"] else "wrong" for name in ("base", "tuned")}
        lines = [f"{name} model, {word}: {shown(asked[f'{name}_answer'])}" for name, word in judged.items()]
        said = f"the tuned model answers it {judged['tuned']}"
        return Step(stage="evaluate", said=said, lines=(*lines, f"reference: {shown(asked['reference'])}"))

    def _met(self, left: Record) -> list[str]:
        """The row or the value that was in its way."""
        other, alike = left["other"], left["similarity"]
        if other is None:
            return []
        if not left["reason"].startswith(_MEETING):
            return [other]
        # As it was compared, and not as it came in: names that only a model finds were masked in between.
        _, row = self._prepared(other)
        met = f"met {other}" + ("" if alike is None else f", similarity {alike:.2f}")
        return [f"{met}:\n{_said(row)}" if row else met]

    def _same(self, folder: Path, row: Record) -> None:
        """Raise InputError when the row says something else than in the stage before, which no stage has told of."""
        if _turns(row) != _turns(self.row):
            problem = f"row {self.id} says something else in {folder} than before, and no stage tells of a change"
            raise InputError(problem, place=str(folder), remedy=_OTHER_RUN)

    def _prepared(self, name: str) -> tuple[str, Record | None]:
        """The split that a row is in, or nothing, and the row as `prepare` left it."""
        for split in SPLITS:
            if row := self._rows.one(self._places.prepared / f"{split}.parquet", name):
                return str(split), row
        return "", self._rows.one(self._places.prepared / "dropped.parquet", name)

    def _left(self, stage: str, said: str, lines: list[str]) -> Step:
        self.outcome, self.ended = f"left in {stage}: {said.removeprefix('left out: ')}", True
        return Step(stage=stage, said=said, lines=tuple(lines))

    def _not_run(self, stage: str) -> Step:
        self.ended = True
        return Step(stage=stage, said=f"has not run: `dvc repro {stage}`")

    def _require(self, folder: Path, row: Record | None, before: str) -> Record:
        if row is None:
            problem = f"row {self.id} is in {before}, but its outcome in {folder} is not told"
            raise InputError(problem, place=str(folder), remedy=_OTHER_RUN)
        return row


def _said(row: Record) -> str:
    return shown("\n".join(f"{role}: {content}" for role, content in _turns(row)))


def _turns(row: Record) -> list[tuple[str, str]]:
    if row["messages"]:
        said = [(message["role"], message["content"]) for message in row["messages"]]
    else:
        said = [("user", row["text"] or "")]
        said += [] if row["label"] is None else [("assistant", row["label"])]
    return said if row.get("rejected") is None else [*said, ("rejected", row["rejected"])]


def _words(before: Record, after: Record) -> tuple[Words, ...]:
    found: list[Words] = []
    for (role, old), (_, new) in zip(_turns(before), _turns(after), strict=True):
        if old != new:
            found += [Words(side="both", text=f"\n{role}: " if found else f"{role}: "), *shown_edit(old, new)]
    return tuple(found)
