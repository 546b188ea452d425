"""Mistakes between modules: which outputs are summed, and which positions are taken."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelparity.diagnose import Hypothesis
from modelparity.diff import rms

Array = np.ndarray[Any, Any]

FITS = 1e-6  # relative rms: of pairs of outputs only one that fits is worth a hypothesis


def hypotheses(
    candidate: Array, reference: Array, known: Mapping[str, Array], mask: Array | None = None
) -> Iterator[Hypothesis]:
    """What a module would be fed with another wiring.

    known  outputs of modules by their names, all of the reference's same forward pass. Those of
    one axis more may have been indexed at another position, or averaged. mask  (B, T), zero at
    padding.
    """
    known = _distinct(known)
    for name, output in known.items():
        if output.shape == reference.shape:
            yield f"{name} is missing from the sum", reference - output
            yield f"{name} is added once more", reference + output
            yield f"it is the output of {name}", output
        elif output.ndim == reference.ndim + 1 and output.dtype == reference.dtype:
            yield from _positions(name, output, reference, mask)
    gap = candidate - reference
    yield from _exchanged(gap, reference, known)
    for name, output in known.items():
        if output.shape == reference.shape and (power := float(np.vdot(output, output))):
            share = float(np.vdot(gap, output)) / power
            # Of a single number any share would explain it: only a usual one says anything.
            telling = reference.size > 1 or _is_usual(1.0 + share)
            if telling and share not in (0.0, 1.0, -1.0):
                text = f"{name} counts {1.0 + share:.6g} times in the sum"
                yield text, reference + share * output


def _exchanged(gap: Array, reference: Array, known: Mapping[str, Array]) -> Iterator[Hypothesis]:
    """One output is added where the reference adds another; of many pairs, the one that fits."""
    like = {n: o for n, o in known.items() if o.shape == reference.shape and o.size > 1}
    along = {n: float(np.vdot(o, gap)) for n, o in like.items()}
    power = float(np.vdot(gap, gap))
    for name, output in like.items():
        if np.array_equal(output, reference):  # no sum
            continue
        for other, theirs in like.items():
            # Cauchy and Schwarz: a pair that fits does so along the gap, which is soon told.
            if not abs(along[other] - along[name] - power) <= FITS * power:
                continue
            if rms(theirs - output - gap) <= FITS * rms(gap):
                yield f"{other} is added in place of {name}", reference + theirs - output


def _distinct(known: Mapping[str, Array]) -> dict[str, Array]:
    """Each output once, under its first name: dropout in evaluation mode only hands on."""
    found: dict[str, Array] = {}
    for name, output in known.items():
        if not any(a.shape == output.shape and np.array_equal(a, output) for a in found.values()):
            found[name] = output
    return found


def _is_usual(share: float) -> bool:
    """A coefficient that people write: tenths and quarters up to 2, and whole numbers up to 10."""
    usual = [*(k / 10 for k in range(1, 21)), *(k / 4 for k in range(1, 8)), *range(2, 11), 0.01]
    return any(abs(share - value) <= 1e-9 * value for value in usual)


def _positions(
    name: str, output: Array, reference: Array, mask: Array | None
) -> Iterator[Hypothesis]:
    for axis in range(1, output.ndim):
        if output.shape[:axis] + output.shape[axis + 1 :] != reference.shape:
            continue
        count = output.shape[axis]
        for index in dict.fromkeys((count - 1, *range(min(count, 8)))):
            label = "the last position" if index == count - 1 else f"position {index}"
            yield f"{label} of {name} is taken", np.take(output, index, axis)
        yield f"the mean over all positions of {name}, padding too, is taken", output.mean(axis)
        yield f"the sum over all positions of {name} is taken", output.sum(axis)
        yield f"the largest over positions of {name} is taken", output.max(axis)
        if mask is not None and axis == 1 and mask.shape == output.shape[:2]:
            active = mask.astype(bool).reshape(*mask.shape, *(1,) * (output.ndim - 2))
            total = np.where(active, output, 0.0).sum(1)
            yield (
                f"the mean over the positions of {name} that are not padding",
                total / active.sum(1),
            )
            yield f"the sum over the positions of {name} that are not padding", total
