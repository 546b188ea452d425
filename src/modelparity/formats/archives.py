"""Zip archives: members that lie in them as they are, or are spooled to a file that goes."""

import mmap
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

from modelparity.errors import InputError
from modelparity.formats.printing import printable
from modelparity.formats.tensor import Buffer

LOCAL = 30  # bytes of a local file header before its name (PKWARE's APPNOTE, 4.3.7)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
Place = tuple[Buffer, int, int]  # buffer, first byte, size


class Archive:
    """An archive's members by name, each as a place in a buffer; nothing is extracted."""

    def __init__(self, path: Path, buffer: Buffer) -> None:
        self.path, self._buffer = path, buffer
        self._inflated: dict[str, Place] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        except (
            zipfile.BadZipFile,
            OSError,
            ValueError,
            NotImplementedError,
            struct.error,
        ) as error:
            raise InputError(f"{path}: the archive is broken: {printable(str(error))}") from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            if entry.filename in self._members:
                raise self._error(entry.filename, "stands there twice")
            self._members[entry.filename] = entry
        self._check_places()

    def names(self) -> list[str]:
        """The members, in the order of the archive."""
        return list(self._members)

    def place(self, name: str) -> Place:
        """Where a member's bytes are. InputError where the archive does not hold them."""
        if name not in self._members:
            raise InputError(f"{self.path}: {printable(name)} is missing")
        entry = self._members[name]
        if entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1:
            return self._buffer, self._start(entry), entry.file_size
        if name not in self._inflated:
            self._inflated[name] = self._spooled(entry)
        return self._inflated[name]

    def content(self, name: str, limit: int) -> bytes:
        """A small member, in memory."""
        buffer, start, size = self.place(name)
        if size > limit:
            raise self._error(name, f"has {size:,} bytes, more than {limit:,}")
        return bytes(buffer[start : start + size])

    def _check_places(self) -> None:
        """No two members lie over each other, as in archives that inflate to more than a disk."""
        reached = 0
        for entry in sorted(self._members.values(), key=lambda entry: entry.header_offset):
            start = self._start(entry)
            end = start + entry.compress_size
            if entry.header_offset < reached or end > len(self._buffer):
                raise self._error(entry.filename, "overlaps another member, or the file's end")
            if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
                raise self._error(entry.filename, "is stored in another size than it has")
            reached = end

    def _start(self, entry: zipfile.ZipInfo) -> int:
        head = self._buffer[entry.header_offset : entry.header_offset + LOCAL]
        if len(head) < LOCAL or head[:4] != b"PK\x03\x04":
            raise self._error(entry.filename, "has no header where the archive says")
        name, extra = struct.unpack("<HH", head[26:30])
        return int(entry.header_offset + LOCAL + name + extra)

    def _spooled(self, entry: zipfile.ZipInfo) -> Place:
        """A compressed member in a file without a name: memory of the file, not our own."""
        try:
            with (
                tempfile.TemporaryFile() as spool,
                zipfile.ZipFile(self.path) as archive,
                archive.open(entry) as stream,
            ):
                written = 0
                while chunk := stream.read(1 << 20):
                    written += len(chunk)
                    if written > entry.file_size:
                        raise self._error(entry.filename, "inflates to more than it says")
                    spool.write(chunk)
                if written != entry.file_size:
                    raise self._error(entry.filename, "inflates to less than it says")
                spool.flush()
                content = mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ) if written else b""
        except _BROKEN as error:
            raise self._error(entry.filename, f"is broken: {printable(str(error))}") from None
        except OSError as error:
            raise self._error(entry.filename, f"cannot be inflated: {error.strerror}") from None
        return content, 0, written

    def _error(self, name: str, what: str) -> InputError:
        return InputError(f"{self.path}: {printable(name)} {what}")
