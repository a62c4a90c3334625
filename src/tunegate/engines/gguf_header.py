"""The string and number keys in a GGUF file's header, read without loading the file.

Layout (GGUF version 3, little endian): magic, version, tensor count, key count, then key, type and value one after
another; strings are a 64-bit length and their bytes. Arrays are skipped.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from tunegate.errors import InputError

_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9

Value = str | int | float | bool


def read_header(path: Path) -> dict[str, Value]:
    """Every key of the header that is not an array. Raises InputError when the file is not GGUF or is cut short."""
    with path.open("rb") as stream:
        try:
            magic = stream.read(4)
            version, _tensors, keys = struct.unpack("<IQQ", stream.read(20))
            if magic != b"GGUF" or version != 3:
                raise InputError("not a GGUF file of version 3", place=str(path), remedy="run `dvc repro package`")
            pairs = ((_string(stream), _value(stream)) for _ in range(keys))
            return {key: value for key, value in pairs if value is not None}
        except (struct.error, UnicodeDecodeError, KeyError):
            raise InputError(
                "the header is cut short or malformed", place=str(path), remedy="run `dvc repro package`"
            ) from None


def _value(stream: BinaryIO) -> Value | None:
    (kind,) = struct.unpack("<I", stream.read(4))
    if kind == _STRING:
        return _string(stream)
    if kind != _ARRAY:
        return _number(stream, kind)
    inner, length = struct.unpack("<IQ", stream.read(12))
    if inner != _STRING:
        stream.seek(length * struct.calcsize(_NUMBERS[inner]), 1)
        return None
    for _ in range(length):
        stream.seek(_length(stream), 1)
    return None


def _number(stream: BinaryIO, kind: int) -> Value:
    layout = _NUMBERS[kind]
    (value,) = struct.unpack(layout, stream.read(struct.calcsize(layout)))
    number: Value = value
    return number


def _string(stream: BinaryIO) -> str:
    length = _length(stream)
    content = stream.read(length)
    if len(content) != length:
        raise struct.error
    return content.decode("utf-8")


def _length(stream: BinaryIO) -> int:
    (length,) = struct.unpack("<Q", stream.read(8))
    return int(length)
