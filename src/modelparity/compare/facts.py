"""What can be said of two tensors before any value is looked at."""

import math

from modelparity.compare.names import Facing, Names
from modelparity.compare.read import laid_shape, size
from modelparity.compare.result import Compared
from modelparity.compare.tasks import Tensors
from modelparity.compare.ulps import epsilon
from modelparity.formats import Tensor
from modelparity.model import Finding, Outcome

_WHOLE = ("int", "uint", "bool")


def whole(dtype: str) -> bool:
    """Whether a dtype, by its name, holds whole numbers or bools."""
    return dtype.startswith(_WHOLE)


def unpaired(names: Names, reference: Tensors, candidate: Tensors) -> list[Compared]:
    """One finding for each name that faces nobody."""
    found = []
    for name in names.reference_only:
        guess = names.guesses.get(name)
        hint = f"it looks like {guess}: --rename '{name} -> {guess}'" if guess else ""
        found.append(_alone(name, None, "candidate", hint, reference[name]))
    for name in names.candidate_only:
        found.append(_alone(name, name, "reference", "", candidate[name]))
    return found


def _alone(name: str, candidate: str | None, lacking: str, hint: str, tensor: Tensor) -> Compared:
    message = f"the {lacking} has no such tensor"
    hints = (hint,) if hint else ()
    finding = Finding(name, "exact", Outcome.DIVERGED, message, hints, math.inf)
    return Compared(finding, candidate, None, tensor.dtype, tensor.shape)


def misfit(
    facing: Facing, reference: Tensor, candidate: Tensor, truth: Tensor | None, judged: bool
) -> Compared | None:
    """Why two tensors (and their truth) cannot be measured; None where they can.

    judged  whether there is a file of truths, so that this tensor should have one
    """
    theirs = laid_shape(reference.shape, facing.transpose)
    if candidate.shape != theirs:
        message = f"shape {candidate.shape} against {theirs}"
        message += " transposed" if facing.transpose else ""
        if candidate.dtype != reference.dtype:
            message += f"; {mistyped(reference, candidate)}"
        hints = _of_shapes(facing, candidate.shape, theirs)
        return _unmeasured(facing, reference, Outcome.DIVERGED, message, hints)
    if size(reference) == 0:
        if candidate.dtype != reference.dtype:
            message = mistyped(reference, candidate)
            return _unmeasured(facing, reference, Outcome.DIVERGED, message)
        message = "there is nothing to compare: no elements"
        return _unmeasured(facing, reference, Outcome.INCONCLUSIVE, message)
    if not judged or whole(reference.dtype):
        return None
    if truth is None:
        message = "the truth has no such tensor"
    elif truth.shape != reference.shape:
        message = f"the truth has shape {truth.shape}, the reference {reference.shape}"
    elif whole(truth.dtype) or epsilon(truth.dtype) >= epsilon(reference.dtype):
        message = (
            f"the truth is {truth.dtype}, no more precise than the {reference.dtype} it judges"
        )
    else:
        return None
    return _unmeasured(facing, reference, Outcome.INCONCLUSIVE, message)


def mistyped(reference: Tensor, candidate: Tensor) -> str:
    """What is wrong with the candidate's dtype; "" where nothing is."""
    if candidate.dtype == reference.dtype:
        return ""
    return f"dtype {candidate.dtype} against {reference.dtype}"


def _unmeasured(
    facing: Facing,
    reference: Tensor,
    outcome: Outcome,
    message: str,
    hints: tuple[str, ...] = (),
) -> Compared:
    diverged = outcome is Outcome.DIVERGED
    rule, ratio = ("exact", math.inf) if diverged else ("completeness", 0.0)
    finding = Finding(facing.reference, rule, outcome, message, hints, ratio)
    return Compared(finding, facing.candidate, facing.rule, reference.dtype, reference.shape)


def _of_shapes(
    facing: Facing, candidate: tuple[int, ...], reference: tuple[int, ...]
) -> tuple[str, ...]:
    if len(candidate) >= 2 and candidate == laid_shape(reference, True):
        name = facing.reference
        return (f"the shapes are each other's transpose: --transpose '{name}', or fix the copy",)
    if [n for n in candidate if n != 1] == [n for n in reference if n != 1]:
        return ("only axes of length 1 differ: name the axis that is squeezed or kept",)
    return ()
