"""Zip archives: members that lie in them as they are, or are inflated into a file that goes."""

import mmap
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from modelparity.errors import InputError
from modelparity.formats.printing import escaped, printable
from modelparity.formats.sources import Buffer, Source, kept

LOCAL = 30  # bytes of a local file header before its name (PKWARE's APPNOTE, 4.3.7)
# Deflate shrinks to a thousandth at most, and weights hardly at all. An archive that grows by more
# than SWELLING into more than PLENTY bytes is made to fill a disk.
SWELLING, PLENTY = 200, 1 << 30
MANY = 1 << 20  # bytes of pickles, whose content is kept in memory; the same of them
STEP = 1 << 20  # bytes that are inflated at a time
SMALL = 1 << 16  # bytes of a member that is inflated into memory: a file for each takes longer
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, LookupError, ArithmeticError),
    *(NotImplementedError, RuntimeError, ValueError, struct.error),
)
Place = tuple[Source, int, int]  # where the bytes come from, the first one, how many


def entries(path: Path) -> list[zipfile.ZipInfo]:
    """What an archive lists; InputError where it is broken."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [entry for entry in archive.infolist() if not entry.is_dir()]
    except (OSError, *_BROKEN) as error:
        where = escaped(str(path))
        raise InputError(f"{where}: the archive is broken: {_reason(error)}") from None


class Archive:
    """An archive's members by name, each as a place in a source; nothing is extracted."""

    def __init__(self, path: Path, source: Source) -> None:
        self.path, self.where, self._source = path, escaped(str(path)), source
        self._inflated: dict[str, Source] = {}
        self._pickles = 0, 0  # bytes of those that were asked for, and what they inflate to
        self._members: dict[str, zipfile.ZipInfo] = {}
        for entry in entries(path):
            if entry.filename in self._members:
                raise self._error(entry.filename, "stands there twice")
            self._members[entry.filename] = entry
        self._check_places(source())
        self._check_sizes()

    def names(self) -> list[str]:
        """The members, in the order of the archive."""
        return list(self._members)

    def place(self, name: str) -> Place:
        """Where a member's bytes are; it is inflated when its source is asked."""
        entry = self._members[name]
        if entry.compress_type == zipfile.ZIP_STORED:
            return self._source, self._start(self._source(), entry), entry.file_size
        if name not in self._inflated:
            self._inflated[name] = kept(lambda: self._spooled(entry))
        return self._inflated[name], 0, entry.file_size

    def pickle(self, name: str) -> Place:
        """The place of a member that holds a pickle."""
        entry, (before, after) = self._members[name], self._pickles
        self._pickles = before + entry.compress_size, after + entry.file_size
        self._check_growth(*self._pickles, MANY)
        return self.place(name)

    def head(self, name: str, count: int) -> bytes:
        """A member's first bytes."""
        entry = self._members[name]
        if entry.compress_type == zipfile.ZIP_STORED:
            buffer = self._source()
            start = self._start(buffer, entry)
            return bytes(buffer[start : start + min(count, entry.file_size)])
        found = b""
        for chunk in self._inflating(entry):
            found += chunk[: count - len(found)]
            if len(found) == count:
                break
        return found

    def _check_places(self, buffer: Buffer) -> None:
        """No two members lie over each other, as in archives that inflate to more than a disk."""
        reached = 0
        for entry in sorted(self._members.values(), key=lambda entry: entry.header_offset):
            end = self._start(buffer, entry) + entry.compress_size
            if entry.header_offset < reached or end > len(buffer):
                raise self._error(entry.filename, "overlaps another member, or the file's end")
            reached = end

    def _check_sizes(self) -> None:
        before = after = 0
        for entry in self._members.values():
            stored = entry.compress_type == zipfile.ZIP_STORED
            if entry.flag_bits & 1 or not (stored or entry.compress_type == zipfile.ZIP_DEFLATED):
                raise self._error(entry.filename, "is encrypted, or compressed in an unknown way")
            if stored and entry.compress_size != entry.file_size:
                raise self._error(entry.filename, "is stored in another size than it has")
            before, after = before + entry.compress_size, after + entry.file_size
            if entry.file_size > 2000 * (entry.compress_size + 1):
                raise self._error(entry.filename, "says that it inflates to more than is possible")
        self._check_growth(before, after, PLENTY)

    def _check_growth(self, before: int, after: int, enough: int) -> None:
        if after > enough and after > SWELLING * before:
            grown = f"its {before:,} bytes inflate to {after:,}, as those of zip bombs do"
            raise InputError(f"{self.where}: {grown}: save the arrays uncompressed")

    def _start(self, buffer: Buffer, entry: zipfile.ZipInfo) -> int:
        head = buffer[max(0, entry.header_offset) : entry.header_offset + LOCAL]
        if len(head) < LOCAL or head[:4] != b"PK\x03\x04":
            raise self._error(entry.filename, "has no header where the archive says")
        name, extra = struct.unpack("<HH", head[26:30])
        return int(entry.header_offset + LOCAL + name + extra)

    def _inflating(self, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        """A compressed member chunk by chunk; its size and its sum are checked at the end.

        zipfile would read the list of all members anew for each of them.
        """
        buffer, inflater = self._source(), zlib.decompressobj(-zlib.MAX_WBITS)
        place = self._start(buffer, entry)
        end, size, checked = place + entry.compress_size, 0, 0
        while not inflater.eof:
            taken = inflater.unconsumed_tail
            if not taken:
                taken = buffer[place : min(place + STEP, end)]
                place += len(taken)
            try:
                chunk = inflater.decompress(taken, STEP)
            except zlib.error as error:
                what = f"cannot be inflated: {_reason(error)}"
                raise self._error(entry.filename, what) from None
            size, checked = size + len(chunk), zlib.crc32(chunk, checked)
            if not (taken or chunk) or size > entry.file_size:
                break
            yield chunk
        if size != entry.file_size:
            raise self._error(entry.filename, "inflates to another size than it says")
        if checked != entry.CRC:
            raise self._error(entry.filename, "cannot be inflated: its sum is another")

    def _spooled(self, entry: zipfile.ZipInfo) -> Buffer:
        """A compressed member in a file without a name: memory of the file, not our own."""
        if entry.file_size <= SMALL:
            return b"".join(self._inflating(entry))
        try:
            with tempfile.TemporaryFile() as spool:
                for chunk in self._inflating(entry):
                    spool.write(chunk)
                spool.flush()
                return mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise self._error(entry.filename, f"cannot be inflated: {_reason(error)}") from None

    def _error(self, name: str, what: str) -> InputError:
        return InputError(f"{self.where}: {printable(name)} {what}")


def _reason(error: BaseException) -> str:
    return printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)
