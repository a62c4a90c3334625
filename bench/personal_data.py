"""How much personal data is found, how often something else is taken for it, and how fast? Rules, rules and model.

The sentences are tests/data/preparation/personal_data/sentences.jsonl, English and Swedish, written for this project;
what is to be found is marked in them. A find counts when it overlaps a mark of its kind. The model (extra
`personal-data`) is asked about English sentences alone. Speed: the same sentences among others without personal
data, as an ordinary text has.

Example: python bench/personal_data.py --model
"""

import argparse
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute  # now, or the first measurement would wait for it

from tunegate.data.preparation.personal_data.masking import Masker
from tunegate.data.rows import Row
from tunegate.params import PersonalData

SENTENCES = Path(__file__).parents[1] / "tests/data/preparation/personal_data/sentences.jsonl"
RULED = ("email", "phone", "iban", "credit_card", "ip_address", "national_id")
NAMED = ("person", "location", "organization")
Mark = tuple[int, int, str]


def unmarked(text: str) -> tuple[str, list[Mark]]:
    """A sentence without its marks, and where they were."""
    marks: list[Mark] = []
    plain = ""
    for part in re.split(r"(<(\w+)>.*?</\2>)", text):
        found = re.fullmatch(r"<(\w+)>(.*?)</\1>", part)
        if found:
            marks.append((len(plain), len(plain) + len(found[2]), found[1]))
            plain += found[2]
        elif part not in (*RULED, *NAMED):
            plain += part
    return plain, marks


def sentences() -> list[tuple[str, str, list[Mark]]]:
    """Language, text and marks of every sentence."""
    rows = [json.loads(line) for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    return [(row["language"], *unmarked(row["text"])) for row in rows]


def counts(personal: Masker, *, model: bool) -> dict[str, Counter[str]]:
    """Kind to found, wrong and missed, over all sentences."""
    result: dict[str, Counter[str]] = {kind: Counter() for kind in personal.settings.kinds}
    for language, text, marks in sentences():
        spans = personal.find(text, names=model and language == "en")
        wanted = [mark for mark in marks if mark[2] in result]
        for kind, count in result.items():
            ours = [span for span in spans if span.kind == kind]
            theirs = [mark for mark in wanted if mark[2] == kind]
            hit = [mark for mark in theirs if any(s.start < mark[1] and mark[0] < s.end for s in ours)]
            wrong = [s for s in ours if not any(s.start < mark[1] and mark[0] < s.end for mark in theirs)]
            count.update(found=len(hit), missed=len(theirs) - len(hit), wrong=len(wrong))
    return result


def scores(count: Counter[str]) -> dict[str, float]:
    found, wrong, missed = count["found"], count["wrong"], count["missed"]
    precision = found / (found + wrong) if found + wrong else 1.0
    recall = found / (found + missed) if found + missed else 1.0
    f2 = 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0
    return {"precision": round(precision, 3), "recall": round(recall, 3), "f2": round(f2, 3)} | dict(count)


def rows_a_second(personal: Masker, rows: int, share: float) -> float:
    """Rows a second through the screen and `treat`, when a share of the rows are the sentences above."""
    texts = [text for _, text, _ in sentences()]
    plain = "The roof of the house by the harbour leaks where the new chimney meets the old tiles, and nobody came. "
    every = max(1, round(1 / share))
    column = [texts[i // every % len(texts)] if i % every == 0 else plain * 2 for i in range(rows)]
    start = time.perf_counter()
    concerned = personal.concerns(pa.array(column)).to_pylist()
    for place, text in enumerate(column):
        if concerned[place]:
            personal.treat(Row(id=str(place), group="g", source="s", text=text, label="x"))
    return rows / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="store_true", help="also ask Presidio's model")
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    settings: list[tuple[str, PersonalData, int]] = [("rules", PersonalData(kinds=RULED), given.rows)]
    if given.model:
        both = PersonalData(kinds=(*RULED, *NAMED), model=True)
        settings.append(("rules and model", both, min(given.rows, 1_000)))
    result: dict[str, Any] = {"sentences": len(sentences())}
    for name, setting, rows in settings:
        personal = Masker(setting)
        found = counts(personal, model=setting.model)
        total: Counter[str] = sum(found.values(), Counter())
        result[name] = {"all": scores(total)} | {kind: scores(count) for kind, count in found.items()}
        rows_a_second(personal, 100, 0.1)  # patterns and tables are made at the first use
        for share in (0.02, 0.1):
            speed = round(rows_a_second(personal, rows, share))
            result[name][f"rows a second, {share:.0%} of rows with numbers or names"] = speed
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
