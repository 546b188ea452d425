"""Tensors at hand and their figures, for the tests of the comparison."""

import numpy as np

from modelparity.compare import Options, compare
from modelparity.compare.live import tensors


def held(*arrays, **named):
    """One array, or several by name, as tensors."""
    return tensors(arrays[0] if arrays else named)


def compared(candidate, reference, **options):
    """The Comparison of two arrays, or of two mappings of arrays."""
    truth = options.pop("truth", None)
    return compare(
        candidate=tensors(candidate),
        reference=tensors(reference),
        truth=None if truth is None else tensors(truth),
        options=Options(**options),
    )


def only(candidate, reference, **options):
    """The one tensor of a comparison."""
    [found] = compared(candidate, reference, **options).tensors
    return found


def figures(candidate, reference, **options):
    """The figures of two arrays."""
    return only(np.asarray(candidate), np.asarray(reference), **options).figures
