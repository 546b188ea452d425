"""How far a training is: one line that is rewritten on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import TextIO

SHOWN = ("intent_acc", "slot_f1", "semantic_frame_acc", "loss")
EVERY = 0.2  # seconds between two states of the line


class Display:
    """Told of updates and epochs; writes to `out` (standard error)."""

    def __init__(self, quiet: bool = False, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._live = self._out.isatty() and not quiet
        self._quiet = quiet
        self._began: tuple[float, int] | None = None
        self._last = 0.0

    def on_update(self, done: int, total: int, loss: float) -> None:
        """An update with this loss was made."""
        now = time.monotonic()
        self._began = self._began or (now, done)
        if not self._live or now - self._last < EVERY:
            return
        self._last = now
        start, first = self._began
        rate = (done - first) / (now - start) if now > start else 0.0
        left = f", {(total - done) / rate:.0f} s left" if rate else ""
        share = 100 * done / total
        line = f"update {done}/{total} ({share:.0f} %), loss {loss:.4f}, {rate:.1f}/s{left}"
        self._out.write(f"\r\x1b[K{line}")
        self._out.flush()

    def on_epoch(self, epoch: int, scores: Mapping[str, float], better: bool) -> None:
        """An epoch was evaluated on dev."""
        if self._quiet:
            return
        text = ", ".join(f"{name} {scores[name]:.4f}" for name in SHOWN)
        mark = " (best so far)" if better else ""
        self._out.write(f"{self._clear()}epoch {epoch}: dev {text}{mark}\n")
        self._out.flush()

    def _clear(self) -> str:
        return "\r\x1b[K" if self._live else ""
