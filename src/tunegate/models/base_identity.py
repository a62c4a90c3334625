"""Which base a model is tuned from: sha256 of the base's weights, chat template and tokenizer, for the lineage.

An adapter over other weights answers without an error and wrongly, so these are compared before one is loaded.
"""

import hashlib
from pathlib import Path

from tunegate.errors import InputError, RefusedError
from tunegate.files import read_json, sha256_of
from tunegate.models.folders import CONFIG, PROVENANCE, TEACHER, TEMPLATE, TOKENIZER_FILES
from tunegate.repository.lineage import digest, read_lineage


def base_parts(folder: Path) -> dict[str, str]:
    """The lineage parts that a base model's folder holds: sha256 of the model, its template and its tokenizer.

    The model is its weights and config.json, which says how to compute with them, and those of a teacher, which also
    shapes what is trained. Raises InputError when there are no weights.
    """
    model = _model(folder)
    if (folder / TEACHER).is_dir():
        model |= {f"{TEACHER}/{name}": sha256 for name, sha256 in _model(folder / TEACHER).items()}
    template = folder / TEMPLATE
    return {
        "base": digest(model),
        "template": sha256_of(template) if template.is_file() else hashlib.sha256().hexdigest(),
        "tokenizer": digest({name: sha256_of(folder / name) for name in TOKENIZER_FILES}),
    }


def require_base(base_folder: Path, folder: Path) -> None:
    """Raise RefusedError unless the model in `folder` was trained on this base, tokenizer and chat template."""
    parts = read_lineage(folder).parts
    for part, sha256 in base_parts(base_folder).items():
        if getattr(parts, part) != sha256:
            problem = f"the adapter was trained on another {part} than the one in {base_folder}"
            raise RefusedError(problem, place=str(folder), remedy="run `dvc repro`, or `dvc checkout` for both")


def _model(folder: Path) -> dict[str, str]:
    names = read_json(folder / PROVENANCE)["files"]
    weights = {name: sha256_of(folder / name) for name in names if name.endswith(".safetensors")}
    if not weights:
        raise InputError("no safetensors files", place=str(folder), remedy="run `dvc repro base`")
    # Which version of transformers wrote the file changes nothing.
    config = {key: value for key, value in read_json(folder / CONFIG).items() if key != "transformers_version"}
    return weights | {CONFIG: digest(config)}
