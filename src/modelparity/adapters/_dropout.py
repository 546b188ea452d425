"""Where a dropout runs, and what its mask does, for any framework."""

from collections.abc import Callable
from typing import Any

from modelparity.adapters import Array, DropoutCall
from modelparity.errors import ParityError, UnreachableDropout

Hook = Callable[..., Any]

ELEMENTS, DRAWS = 65536, 64  # of ones, to see a kept one at any rate that keeps some
RECURRENT = ("LSTM", "GRU", "RNN_TANH", "RNN_RELU")  # `mode` of fused networks
ROUNDING = 1e-6  # relative; float32 keeps a scale to 1.2e-7


class Sites:
    """Which submodule is running, and how often its dropout has run."""

    def __init__(self, draw: Callable[[DropoutCall], Array]) -> None:
        self._draw = draw
        self._names: list[str] = [""]
        self._counts: dict[str, int] = {}
        self._scales: dict[tuple[float, bool, str], float] = {}

    @property
    def total(self) -> int:
        """How many dropouts have run."""
        return sum(self._counts.values())

    @property
    def running(self) -> str:
        """The innermost running submodule."""
        return self._names[-1]

    def hooks(self, name: str) -> tuple[Hook, Hook]:
        """Forward hooks of one submodule; the second must be called even after an exception."""

        def push(module: Any, *_: Any) -> None:
            self._names.append(name)
            fused = getattr(module, "mode", None) in RECURRENT and module.num_layers > 1
            if fused and module.training and module.dropout > 0.0:
                raise self.unreachable("between the layers of a fused recurrent network")

        def pop(*_: Any) -> None:
            if self._names[-1] == name:  # not where another hook raised before `push`
                self._names.pop()

        return push, pop

    def unreachable(self, where: str) -> UnreachableDropout:
        """The error to raise for a dropout that takes no mask."""
        site = self.running or "the model"
        return UnreachableDropout(f"{site}: dropout {where}; use one that runs on its own")

    def keep(self, *, rate: float, active: bool, scale: float, shape: tuple[int, ...]) -> Array:
        """What to keep in this run of the site's dropout; counts the run.

        Raises ParityError where the mask is not of the shape.
        """
        site = self.running
        index = self._counts.get(site, 0)
        self._counts[site] = index + 1
        mask = self._draw(DropoutCall(site, index, rate, active, scale, shape))
        if active and tuple(mask.shape) != shape:
            raise ParityError(f"{site}#{index}: a mask of shape {tuple(mask.shape)} for {shape}")
        return mask

    def scale(self, key: tuple[float, bool, str], measure: Callable[[], float]) -> float:
        """The scale for a rate, whether it is active, and a mode; measured once each."""
        if key not in self._scales:
            rate, active, _ = key
            largest = 0.0
            for _ in range(DRAWS if active and rate < 1.0 else 1):
                largest = largest or measure()
            self._scales[key] = exact(largest, rate)
        return self._scales[key]


def exact(measured: float, rate: float) -> float:
    """The measured scale without its rounding: 1, 1 / (1 - rate) or 1 - rate in float64.

    The frameworks round 1 / (1 - rate) otherwise (at 0.09 by one float32 ulp), which no port can
    mend; a scale that follows another rule stays as it was measured.
    """
    rules = (1.0, 1.0 / (1.0 - rate), 1.0 - rate) if rate < 1.0 else (0.0, 1.0)
    near = [rule for rule in rules if abs(measured - rule) <= ROUNDING * abs(rule)]
    return min(near, key=lambda rule: abs(measured - rule), default=measured)
