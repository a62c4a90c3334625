"""`tunegate noise`: train the same recipe under several seeds, and record how much the seed alone moves the metrics."""

from pathlib import Path
from typing import Annotated

import typer

from tunegate.cli.runs import table
from tunegate.experiments.noise import FILE, Noise
from tunegate.files import to_json


def noise(
    seeds: Annotated[int, typer.Option(min=2, help="How many seeds, from train.seed on.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Measure the noise floor: trains once per seed, in a scratch clone. Example: tunegate noise --seeds 3"""
    from tqdm import tqdm

    from tunegate.experiments.noise import measure_noise
    from tunegate.repository.revisions import open_repository

    repository = open_repository(Path())
    *_, record = tqdm(measure_noise(repository, seeds), total=seeds, desc="noise", unit="seed")
    print(to_json(record.model_dump()) if as_json else as_text(record), end="" if as_json else "\n")


def as_text(record: Noise) -> str:
    """The record as a table: a line per seed, then the standard deviation of every metric."""
    deviations = record.deviations()
    rows = [("seed", *deviations)]
    rows += [(seed, *(f"{metrics[name]:.4f}" for name in deviations)) for seed, metrics in record.seeds.items()]
    rows.append(("deviation", *(f"{value:.4f}" for value in deviations.values())))
    return f"{table(rows)}\n\nrecorded in {FILE}: commit it, and the gate will name this noise"
