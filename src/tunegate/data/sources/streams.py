"""Text files as a stream of lines, compressed or not, in constant memory.

Refuses what cannot be a file of rows, with file and line: bytes that are not UTF-8, NUL bytes, a line that never ends,
a compressed file that is cut or that expands without measure.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from typing import Any

from tunegate.data.sources.declaration import suffixes_of
from tunegate.data.sources.locations import Located
from tunegate.errors import InputError

MAX_RECORD = 4 * 2**20
"""Characters of a line or a record: what a context of a million tokens holds, at four characters a token."""
MAX_RATIO = 200
"""How many times its size a compressed file may expand to. Text reaches 3 to 30; deflate ends at 1032."""
HARMLESS = 16 * 2**20
"""Bytes that any compressed file may expand to, whatever the ratio: a small file of equal rows is not a bomb."""
_CHUNK = 2**18


class TextStream:
    """The text of a file that is being read; `consumed` counts the bytes that were read so far, expanded."""

    def __init__(self, file: Located, expanding: "_Expanding") -> None:
        self.file = file
        self._expanding = expanding
        self._text = io.TextIOWrapper(io.BufferedReader(expanding, _CHUNK), encoding="utf-8-sig", newline="")
        self._line = 0

    @property
    def consumed(self) -> int:
        """Bytes read so far, after decompression."""
        return self._expanding.expanded

    def lines(self) -> Iterator[str]:
        """The lines, each with its end. Raises InputError with the line for what is not text."""
        readline, limit = self._text.readline, MAX_RECORD + 1
        with self._decoded():
            while line := readline(limit):
                self._line += 1
                if len(line) == limit:
                    self._refuse_long(line)
                if "\0" in line:
                    remedy = "take the NUL bytes out; a file in UTF-16 is full of them: save it as UTF-8"
                    raise InputError(f"a NUL byte: {line[:40]!r}", place=self._place(), remedy=remedy)
                yield line

    def chunk(self) -> str:
        """The next piece of the text, empty at its end; for what does not come in lines."""
        with self._decoded():
            text = self._text.read(_CHUNK)
            self._line += text.count("\n")
            return text

    def _place(self, more: int = 0) -> str:
        return f"{self.file.name}:{self._line + more}"

    def _refuse_long(self, line: str) -> None:
        problem = f"a line of more than {MAX_RECORD:,} characters, which starts with {line[:40]!r}"
        remedy = "cut the text, or restore the line ends; no model reads as much at once"
        raise InputError(problem, place=self._place(), remedy=remedy)

    @contextlib.contextmanager
    def _decoded(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            # What was decoded before this chunk has been handed out, so its line ends are counted already.
            more = 1 + error.object.count(b"\n", 0, error.start)
            offset = self._expanding.expanded - len(error.object) + error.start
            problem = f"not UTF-8: byte 0x{error.object[error.start]:02x} at offset {offset}"
            remedy = "convert the file to UTF-8, for instance with iconv"
            raise InputError(problem, place=self._place(more), remedy=remedy) from None


@contextlib.contextmanager
def open_text(file: Located) -> Iterator[TextStream]:
    """The text of `file`, decompressed by its suffix."""
    layout, compression = suffixes_of(file.path.name)
    with contextlib.ExitStack() as stack:
        inner = stack.enter_context(_opened(file, compression))
        yield TextStream(file, _Expanding(inner, file, f"{layout}{compression}", bool(compression)))


def _opened(file: Located, compression: str) -> Any:
    if compression == ".gz":
        return gzip.open(file.path)
    if compression == ".bz2":
        return bz2.open(file.path)
    if compression == ".xz":
        return lzma.open(file.path)
    if compression == ".zst":
        import pyarrow

        return pyarrow.CompressedInputStream(pyarrow.OSFile(str(file.path)), "zstd")
    return file.path.open("rb")


class _Expanding(io.RawIOBase):
    """The bytes of a stream, counted against the size of the file that they come from."""

    def __init__(self, inner: Any, file: Located, kind: str, compressed: bool) -> None:
        super().__init__()
        self._inner = inner
        self._file = file
        self._kind = kind
        self._allowed = max(HARMLESS, MAX_RATIO * file.path.stat().st_size) if compressed else None
        self.expanded = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(len(buffer))
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            # A damaged stream arrives as an OSError without a number; a disk that cannot be read has one.
            if isinstance(error, OSError) and error.errno:
                raise
            problem = f"not a complete {self._kind} file: {error}"
            raise InputError(problem, place=self._file.name, remedy="restore the file: it is cut or damaged") from None
        buffer[: len(data)] = data
        self.expanded += len(data)
        if self._allowed is not None and self.expanded > self._allowed:
            self._refuse_bomb()
        return len(data)

    def _refuse_bomb(self) -> None:
        problem = f"expands to more than {MAX_RATIO} times its {self._file.path.stat().st_size:,} bytes"
        remedy = "look at it first; if it is what it should be, store it uncompressed, or as Parquet"
        raise InputError(problem, place=self._file.name, remedy=remedy)
