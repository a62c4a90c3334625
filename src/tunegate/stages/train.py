"""train: fine-tune by the technique of params.yaml, resume exactly after a kill, refuse to resume anything else.

With several processes, the one that is run starts them, without importing torch, or is one of them.
"""

from pathlib import Path
from typing import Any

from tunegate.files import atomic_folder, write_json, write_text
from tunegate.models.devices import use_portable_instructions
from tunegate.params import Params, load_params
from tunegate.repository.lineage import FILE
from tunegate.tables import read_parquet
from tunegate.training.parallel.launcher import launch, needed


def main(params: str, tokens: str, base: str, rewards: str, key: str, adapter: str, trajectory: str, cost: str) -> None:
    """Write the adapter's folder, the trajectory and what they cost."""
    settings = load_params(Path(params))
    if settings.train.instructions == "portable":
        use_portable_instructions()
    if needed(settings.compute):
        paths = (params, tokens, base, rewards, key, adapter, trajectory, cost)
        launch("train", paths, settings.compute, settings.train.device)
        return
    from tunegate.training.parallel.rendezvous import joined

    with joined(settings.compute, settings.train.device) as team:
        _train(settings, team, tokens, base, rewards, key, adapter, trajectory, cost)


def _train(settings: Params, team: Any, tokens: str, base: str, rewards: str, key: str, *outs: str) -> None:
    from tunegate.models.folders import TUNED
    from tunegate.models.resources import hardware, measured
    from tunegate.models.tokens.examples import examples_from
    from tunegate.training import checkpoint, identity, loop
    from tunegate.training.adapter import record_of, save_adapter
    from tunegate.training.setup import begin
    from tunegate.training.trajectory import cost_of, summary, to_csv

    made_of = identity.lineage(settings, Path(tokens), Path(base), Path(rewards), Path(key))
    fingerprint = identity.fingerprint(made_of, settings, Path(rewards))
    rows = {split: examples_from(read_parquet(Path(tokens) / f"{split}.parquet")) for split in ("train", "valid")}
    labels, model, technique = begin(settings.train, Path(base), rows["train"], rows["valid"])
    with measured(settings.train.device) as meter:
        progress = loop.run(model, rows["train"], rows["valid"], settings.train, technique, fingerprint, team=team)
    if not team.is_first:
        return
    adapter, trajectory, cost = outs
    with atomic_folder(Path(adapter)) as folder:
        save_adapter(model, folder, base)
        write_json(folder / TUNED, record_of(settings.train, labels).model_dump(mode="json"))
        write_json(folder / FILE, made_of.model_dump())
        if technique.keep is not None:
            technique.keep(folder, rows["train"], progress.state)
        write_json(folder / "training.json", summary(progress.records, len(rows["train"]), settings.train.select))
    write_text(Path(trajectory), to_csv(progress.records, technique.notes))
    write_json(Path(cost), cost_of(progress, meter, hardware(settings.train.device)).model_dump())
    checkpoint.discard()
    print(f"train: {progress.step} steps, lineage {made_of.key[:12]}")
