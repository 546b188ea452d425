"""The state of a pickle while it is read: its stack, its memo, and what bounds them."""

from collections.abc import Callable
from typing import Any

from modelparity.errors import InputError
from modelparity.formats.leaves import Raw, Restored
from modelparity.formats.objects import ADMITTED, Made
from modelparity.formats.printing import printable
from modelparity.formats.sources import Buffer

LONG = 1 << 12  # bytes from which on they stay where they are
LARGEST_TEXT = 1 << 30  # bytes
KEPT = 4_000_000  # lists, tuples, dictionaries, results of calls, and places in the memo
COPIED = 1 << 20  # elements that calls may copy, and as many as the file has bytes
SIMPLE = (str, int, float, bool, bytes, type(None))
SIZED = (str, bytes, list, tuple, dict)
Part = tuple[int, int]  # first byte, the byte behind the last
Persistent = Callable[[Any], Any]
MARK = object()


class Program:
    """The state of one pickle while it is read."""

    def __init__(self, buffer: Buffer, part: Part, persistent: Persistent | None) -> None:
        self.buffer, (self.place, self.end), self.persistent = buffer, part, persistent
        self.copies_left = COPIED + self.end - self.place
        self.kept_left = KEPT
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def take(self, count: int) -> bytes:
        """The next bytes of the program."""
        if not 0 <= count <= self.end - self.place:
            raise ValueError("it ends within an instruction")
        self.place += count
        return bytes(self.buffer[self.place - count : self.place])

    def byte(self) -> int:
        """The next byte."""
        if self.place >= self.end:
            raise ValueError("it ends within an instruction")
        self.place += 1
        return self.buffer[self.place - 1]

    def number(self, size: int) -> int:
        """The next number of so many bytes, without a sign."""
        return int.from_bytes(self.take(size), "little")

    def line(self) -> str:
        """The text up to the end of the line."""
        end = self.buffer.find(b"\n", self.place, min(self.place + LONG, self.end))
        if end < 0:
            raise ValueError("a name does not end")
        text = self.take(end - self.place).decode()
        self.place += 1
        return text

    def raw(self, count: int) -> bytes | Raw:
        """Bytes, or where they lie if they are many."""
        if count < LONG:
            return self.take(count)
        if count > self.end - self.place:
            raise ValueError("it ends within an instruction")
        self.place += count
        return Raw(self.place - count, count)

    def text(self, count: int) -> str:
        """Text of so many bytes."""
        if count > LARGEST_TEXT:
            raise ValueError("a text is too long")
        return self.take(count).decode("utf-8", "surrogatepass")

    def since_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is MARK:
                found = self.stack[at + 1 :]
                del self.stack[at:]
                return found
        raise ValueError("a mark is missing")

    def pop(self) -> Any:
        """What was pushed last."""
        if not self.stack or self.stack[-1] is MARK:
            raise ValueError("the stack is empty")
        return self.stack.pop()

    def drop(self) -> None:
        """Forget what was pushed last, a mark too."""
        self.top(object)
        del self.stack[-1]

    def keep(self) -> None:
        """Count something that takes memory, however few bytes ask for it."""
        self.kept_left -= 1
        if self.kept_left < 0:
            raise ValueError(f"it holds more than {KEPT:,} things")

    def memorise(self, number: int) -> None:
        """Keep what was pushed last under a number."""
        self.keep()
        self.memo[number] = self.top(object)

    def recall(self, number: int) -> None:
        """Push what was kept under a number."""
        if number not in self.memo:
            raise ValueError(f"it has kept nothing under {number}")
        self.stack.append(self.memo[number])

    def result(self) -> Any:
        """The one thing that is left at the end."""
        found = self.pop()
        if self.stack:
            raise ValueError(f"it leaves {len(self.stack):,} things behind")
        return found

    def top(self, kind: type) -> Any:
        """What was pushed last, which stays."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError(f"there is no {kind.__name__}")
        return self.stack[-1]

    def named(self, module: Any, name: Any) -> Any:
        """The entry of the table for a name."""
        if (module, name) not in ADMITTED:
            shown = printable(f"{module}.{name}")
            raise InputError(f"the pickle asks for {shown}, which is neither array nor container")
        return ADMITTED[module, name]

    def call(self) -> None:
        """Replace an entry and its arguments by what it makes of them."""
        arguments, made = self.pop(), self.pop()
        if not isinstance(made, Made) or not isinstance(arguments, tuple):
            raise ValueError("it calls what is no function")
        # One long text or list could be given to calls again and again.
        self.copies_left -= sum(len(a) for a in (arguments, *arguments) if isinstance(a, SIZED))
        if self.copies_left < 0:
            raise ValueError("it copies more than it holds")
        self.keep()
        try:
            self.stack.append(made.make(*arguments))
        except TypeError:
            raise ValueError("it calls with other arguments than are expected") from None

    def build(self) -> None:
        """Give an object its state; that of a dictionary's attributes is not looked at."""
        state, built = self.pop(), self.top(object)
        if isinstance(built, Restored):
            built.restore(state)
        elif not isinstance(built, dict):
            raise ValueError("it gives a state to what has none")

    def fill(self, items: list[Any]) -> None:
        """Put names and values, in turn, into a dictionary."""
        target = self.top(dict)
        if len(items) % 2:
            raise ValueError("a dictionary's last value is missing")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[plain(key)] = value


def plain(key: Any) -> Any:
    """A key that takes no time to hash, however it was made."""
    if isinstance(key, SIMPLE):
        return key
    if isinstance(key, tuple) and len(key) < 16 and all(isinstance(k, SIMPLE) for k in key):
        return key
    raise ValueError(f"a {type(key).__name__} cannot name anything")
