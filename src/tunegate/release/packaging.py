"""The package: merged and exported weights, tokenizer, template, adapter, card, and a manifest over them all.

Fills an empty folder from what the pipeline made; refuses metrics or an adapter of another lineage.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunegate.errors import RefusedError
from tunegate.files import read_json, write_text
from tunegate.models.export import export_gguf, export_safetensors, require_exportable
from tunegate.models.folders import PROVENANCE, TEACHER, TEMPLATE, TOKENIZER_FILES, TRANSLATOR, WEIGHTS
from tunegate.models.manifest import (
    LINEAGE_METADATA,
    MODEL_FILE,
    AuxiliaryModelRecord,
    BaseModelRecord,
    Manifest,
    write_manifest,
)
from tunegate.models.merging import merge
from tunegate.models.tokens.examples import Example
from tunegate.models.tuned import load_tuned
from tunegate.params import Params
from tunegate.release.card import card
from tunegate.repository.lineage import Lineage, read_lineage

CHECKED_EXAMPLES = 16
"""How many validation examples the merge is checked on."""


def package(
    params: Params, base: Path, adapter: Path, examples: Sequence[Example], metrics: dict[str, Any], target: Path
) -> Manifest:
    """Fill the empty folder `target`. Raises RefusedError when the merge or the lineage does not hold."""
    lineage = _lineage(adapter, metrics)
    provenance = read_json(base / PROVENANCE)
    tuned = load_tuned(base, adapter, device="cpu", precision="fp32")
    if params.package.export != "safetensors":
        require_exportable(tuned.plain, params.package.export)
    merged, proof = merge(tuned, examples[:CHECKED_EXAMPLES], params.package.tolerance)
    names = {LINEAGE_METADATA: lineage.key, "general.name": params.score.name, "general.license": provenance["license"]}
    if params.package.export == "safetensors":
        export_safetensors(merged, target, names)
    else:
        export_gguf(merged, base, target / MODEL_FILE, params.package.export, names)
    # An encoder has no template.
    for name in (*TOKENIZER_FILES, *([TEMPLATE] if (base / TEMPLATE).is_file() else [])):
        shutil.copyfile(base / name, target / name)
    # What is the whole model stands in the package once.
    left_out = [WEIGHTS] if tuned.record.adapter == "full" else []
    shutil.copytree(adapter, target / "adapter", ignore=shutil.ignore_patterns(*left_out))
    auxiliary_models = _auxiliary_models(base)
    write_text(target / "README.md", card(params, lineage, provenance, auxiliary_models, metrics))
    record = BaseModelRecord(name=provenance["model"], license=provenance["license"], sha256=lineage.parts.base)
    return write_manifest(
        target,
        model=params.score.name,
        lineage=lineage,
        base=record,
        auxiliary_models=auxiliary_models,
        metrics=metrics,
        export=params.package.export,
        merge_check=proof,
    )


def _auxiliary_models(base: Path) -> dict[str, AuxiliaryModelRecord]:
    paths = {name: base / name / PROVENANCE for name in (TEACHER, TRANSLATOR)}
    records = {name: read_json(path) for name, path in paths.items() if path.is_file()}
    return {name: AuxiliaryModelRecord(name=r["model"], license=r["license"]) for name, r in records.items()}


def _lineage(adapter: Path, metrics: dict[str, Any]) -> Lineage:
    lineage = read_lineage(adapter)
    if metrics["lineage"] != lineage.key:
        problem = f"the metrics are of lineage {metrics['lineage'][:12]}, the adapter is {lineage.key[:12]}"
        raise RefusedError(problem, place=str(adapter), remedy="run `dvc repro`: one of the two is out of date")
    return lineage
