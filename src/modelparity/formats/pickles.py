"""An interpreter for pickles that runs nothing: containers, and what `objects.py` admits.

A pickle is a program whose instructions may call any function by name. Here names stand for entries
of a table of our own, and instructions that name something else end the reading. What the
instructions mean is documented in the standard library's `pickletools`.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any

from modelparity.errors import InputError
from modelparity.formats.objects import unordered
from modelparity.formats.printing import printable
from modelparity.formats.program import MARK, Part, Persistent, Program, plain
from modelparity.formats.sources import Buffer

# A tensor takes about forty instructions, and what an instruction makes a hundred bytes at most.
MOST = 10_000_000  # instructions
LARGEST_INTEGER = 1 << 10  # bytes

Step = Callable[[Program], None]


def _pushing(make: Callable[[Program], Any]) -> Step:
    return lambda program: program.stack.append(make(program))


def _keeping(make: Callable[[Program], Any]) -> Step:
    def step(program: Program) -> None:
        program.keep()
        program.stack.append(make(program))

    return step


def _memorise(program: Program) -> None:
    program.memorise(program.byte())


def _memorise_far(program: Program) -> None:
    program.memorise(program.number(4))


def _memorise_next(program: Program) -> None:
    program.memorise(len(program.memo))


def _recall(program: Program) -> None:
    program.recall(program.byte())


def _recall_far(program: Program) -> None:
    program.recall(program.number(4))


def _tuple(count: int) -> Step:
    def step(program: Program) -> None:
        taken = tuple(program.stack[-count:])
        if len(taken) < count or MARK in taken:
            raise ValueError("a tuple lacks elements")
        program.keep()
        program.stack[-count:] = [taken]

    return step


def _integer(size: int) -> Step:
    def make(program: Program) -> int:
        length = program.number(size)
        if length > LARGEST_INTEGER:
            raise ValueError("an integer is too long")
        return int.from_bytes(program.take(length), "little", signed=True)

    return _pushing(make)


def _append(program: Program) -> None:
    value = program.pop()
    program.top(list).append(value)


def _appends(program: Program) -> None:
    values = program.since_mark()
    program.top(list).extend(values)


def _set_item(program: Program) -> None:
    value, key = program.pop(), program.pop()
    program.fill([key, value])


def _set_items(program: Program) -> None:
    items = program.since_mark()
    program.fill(items)


def _add_items(program: Program) -> None:
    unordered(program.since_mark())
    program.top(frozenset)


def _dictionary(program: Program) -> None:
    items = program.since_mark()
    program.keep()
    program.stack.append({})
    program.fill(items)


def _persistent(program: Program) -> None:
    if program.persistent is None:
        raise ValueError("it refers to what lies outside it")
    program.stack.append(program.persistent(program.pop()))


def _stack_global(program: Program) -> None:
    name, module = program.pop(), program.pop()
    program.stack.append(program.named(plain(module), plain(name)))


def _frame(program: Program) -> None:
    if program.number(8) > program.end - program.place:
        raise ValueError("a frame is longer than the file")


def _protocol(program: Program) -> None:
    if not 2 <= program.byte() <= 5:
        raise ValueError("its protocol is not 2 to 5")


INSTRUCTIONS: Mapping[int, Step] = {
    ord(code): step
    for code, step in {
        "\x80": _protocol,
        "\x95": _frame,
        "(": _pushing(lambda p: MARK),
        "0": Program.drop,
        "1": lambda p: p.since_mark() and None,
        "2": _pushing(lambda p: p.top(object)),
        "N": _pushing(lambda p: None),
        "\x88": _pushing(lambda p: True),
        "\x89": _pushing(lambda p: False),
        "J": _pushing(lambda p: int.from_bytes(p.take(4), "little", signed=True)),
        "K": _pushing(lambda p: p.byte()),
        "M": _pushing(lambda p: p.number(2)),
        "\x8a": _integer(1),
        "\x8b": _integer(4),
        "G": _pushing(lambda p: struct.unpack(">d", p.take(8))[0]),
        "X": _pushing(lambda p: p.text(p.number(4))),
        "\x8c": _pushing(lambda p: p.text(p.byte())),
        "\x8d": _pushing(lambda p: p.text(p.number(8))),
        "T": _pushing(lambda p: p.take(p.number(4)).decode("latin-1")),
        "U": _pushing(lambda p: p.take(p.byte()).decode("latin-1")),
        "B": _pushing(lambda p: p.raw(p.number(4))),
        "C": _pushing(lambda p: p.raw(p.byte())),
        "\x8e": _pushing(lambda p: p.raw(p.number(8))),
        "\x96": _pushing(lambda p: p.raw(p.number(8))),
        "]": _keeping(lambda p: []),
        "a": _append,
        "e": _appends,
        "l": _keeping(lambda p: p.since_mark()),
        ")": _pushing(lambda p: ()),
        "t": _keeping(lambda p: tuple(p.since_mark())),
        "\x85": _tuple(1),
        "\x86": _tuple(2),
        "\x87": _tuple(3),
        "}": _keeping(lambda p: {}),
        "d": _dictionary,
        "s": _set_item,
        "u": _set_items,
        "\x8f": _pushing(lambda p: unordered()),
        "\x90": _add_items,
        "\x91": _pushing(lambda p: unordered(p.since_mark())),
        "h": _recall,
        "j": _recall_far,
        "q": _memorise,
        "r": _memorise_far,
        "\x94": _memorise_next,
        "c": _pushing(lambda p: p.named(p.line(), p.line())),  # the module comes first
        "\x93": _stack_global,
        "R": Program.call,
        "\x81": Program.call,
        "b": Program.build,
        "Q": _persistent,
    }.items()
}
STOP = ord(".")
_BROKEN = (ValueError, TypeError, LookupError, ArithmeticError, struct.error, RecursionError)


def is_pickle(head: bytes) -> bool:
    """Whether a file begins as pickles of protocols 2 to 5 do."""
    return len(head) >= 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def unpickled(
    buffer: Buffer, where: str, part: Part, persistent: Persistent | None = None
) -> tuple[Any, int]:
    """(the object, the place behind it) of the pickle with which a part of a buffer begins.

    Long bytes are `Raw` places in the buffer. `persistent` makes something of references to what
    lies outside. InputError, with `where`, for what is broken or asks for more.
    """
    program = Program(buffer, part, persistent)
    try:
        for _ in range(MOST):
            code = program.byte()
            if code == STOP:
                return program.result(), program.place
            step = INSTRUCTIONS.get(code)
            if step is None:
                raise ValueError(f"instruction {code:#04x} is not read")
            step(program)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except _BROKEN as error:
        reason = printable(str(error)) or type(error).__name__
        raise InputError(f"{where}: the pickle is broken: {reason}") from None
    raise InputError(f"{where}: the pickle has more than {MOST:,} instructions")
