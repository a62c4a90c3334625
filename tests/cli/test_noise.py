import json
from pathlib import Path

import pytest
from miniature import Miniature
from typer.testing import CliRunner

from tunegate.cli import app
from tunegate.cli.noise import as_text
from tunegate.experiments.noise import FILE, Noise, NoiseFile, recipe_of
from tunegate.files import write_json
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot

SEEDS = {"7": {"accuracy": 0.5, "nll": 1.0}, "8": {"accuracy": 0.6, "nll": 1.0}, "9": {"accuracy": 0.7, "nll": 1.0}}


def test_a_record_is_a_line_per_seed_and_one_of_the_deviations() -> None:
    table = as_text(Noise(recipe="r", test_set="t", seeds=SEEDS)).split("\n\n")[0]
    assert [line.split() for line in table.splitlines()] == [
        ["seed", "accuracy", "nll"],
        ["7", "0.5000", "1.0000"],
        ["8", "0.6000", "1.0000"],
        ["9", "0.7000", "1.0000"],
        ["deviation", "0.1000", "0.0000"],
    ]


def test_seeds_that_are_recorded_are_not_trained_again(miniature: Miniature, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(miniature.root)
    with open_outputs(miniature.root) as outputs:
        recipe = recipe_of(Snapshot(open_repository(miniature.root), None, outputs))
    record = Noise(recipe=recipe, test_set="t", seeds=SEEDS)
    write_json(Path(FILE), NoiseFile(recipes=[record]).model_dump())
    shown = CliRunner().invoke(app, ["noise", "--seeds", "3", "--json"])
    assert (shown.exit_code, json.loads(shown.stdout)) == (0, record.model_dump())


def test_one_seed_says_nothing_about_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["noise", "--seeds", "1"])
    assert (shown.exit_code, "--seeds" in shown.output) == (2, True)
