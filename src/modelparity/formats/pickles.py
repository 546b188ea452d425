"""An interpreter for pickles that runs nothing: containers, and what `objects.py` admits.

A pickle is a program whose instructions may call any function by name. Here names stand for entries
of a table of our own, and instructions that name something else end the reading. What the
instructions mean is documented in the standard library's `pickletools`.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any

from modelparity.errors import InputError
from modelparity.formats.objects import ADMITTED, Made, Raw, Restored
from modelparity.formats.printing import printable
from modelparity.formats.tensor import Buffer

MOST = 50_000_000  # instructions
LONG = 1 << 12  # bytes from which on they stay where they are
LARGEST_INTEGER = 1 << 10  # bytes
LARGEST_TEXT = 1 << 30  # bytes
SIMPLE = (str, int, float, bool, bytes, type(None))
Persistent = Callable[[Any], Any]
_MARK = object()


class _Program:
    """The state of one pickle while it is read."""

    def __init__(self, buffer: Buffer, place: int, persistent: Persistent | None) -> None:
        self.buffer, self.place, self.persistent = buffer, place, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def take(self, count: int) -> bytes:
        """The next bytes of the program."""
        if not 0 <= count <= len(self.buffer) - self.place:
            raise ValueError("it ends within an instruction")
        self.place += count
        return bytes(self.buffer[self.place - count : self.place])

    def number(self, form: str) -> Any:
        """The next number, by its `struct` form."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """The text up to the end of the line."""
        end = self.buffer.find(b"\n", self.place, self.place + LONG)
        if end < 0:
            raise ValueError("a name does not end")
        text = self.take(end - self.place).decode()
        self.place += 1
        return text

    def raw(self, count: int) -> bytes | Raw:
        """Bytes, or where they lie if they are many."""
        if count < LONG:
            return self.take(count)
        if count > len(self.buffer) - self.place:
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
            if self.stack[at] is _MARK:
                found = self.stack[at + 1 :]
                del self.stack[at:]
                return found
        raise ValueError("a mark is missing")

    def pop(self) -> Any:
        """What was pushed last."""
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError("the stack is empty")
        return self.stack.pop()

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
        self.stack.append(made.make(*arguments))

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
            target[_plain(key)] = value


def _plain(key: Any) -> Any:
    """A key that takes no time to hash, however it was made."""
    if isinstance(key, SIMPLE):
        return key
    if isinstance(key, tuple) and len(key) < 16 and all(isinstance(k, SIMPLE) for k in key):
        return key
    raise ValueError(f"a {type(key).__name__} cannot name anything")


Step = Callable[[_Program], None]


def _pushing(make: Callable[[_Program], Any]) -> Step:
    return lambda program: program.stack.append(make(program))


def _memorise(key: Callable[[_Program], int]) -> Step:
    def step(program: _Program) -> None:
        program.memo[key(program)] = program.top(object)

    return step


def _recall(form: str) -> Step:
    return _pushing(lambda program: program.memo[program.number(form)])


def _tuple(count: int) -> Step:
    def step(program: _Program) -> None:
        program.stack.append(tuple(reversed([program.pop() for _ in range(count)])))

    return step


def _integer(form: str) -> Step:
    def make(program: _Program) -> int:
        length = program.number(form)
        if not 0 <= length <= LARGEST_INTEGER:
            raise ValueError("an integer is too long")
        return int.from_bytes(program.take(length), "little", signed=True)

    return _pushing(make)


def _append(program: _Program) -> None:
    value = program.pop()
    program.top(list).append(value)


def _appends(program: _Program) -> None:
    values = program.since_mark()
    program.top(list).extend(values)


def _set_item(program: _Program) -> None:
    value, key = program.pop(), program.pop()
    program.fill([key, value])


def _set_items(program: _Program) -> None:
    items = program.since_mark()
    program.fill(items)


def _add_items(program: _Program) -> None:
    items = program.since_mark()
    program.top(set).update(map(_plain, items))


def _dictionary(program: _Program) -> None:
    items = program.since_mark()
    program.stack.append({})
    program.fill(items)


def _persistent(program: _Program) -> None:
    if program.persistent is None:
        raise ValueError("it refers to what lies outside it")
    program.stack.append(program.persistent(program.pop()))


def _stack_global(program: _Program) -> None:
    name, module = program.pop(), program.pop()
    program.stack.append(program.named(_plain(module), _plain(name)))


def _frame(program: _Program) -> None:
    if program.number("<Q") > len(program.buffer) - program.place:
        raise ValueError("a frame is longer than the file")


def _protocol(program: _Program) -> None:
    if not 2 <= program.number("<B") <= 5:
        raise ValueError("its protocol is not 2 to 5")


INSTRUCTIONS: Mapping[int, Step] = {
    ord(code): step
    for code, step in {
        "\x80": _protocol,
        "\x95": _frame,
        "(": _pushing(lambda p: _MARK),
        "0": lambda p: p.stack.pop() and None,
        "1": lambda p: p.since_mark() and None,
        "2": _pushing(lambda p: p.top(object)),
        "N": _pushing(lambda p: None),
        "\x88": _pushing(lambda p: True),
        "\x89": _pushing(lambda p: False),
        "J": _pushing(lambda p: p.number("<i")),
        "K": _pushing(lambda p: p.number("<B")),
        "M": _pushing(lambda p: p.number("<H")),
        "\x8a": _integer("<B"),
        "\x8b": _integer("<i"),
        "G": _pushing(lambda p: p.number(">d")),
        "X": _pushing(lambda p: p.text(p.number("<I"))),
        "\x8c": _pushing(lambda p: p.text(p.number("<B"))),
        "\x8d": _pushing(lambda p: p.text(p.number("<Q"))),
        "T": _pushing(lambda p: p.take(p.number("<I")).decode("latin-1")),
        "U": _pushing(lambda p: p.take(p.number("<B")).decode("latin-1")),
        "B": _pushing(lambda p: p.raw(p.number("<I"))),
        "C": _pushing(lambda p: p.raw(p.number("<B"))),
        "\x8e": _pushing(lambda p: p.raw(p.number("<Q"))),
        "\x96": _pushing(lambda p: p.raw(p.number("<Q"))),
        "]": _pushing(lambda p: []),
        "a": _append,
        "e": _appends,
        "l": _pushing(lambda p: p.since_mark()),
        ")": _pushing(lambda p: ()),
        "t": _pushing(lambda p: tuple(p.since_mark())),
        "\x85": _tuple(1),
        "\x86": _tuple(2),
        "\x87": _tuple(3),
        "}": _pushing(lambda p: {}),
        "d": _dictionary,
        "s": _set_item,
        "u": _set_items,
        "\x8f": _pushing(lambda p: set()),
        "\x90": _add_items,
        "\x91": _pushing(lambda p: frozenset(map(_plain, p.since_mark()))),
        "h": _recall("<B"),
        "j": _recall("<I"),
        "q": _memorise(lambda p: int(p.number("<B"))),
        "r": _memorise(lambda p: int(p.number("<I"))),
        "\x94": _memorise(lambda p: len(p.memo)),
        "c": _pushing(lambda p: p.named(p.line(), p.line())),  # the module comes first
        "\x93": _stack_global,
        "R": _Program.call,
        "\x81": _Program.call,
        "b": _Program.build,
        "Q": _persistent,
    }.items()
}
STOP = ord(".")


def is_pickle(head: bytes) -> bool:
    """Whether a file begins as pickles of protocols 2 to 5 do."""
    return len(head) >= 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def unpickled(
    buffer: Buffer, where: str, place: int = 0, persistent: Persistent | None = None
) -> tuple[Any, int]:
    """(the object, the place behind it) of the pickle at a place of a buffer.

    Bytes of any length are `Raw` places in the buffer. `persistent` makes something of references
    to what lies outside. InputError, with `where`, for what is broken or asks for more.
    """
    program = _Program(buffer, place, persistent)
    try:
        for _ in range(MOST):
            code = program.take(1)[0]
            if code == STOP:
                return program.pop(), program.place
            if code not in INSTRUCTIONS:
                raise ValueError(f"instruction {code:#04x} is not read")
            INSTRUCTIONS[code](program)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (ValueError, TypeError, LookupError, ArithmeticError, struct.error) as error:
        reason = printable(str(error)) or type(error).__name__
        raise InputError(f"{where}: the pickle is broken: {reason}") from None
    raise InputError(f"{where}: the pickle has more than {MOST:,} instructions")
