"""Lines in, answers out: at once while input is slow, in batches while it is fast."""

import codecs
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn, TextIO

from jointbert.parser import Parser
from modelparity import InputError

# The first answers come after one line; batches grow to what is worth sorting by length.
FIRST, LARGEST = 1, 256
AHEAD = 2 * LARGEST  # lines read beforehand at most: what bounds memory


@dataclass(frozen=True)
class Line:
    """One line of input: the text, and what is to come back with its answer."""

    text: str
    passed: Mapping[str, Any]


def answer(parser: Parser, source: BinaryIO, out: TextIO, *, top_k: int, form: str) -> int:
    """Write one JSON object a line of input, in its order; the number of lines.

    form  `text`: a line is a text; `json`: an object with `text`, whose other keys come back with
          the answer, or a string; `auto`: json where a line begins with a brace
    Raises InputError for a line that cannot be used, after all answers before it are written.
    """
    count = 0
    for batch, error in _batches(source, form):
        for line, found in zip(
            batch, parser.parse([one.text for one in batch], top_k=top_k), strict=True
        ):
            result = {**line.passed, **found.as_dict()}
            out.write(json.dumps(result, ensure_ascii=False) + "\n")
        out.flush()
        count += len(batch)
        if error is not None:
            raise error
    return count


def _batches(source: BinaryIO, form: str) -> Iterator[tuple[list[Line], InputError | None]]:
    lines: queue.Queue[bytes | OSError | None] = queue.Queue(AHEAD)
    threading.Thread(target=_read, args=(source, lines), daemon=True).start()
    number, size, ended = 0, FIRST, False
    while not ended:
        batch: list[Line] = []
        error: InputError | None = None
        while len(batch) < size and error is None:
            try:
                raw = lines.get(block=not batch)
            except queue.Empty:
                break
            if raw is None:
                ended = True
                break
            number += 1
            if isinstance(raw, OSError):
                error = InputError(f"input: cannot be read ({raw.strerror})")
                break
            try:
                batch.append(_line(raw, form))
            except InputError as found:
                error = InputError(f"input:{number}: {found}")
        if batch or error:
            yield batch, error
        size = min(2 * size, LARGEST)


def _read(source: BinaryIO, lines: "queue.Queue[bytes | OSError | None]") -> None:
    try:
        for number, raw in enumerate(source):
            # A byte order mark at the beginning belongs to no text.
            lines.put(raw if number else raw.removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        lines.put(error)
    lines.put(None)


def _line(raw: bytes, form: str) -> Line:
    try:
        text = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start} is not UTF-8; convert the input to UTF-8") from None
    if form == "text" or (form == "auto" and not text.lstrip().startswith("{")):
        return Line(text, {})
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON ({error}); or add --input text") from None
    if isinstance(value, str):
        value = {"text": value}
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise InputError("no string under the key 'text'; or add --input text")
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # as it will come back
    except UnicodeEncodeError:
        raise InputError("a string holds half of a surrogate pair; write the whole one") from None
    return Line(value["text"], value)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
