"""From a catalogue entry to models/base: fetched, verified, stored as safetensors with tokenizer and provenance.

Every file's sha256 is compared before anything is loaded; only GGUF and safetensors are accepted, no pickle, no remote
code. The hub and MLflow are reached only for entries that name them.
"""

import contextlib
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tunegate.errors import InputError, MachineError, RefusedError
from tunegate.files import read_text, sha256_of, write_json, write_text
from tunegate.models.catalogue import Entry, FolderSource, HubSource, MlflowSource, PackageSource
from tunegate.models.folders import PROVENANCE, TEMPLATE
from tunegate.models.vocabulary import require_embeddings, require_end_token

_SAFETENSORS = ".safetensors"
_GGUF = ".gguf"

Download = Callable[[str, Path], Path]
"""(URI, empty folder) → the folder that then holds the files."""


def acquire(name: str, entry: Entry, dtype: str, templates: Path, target: Path, *, download_mlflow: Download) -> None:
    """Write the base model `name` into the folder `target`; `templates` holds the project's own chat templates.

    Raises RefusedError when a file is not what the catalogue says, InputError when the entry cannot be used and
    MachineError when a package, a folder or the network is missing.
    """
    with _located(entry, download_mlflow) as folder:
        _verify(name, entry, folder)
        _materialise(name, entry, folder, dtype, templates, target)
    files = {file.name: sha256_of(file) for file in sorted(target.iterdir())}
    source = entry.source.model_dump()
    record = {"model": name, "license": entry.license, "homepage": entry.homepage, "source": source, "dtype": dtype}
    write_json(target / PROVENANCE, record | {"files": files})


@contextlib.contextmanager
def _located(entry: Entry, download_mlflow: Download) -> Iterator[Path]:
    match entry.source:
        case PackageSource(package=package):
            yield _package_folder(package)
        case FolderSource(path=path):
            yield Path(path)
        case HubSource() as source:
            with tempfile.TemporaryDirectory() as scratch:
                yield _from_hub(source, Path(scratch))
        case MlflowSource(uri=uri):
            with tempfile.TemporaryDirectory() as scratch:
                yield download_mlflow(uri, Path(scratch))


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        problem = f"the Python package {package!r} is not installed"
        raise MachineError(problem, place="models/catalog.yaml", remedy="install it; `make setup` installs the lock")
    return Path(spec.origin).parent


def _from_hub(source: HubSource, scratch: Path) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        folder = snapshot_download(
            source.repository, revision=source.revision, allow_patterns=list(source.files), local_dir=scratch
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        problem = f"cannot fetch {source.repository} at {source.revision[:12]}: {str(error).splitlines()[0]}"
        remedy = "check the network, HF_TOKEN and HF_HUB_OFFLINE, or use a source of kind folder"
        raise MachineError(problem, place="models/catalog.yaml", remedy=remedy) from None
    return Path(folder)


def _verify(name: str, entry: Entry, folder: Path) -> None:
    for relative, expected in entry.source.files.items():
        place = f"models/catalog.yaml: models.{name}.source.files[{relative}]"
        path = folder / relative
        if not path.is_file():
            raise InputError(f"no such file in {entry.source.kind}", place=place, remedy="correct the path")
        actual = sha256_of(path)
        if actual != expected:
            problem = f"sha256 is {actual}, the catalogue says {expected}"
            remedy = "the file changed or was tampered with: do not use it until you know why"
            raise RefusedError(problem, place=place, remedy=remedy)


def _materialise(name: str, entry: Entry, folder: Path, dtype: str, templates: Path, target: Path) -> None:
    import torch
    from transformers import AutoTokenizer, GgufConfig

    with tempfile.TemporaryDirectory() as scratch:
        # Only the verified files are visible to the loader, so that it can pick up no other.
        verified = Path(scratch)
        for relative in entry.source.files:
            (verified / relative).parent.mkdir(parents=True, exist_ok=True)
            (verified / relative).symlink_to((folder / relative).resolve())
        verified /= os.path.commonpath([str(Path(relative).parent) for relative in entry.source.files])
        packed = _packed_file(entry)
        source = {"gguf_file": packed} if packed else {}
        unpack = {"quantization_config": GgufConfig(dequantize=True)} if packed else {}
        try:
            tokenizer = AutoTokenizer.from_pretrained(verified, **source)
            kind = _kind_of(entry, verified)
            model = kind.from_pretrained(verified, dtype=getattr(torch, dtype), **source, **unpack)
        except (ValueError, OSError) as error:
            problem = f"transformers cannot load the listed files as a model: {str(error).splitlines()[0]}"
            remedy = "list weights, config.json, tokenizer.json and tokenizer_config.json under source.files"
            raise InputError(problem, place="models/catalog.yaml", remedy=remedy) from error
        if packed:
            restore_digits(tokenizer, verified / packed)
    if entry.eos_token is not None:
        tokenizer.eos_token = entry.eos_token
    if entry.template is not None:
        tokenizer.chat_template = read_text(templates / entry.template)
    if entry.architecture == "decoder":
        require_end_token(tokenizer.eos_token, name)
    require_embeddings(tokenizer, model, name)
    for key in ("_name_or_path", "_model_name_or_path"):
        if hasattr(model.config, key):
            delattr(model.config, key)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    if tokenizer.chat_template:
        write_text(target / TEMPLATE, tokenizer.chat_template)


def _kind_of(entry: Entry, verified: Path) -> Any:
    """The class that loads the model: of an encoder the one that its files were saved by, so that no weight is lost."""
    import transformers

    if entry.architecture == "decoder":
        return transformers.AutoModelForCausalLM
    saved_by = (transformers.AutoConfig.from_pretrained(verified).architectures or ["AutoModel"])[0]
    kind = getattr(transformers, saved_by, None)
    is_model = isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)
    return kind if is_model else transformers.AutoModel


def restore_digits(tokenizer: Any, packed: Path) -> None:
    """Split numbers into digits where the GGUF file says so.

    transformers 5.23 leaves this step out when it makes a tokenizer from a GGUF file of the SmolLM family, so that
    numbers would become other tokens than those the model was trained on.
    """
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers

    field = GGUFReader(packed).get_field("tokenizer.ggml.pre")
    backend = tokenizer.backend_tokenizer
    if field is not None and field.contents() == "smollm" and "Digits" not in str(backend.pre_tokenizer):
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])


def _packed_file(entry: Entry) -> str | None:
    names = list(entry.source.files)
    packed = [name for name in names if name.endswith(_GGUF)]
    if packed:
        return Path(packed[0]).name
    if not any(name.endswith(_SAFETENSORS) for name in names):
        problem = f"no {_SAFETENSORS} or {_GGUF} file among {', '.join(names)}"
        raise InputError(problem, place="models/catalog.yaml", remedy="other weight formats can run code when loaded")
    return None
