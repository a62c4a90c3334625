"""The only place that reads and writes YAML, JSON and JSON Lines; `tables` has Parquet.

Every write goes to a temporary name beside its target and is renamed when it is complete, so that a killed process, a
full disk or a power cut never leaves half a file. A folder is replaced by two renames: killed between them, it is found
under its old name with `.old` at the end. YAML is read as 1.2, and values on which 1.1
and 1.2 disagree are refused.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import re
import secrets
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MantissaNoDotYAML1_1Warning, MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from tunegate.errors import InputError

STATE = Path(".tunegate")
"""tunegate's own untracked folder in a working copy: checkpoints, records not yet uploaded."""

_PLAIN = "write text in quotes and numbers as plain decimals (0.0001, not 1e-4)"
HARMLESS = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z][A-Za-z0-9 _./-]*", re.IGNORECASE)
"""Text that is text in every YAML, without quotes."""


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        temporary.touch(mode=0o600, exist_ok=False)
        yield temporary
        _flush(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it replaces `path` as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    old = temporary.with_suffix(".old")
    try:
        temporary.mkdir(mode=0o700)
        yield temporary
        for file in files_below(temporary):
            _flush(file)
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(old, ignore_errors=True)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises InputError with the offset of the first byte that is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise InputError("no such file", place=str(path), remedy="check the path, or run `dvc pull`") from None
    except UnicodeDecodeError as error:
        problem = f"not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}"
        raise InputError(
            problem, place=str(path), remedy="convert the file to UTF-8, for instance with iconv"
        ) from None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_yaml(path: Path) -> Any:
    """The content of a YAML 1.2 file. Raises InputError for bad syntax, duplicate keys and ambiguous values."""
    return parse_yaml(read_text(path), place=str(path))


def parse_yaml(text: str, *, place: str, generated: bool = False) -> Any:
    """The value of a YAML 1.2 text; `place` names it in errors, which are those of `read_yaml`.

    In a text that a program `generated` (dvc.lock), values that YAML 1.1 would read differently are accepted.
    """
    try:
        new = _yaml("1.2").load(text)
        old = new if generated else _as_yaml_1_1(text)
    except MantissaNoDotYAML1_1Warning as warning:
        mark, value = warning.node.start_mark, warning.node.value
        problem = f"ambiguous value: the number {value} in YAML 1.2, the text {value!r} in YAML 1.1"
        raise InputError(problem, place=f"{place}:{mark.line + 1}", remedy=_PLAIN) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        remedy = "fix the YAML at this line"
        raise InputError(str(error.problem).strip(), place=f"{place}{line}", remedy=remedy) from None
    except (YAMLError, ValueError) as error:
        raise InputError(str(error).splitlines()[0], place=place, remedy="fix the YAML") from None
    for key, one, other in _differences(new, old, ""):
        problem = f"ambiguous value: {one!r} in YAML 1.2, {other!r} in YAML 1.1"
        raise InputError(problem, place=f"{place}: {key}", remedy=_PLAIN)
    return new


def write_yaml(path: Path, value: Any) -> None:
    """Write a YAML 1.2 file atomically, keys in their given order; ambiguous text is quoted."""
    write_text(path, to_yaml(value))


def to_yaml(value: Any) -> str:
    """The YAML 1.2 text of a value, as `write_yaml` writes it."""
    buffer = io.StringIO()
    writer = YAML()
    writer.width = 120
    writer.dump(_quoted(value), buffer)
    return buffer.getvalue()


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises InputError with line and column when it is cut or malformed."""
    return parse_json(read_text(path), place=str(path))


def parse_json(text: str, *, place: str) -> Any:
    """The value of a JSON text; `place` names it in errors, which are those of `read_json`."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{place}:{error.lineno}:{error.colno}"
        raise InputError(f"not valid JSON: {error.msg}", place=place, remedy="fix or restore the file") from None


def to_json(value: Any) -> str:
    """Canonical, readable JSON: sorted keys, two spaces, a newline at the end. NaN and infinities are refused."""
    try:
        return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError:
        place = next(iter(_not_finite(value, "")), "")
        raise InputError("NaN or infinite number", place=place, remedy="find where the number came from") from None


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON atomically."""
    write_text(path, to_json(value))


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for every non-empty line. Raises InputError at the first bad line."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            place = f"{path}:{number}:{error.colno}"
            raise InputError(f"not valid JSON: {error.msg}", place=place, remedy="fix or drop this line") from None
        if not isinstance(row, dict):
            problem = f"a line must be a JSON object (got {type(row).__name__})"
            raise InputError(problem, place=f"{path}:{number}", remedy="write one object per line")
        yield number, row


def value_at(value: Any, *keys: str) -> Any:
    """The value below `keys` in nested objects, as of JSON; None where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def number_at(value: Any, place: str, *keys: str, remedy: str = "run `dvc repro`") -> float:
    """The finite number below `keys` in nested objects. Raises InputError, at `place`, where there is none."""
    number = value_at(value, *keys)
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise InputError(f"{'.'.join(keys)} is not finite (got {number!r})", place=place, remedy=remedy)
    return float(number)


def text_at(value: Any, place: str, *keys: str, remedy: str = "run `dvc repro`") -> str:
    """The text below `keys` in nested objects. Raises InputError, at `place`, where there is none."""
    text = value_at(value, *keys)
    if not isinstance(text, str):
        raise InputError(f"{'.'.join(keys)} is not text (got {text!r})", place=place, remedy=remedy)
    return text


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Every file under `folder`, sorted by its relative POSIX path."""
    return sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.relative_to(folder).as_posix())


def sha256_of_tree(folder: Path) -> str:
    """One sha256 over the relative paths and contents of all files under `folder`."""
    lines = (f"{sha256_of(file)}  {file.relative_to(folder).as_posix()}\n" for file in files_below(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _yaml(version: str) -> YAML:
    loader = YAML(typ="safe", pure=True)
    loader.version = version
    return loader


def _as_yaml_1_1(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error", MantissaNoDotYAML1_1Warning)
        return _yaml("1.1").load(text)


def _quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {_quoted(key): _quoted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_quoted(item) for item in value]
    if isinstance(value, str) and not HARMLESS.fullmatch(value):
        return DoubleQuotedScalarString(value)
    return value


def _differences(new: Any, old: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(new, dict) and isinstance(old, dict) and list(map(str, new)) == list(map(str, old)):
        for (name, one), other in zip(new.items(), old.values(), strict=True):
            yield from _differences(one, other, f"{key}.{name}".lstrip("."))
    elif isinstance(new, list) and isinstance(old, list):
        for index, (one, other) in enumerate(zip(new, old, strict=True)):
            yield from _differences(one, other, f"{key}[{index}]")
    elif repr(new) != repr(old):
        yield key, new, old


def _not_finite(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield key
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _not_finite(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{key}[{index}]")


def _beside(path: Path) -> Path:
    # The name is known before the file is made, so that a signal in between finds it in a `finally` that removes it.
    return path.parent / f".{path.name}.{secrets.token_hex(8)}.part"


def _flush(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
