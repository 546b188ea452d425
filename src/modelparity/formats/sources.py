"""Where bytes come from: files mapped while something of them is used, and let go after."""

import mmap
import os
import stat
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path

from modelparity.errors import InputError
from modelparity.formats.printing import escaped

Buffer = mmap.mmap | bytes
Source = Callable[[], Buffer]

# A map holds a file descriptor. A directory of thousands of arrays would run out of them, so only
# the last few stay when nothing uses them: enough not to map a file anew for each of its tensors.
_RECENT: deque[mmap.mmap] = deque(maxlen=8)


def kept(make: Callable[[], Buffer]) -> Source:
    """What `make` makes, made again after it has been let go."""
    held: weakref.ref[mmap.mmap] | None = None

    def source() -> Buffer:
        nonlocal held
        found = held() if held else None
        if found is not None:
            return found
        made = make()
        if isinstance(made, mmap.mmap):
            held = weakref.ref(made)
            _RECENT.append(made)
        return made

    return source


def mapped(path: Path) -> Source:
    """A file's content without reading it.

    InputError where it cannot be opened, is no regular file, or changes while it is read.
    """
    first: tuple[int, int] | None = None

    def make() -> Buffer:
        nonlocal first
        shown = escaped(str(path))
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
                raise InputError(f"{shown}: it is no regular file: write its content to one")
            with path.open("rb") as stream:
                now = os.fstat(stream.fileno())
                first = first or (now.st_size, now.st_mtime_ns)
                if first != (now.st_size, now.st_mtime_ns):
                    raise InputError(f"{shown}: it changed while it was read: compare it again")
                if not now.st_size:
                    return b""
                return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{shown}: it cannot be read: {reason}") from None

    return kept(make)


def constant(content: bytes) -> Source:
    """Bytes that are at hand."""
    return lambda: content
