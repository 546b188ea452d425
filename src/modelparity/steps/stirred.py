"""Weights on which every parameter shows.

A bias that is zero everywhere, or a scale of ones, can be left out of a model without a trace; so
can running statistics that no batch has moved. Step 1 runs on weights without such.
"""

import numpy as np

from modelparity.steps.evidence import Evidence
from modelparity.steps.recorder import Array, Recorder

GIVEN = "given/stirred/"
MOST = 0.1  # of the value, or of 1 where that is less; always upwards, since variances are positive


def stirred_weights(recorder: Recorder) -> dict[str, Array]:
    """The reference's initial parameters, in this side's names and layout.

    Those that hold one value everywhere are moved by the reference, each element otherwise.
    """
    ours = recorder.given_recording("model")
    arrays = {name: ours.array(f"parameter/{name}") for name in ours.below("parameter/")}
    if recorder.is_reference:
        moved = {name: _moved(name, a) for name, a in arrays.items() if _is_constant(a)}
        for name, array in moved.items():
            recorder.writer.add(f"{GIVEN}{name}", array)
    else:
        given = recorder.given_recording("forward")
        moved = {name: given.array(f"{GIVEN}{name}") for name in given.below(GIVEN)}
    return recorder.to_own({**arrays, **moved})


def stirred(evidence: Evidence, name: str) -> Array:
    """One parameter of the reference, as step 1 ran on it; as it was where a step left it alone."""
    moved = f"{GIVEN}{name}"
    if moved in evidence.reference:
        return evidence.reference.array(moved)
    return evidence.reference_model.array(f"parameter/{name}")


def _is_constant(array: Array) -> bool:
    return bool(array.dtype.kind == "f" and array.size and (array == array.flat[0]).all())


def _moved(name: str, array: Array) -> Array:
    shares = np.random.default_rng(list(name.encode())).uniform(0.1, 1.0, array.shape)
    away: Array = array + MOST * shares * np.maximum(1.0, np.abs(array))
    return away.astype(array.dtype)
