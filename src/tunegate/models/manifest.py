"""The package's manifest: what the files are, what they were made of, and the proof that none has changed.

`verify` proves a package folder (models/package) before it is used. Needs neither torch nor bentoml.
"""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, JsonValue

from tunegate.errors import RefusedError
from tunegate.files import files_below, read_json, sha256_of, write_json
from tunegate.params import Closed, parse
from tunegate.repository.lineage import Lineage, check

FILE = "manifest.json"
MODEL_FILE = "model.gguf"
Export = Literal["f16", "q8_0", "safetensors"]
LINEAGE_METADATA = "tunegate.lineage_key"
"""The key under which the exported model file itself carries the lineage key."""

_REMEDY = "restore the package with `dvc checkout models/package`, or make it again with `dvc repro package`"


class BaseModelRecord(Closed):
    """The pretrained model that was tuned."""

    name: str
    """Its name in models/catalog.yaml."""
    license: str
    """SPDX identifier."""
    sha256: str
    """The base part of the lineage."""


class AuxiliaryModelRecord(Closed):
    """A model that the training learned from, none of whose weights are in the package."""

    name: str
    """Its name in models/catalog.yaml."""
    license: str
    """SPDX identifier."""


class Manifest(Closed):
    """models/package/manifest.json."""

    format: Literal[1] = 1
    """Version of this file's layout."""
    model: str
    """The name under which the model is served."""
    lineage: Lineage
    """What the model was made of."""
    base: BaseModelRecord
    """What it was tuned from."""
    auxiliary_models: dict[str, AuxiliaryModelRecord] = Field(
        default={}, validation_alias=AliasChoices("auxiliary_models", "companions")
    )
    """The teacher and the translator, by these names, where there were any."""
    metrics: dict[str, JsonValue]
    """The numbers of reports/metrics.json."""
    export: Export
    """Form and precision of the exported weights."""
    merge_check: dict[str, float]
    """How far merged and unmerged model were apart."""
    files: dict[str, str]
    """Every file of the package but this one: relative POSIX path → sha256."""


def write_manifest(  # noqa: PLR0913 (one argument per fact)
    folder: Path,
    *,
    model: str,
    lineage: Lineage,
    base: BaseModelRecord,
    metrics: dict[str, JsonValue],
    export: Export,
    merge_check: dict[str, float],
    auxiliary_models: dict[str, AuxiliaryModelRecord] | None = None,
) -> Manifest:
    """Hash every file in `folder` and write its manifest. Call it last: a file added later makes `verify` refuse."""
    manifest = Manifest(
        model=model,
        lineage=check(lineage, place="lineage"),
        base=base,
        auxiliary_models=auxiliary_models or {},
        metrics=metrics,
        export=export,
        merge_check=merge_check,
        files=_hashes(folder),
    )
    write_json(folder / FILE, manifest.model_dump(mode="json"))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a package, unproven. Raises InputError when it is missing or malformed."""
    path = folder / FILE
    return parse(Manifest, read_json(path), place=str(path), remedy=_REMEDY)


def verify(folder: Path) -> Manifest:
    """The manifest of a package, after proving it.

    Raises RefusedError naming every changed, missing and unlisted file, or a lineage key that is not its parts'.
    """
    manifest = read_manifest(folder)
    check(manifest.lineage, place=str(folder / FILE))
    actual = _hashes(folder)
    listed = manifest.files
    faults = [f"{name} has changed" for name in sorted(listed.keys() & actual.keys()) if listed[name] != actual[name]]
    faults += [f"{name} is missing" for name in sorted(listed.keys() - actual.keys())]
    faults += [f"{name} is not listed" for name in sorted(actual.keys() - listed.keys())]
    if faults:
        raise RefusedError(
            "not the package that was signed off: " + "; ".join(faults), place=str(folder), remedy=_REMEDY
        )
    return manifest


def _hashes(folder: Path) -> dict[str, str]:
    names = {file.relative_to(folder).as_posix(): file for file in files_below(folder)}
    return {name: sha256_of(file) for name, file in names.items() if name != FILE}
