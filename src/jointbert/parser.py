"""Text to intent and slots, by a saved model in either framework."""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jointbert import saved
from jointbert.spans import Word, place_of, spans_of, words_of
from modelparity import InputError, UsageError

FRAMEWORKS = ("torch", "paddle")
FULL = 16  # sentences of max_seq_len run together; of short ones as many as hold no more pieces
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Intent:
    """An intent and its probability."""

    intent: str
    probability: float


@dataclass(frozen=True)
class Slot:
    """A slot: `text` is the characters [start, end) of the string that was parsed.

    confidence  the smallest of its words' label probabilities (with a CRF: marginal ones)
    """

    type: str
    text: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True)
class Parse:
    """What a model finds in a string.

    intent, probability  the most probable intent; None and 0 where the string has no word
    intents              the most probable ones, the first included
    windows              how many overlapping parts a string of more than `max_seq_len` pieces was
                         read in; 1 for all others
    truncated            whether a word alone was too long, so that its last pieces were left out
    """

    text: str
    intent: str | None
    probability: float
    intents: tuple[Intent, ...]
    slots: tuple[Slot, ...]
    windows: int
    truncated: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)


class _Window(NamedTuple):
    """Words [first, last) of a sentence that are run together, and those it decides on."""

    sentence: int
    first: int
    last: int
    decided: tuple[int, int]
    pieces: tuple[int, ...]
    heads: tuple[int, ...]  # where each word's first piece stands
    cut: bool  # whether a word lost pieces


class Parser:
    """A saved model, loaded once; `parse` may be called any number of times."""

    def __init__(self, model: saved.Saved, framework: str, settings: dict[str, Any]) -> None:
        self.labels = model.labels
        self.settings = settings
        self.framework = framework
        self._side = importlib.import_module(f"jointbert.in_{framework}.predict")
        self._model = self._side.load(settings)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        framework: str = "torch",
        *,
        precision: str = "float32",
        threads: int = 0,
    ) -> "Parser":
        """The parser of a saved model's directory, or of its name on the hub.

        Raises UsageError for an argument or a framework that is not installed, and InputError for
        a directory that is no saved model.
        """
        if framework not in FRAMEWORKS:
            raise UsageError(f"framework {framework!r}; one of {', '.join(FRAMEWORKS)}")
        if precision not in ("float32", "bfloat16"):
            raise UsageError(f"precision {precision!r}; one of float32, bfloat16")
        require(framework)
        found = saved.read(name)
        settings = saved.settings_of(found, precision=precision, threads=threads)
        return cls(found, framework, settings)

    def parse(self, texts: Sequence[str], *, top_k: int = 3) -> list[Parse]:
        """What is in each text, in their order. Raises InputError for one that is not text."""
        if isinstance(texts, str):
            raise UsageError("parse() takes a list of texts; for one text write parse([text])")
        words = [_checked(text, number) for number, text in enumerate(texts)]
        windows = [w for n, one in enumerate(words) for w in self._windows(n, one)]
        outcomes = self._run(windows)
        by_sentence: list[list[int]] = [[] for _ in texts]
        for place, window in enumerate(windows):
            by_sentence[window.sentence].append(place)
        return [
            self._assembled(
                text, words[n], [(windows[i], *outcomes[i]) for i in by_sentence[n]], top_k
            )
            for n, text in enumerate(texts)
        ]

    def _windows(self, sentence: int, words: Sequence[Word]) -> Iterator[_Window]:
        """One window where everything fits; else several, a quarter of each shared with the next.

        What is shared is decided half by the earlier, half by the later one.
        """
        room = int(self.settings["max_seq_len"]) - 2
        whole = self._side.pieces_of(self.settings, [word.text for word in words])
        pieces = [one[:room] for one in whole]
        first = decided = 0
        while first < len(words):
            last, count = first, 0
            while last < len(words) and count + len(pieces[last]) <= room:
                count += len(pieces[last])
                last += 1
            following = last
            while (
                last < len(words)
                and following > first + 1
                and (sum(map(len, pieces[following - 1 : last])) <= room // 4)
            ):
                following -= 1
            until = last if last == len(words) else (following + last + 1) // 2
            heads = np.cumsum([1, *(len(one) for one in pieces[first:last])])[:-1]
            flat = tuple(p for one in pieces[first:last] for p in one)
            cut = any(len(one) > room for one in whole[first:last])
            yield _Window(sentence, first, last, (decided, until), flat, tuple(heads.tolist()), cut)
            if last == len(words):
                return
            first, decided = following, until

    def _run(self, windows: Sequence[_Window]) -> list[tuple[Array, Array, Array]]:
        """Intent probabilities, slot label ids and confidences by word of each window."""
        outcomes: list[Any] = [None] * len(windows)
        lengths = [len(window.pieces) + 2 for window in windows]
        for chosen in by_length(lengths, int(self.settings["max_seq_len"])):
            rows = [windows[place].pieces for place in chosen]
            found = self._side.predict(self._model, self.settings, rows)
            for row, place in enumerate(chosen):
                heads = list(windows[place].heads)
                outcomes[place] = (
                    found.intents[row],
                    found.slots[row][heads],
                    found.confidences[row][heads],
                )
        return outcomes

    def _assembled(
        self,
        text: str,
        words: Sequence[Word],
        parts: Sequence[tuple[_Window, Array, Array, Array]],
        top_k: int,
    ) -> Parse:
        if not parts:
            return Parse(text, None, 0.0, (), (), 0, False)
        labels, sure = [""] * len(words), [0.0] * len(words)
        for window, _, slots, confidences in parts:
            for place in range(*window.decided):
                labels[place] = self.labels.slots[int(slots[place - window.first])]
                sure[place] = float(confidences[place - window.first])
        found = np.stack([intents for _, intents, _, _ in parts]).astype(np.float64)
        probabilities: Array = found.mean(axis=0)
        best = np.argsort(-probabilities, kind="stable")[: max(1, top_k)]
        intents = tuple(
            Intent(self.labels.intents[int(one)], float(probabilities[one])) for one in best
        )
        filled = tuple(_slot(text, words, span, sure) for span in spans_of(labels))
        cut = any(window.cut for window, _, _, _ in parts)
        first = intents[0]
        return Parse(text, first.intent, first.probability, intents, filled, len(parts), cut)


def by_length(lengths: Sequence[int], max_seq_len: int) -> Iterator[list[int]]:
    """Batches of places, short ones first; no batch holds more pieces than FULL long sentences."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > FULL * max_seq_len:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def require(framework: str) -> None:
    """UsageError where a framework is not installed."""
    if importlib.util.find_spec(framework) is None:
        raise UsageError(
            f"framework {framework}: not installed; pip install modelparity[{framework}],"
            f" or use the other one"
        )


def _checked(text: object, number: int) -> list[Word]:
    if not isinstance(text, str):
        raise InputError(f"text {number}: {type(text).__name__}; parse() takes strings")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"text {number}: character {error.start} is half of a surrogate pair; decode it first"
        ) from None
    return words_of(text)


def _slot(text: str, words: Sequence[Word], span: Any, sure: Sequence[float]) -> Slot:
    start, end = place_of(span, words)
    confidence = min(sure[span.first : span.last])
    return Slot(span.type, text[start:end], start, end, confidence)
