"""Mistakes between the three projections of an attention and what comes out of it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelparity.diagnose import Hypothesis
from modelparity.diff import rms

Array = np.ndarray[Any, Any]
REPRODUCES = 1e-9
MASKED = -1e300
PENALTIES = (-1.0, -10.0, -100.0, 1.0)
PLACES = {
    "scores": "dropout acts on the scores, before the softmax, not on the probabilities",
    "masked": "dropout acts on the masked scores, before the softmax, not on the probabilities",
}


@dataclass(frozen=True)
class Form:
    """One way to compute attention.

    heads     how many, contiguous in the features unless `interleaved`
    masked    keys at padding get no weight; causal  nor do keys behind the query
    scale     of the scores: "root" is 1/sqrt(size of a head)
    reshaped  heads are made by a reshape alone, without exchanging positions and heads
    penalty   what is added to the scores of what gets no weight
    inverted  words get no weight, padding does
    kept      what dropout multiplies with, in the place `dropped`: "weights", or one of PLACES
    """

    heads: int
    masked: bool = True
    causal: bool = False
    scale: str = "root"
    interleaved: bool = False
    reshaped: bool = False
    over_queries: bool = False
    penalty: float = MASKED
    inverted: bool = False
    kept: Array | None = None
    dropped: str = "weights"


def hypotheses(
    qkv: tuple[Array, Array, Array], reference: Array, mask: Array, kept: Array | None = None
) -> Iterator[Hypothesis]:
    """What attention would give with one thing changed.

    qkv  each (B, T, D); reference  (B, T, D), what comes out; mask  (B, T), zero at padding; kept
    (B, heads, T, T), what dropout multiplies the probabilities with.
    Nothing where no number of heads reproduces the reference.
    """
    right = _form(qkv, reference, mask, kept)
    if right is None:
        return
    query, key, value = qkv
    if kept is not None:
        yield "probabilities are not dropped", attend(qkv, mask, replace(right, kept=None))
        for dropped, text in PLACES.items():
            yield text, attend(qkv, mask, replace(right, dropped=dropped))
    for text, form in _changed(right, query.shape[-1]):
        yield text, attend(qkv, mask, form)
    for text, changed in (
        ("query and key exchanged", (key, query, value)),
        ("key and value exchanged", (query, value, key)),
        ("query and value exchanged", (value, key, query)),
        ("values taken from the key", (query, key, key)),
    ):
        yield text, attend(changed, mask, right)


def _form(
    qkv: tuple[Array, Array, Array], reference: Array, mask: Array, kept: Array | None
) -> Form | None:
    size = reference.shape[-1]
    for heads in (n for n in range(1, min(size, 64) + 1) if size % n == 0):
        if kept is not None and kept.shape[1] != heads:
            continue
        for causal in (False, True):
            for masked in (True, False):
                form = Form(heads, masked=masked, causal=causal, kept=kept)
                out = attend(qkv, mask, form)[mask.astype(bool)]
                if rms(out - reference[mask.astype(bool)]) <= REPRODUCES * rms(reference):
                    return form
    return None


def _changed(right: Form, size: int) -> Iterator[tuple[str, Form]]:
    if right.masked:
        yield "padding is not masked: words attend to it", replace(right, masked=False)
        text = "the mask is inverted: words attend to padding alone"
        yield text, replace(right, inverted=True)
        for penalty in PENALTIES:
            text = f"{penalty:g} is added to the scores at padding, which leaves it some weight"
            yield text, replace(right, penalty=penalty)
        text = "1 is added to the scores of words, not a large negative number at padding"
        yield text, replace(right, penalty=1.0, inverted=True)
    else:
        yield "padding is masked", replace(right, masked=True)
    causal = (
        "words attend to what follows" if right.causal else "words attend only to what precedes"
    )
    yield causal, replace(right, causal=not right.causal)
    yield "scores are not divided by sqrt(size of a head)", replace(right, scale="one")
    yield "scores are divided by sqrt(all features)", replace(right, scale="all")
    yield "scores are divided by the size of a head", replace(right, scale="size")
    several = range(1, min(size, 64) + 1) if right.kept is None else ()
    for heads in (n for n in several if size % n == 0 and n != right.heads):
        yield f"{heads} heads in place of {right.heads}", replace(right, heads=heads)
    yield "heads are interleaved in the features", replace(right, interleaved=True)
    yield (
        "heads are made by a reshape alone, so that each takes features of several words",
        replace(right, reshaped=True),
    )
    yield "the softmax runs over queries, not keys", replace(right, over_queries=True)


def attend(qkv: tuple[Array, Array, Array], mask: Array, form: Form) -> Array:
    """softmax(q k / scale) v by heads: (B, T, D)."""
    query, key, value = (_split(a, form) for a in qkv)
    size = query.shape[-1]
    scales = {"root": math.sqrt(size), "one": 1.0, "size": size}
    scores = query @ key.swapaxes(-1, -2) / scales.get(form.scale, math.sqrt(qkv[0].shape[-1]))
    places = {} if form.kept is None else {form.dropped: form.kept}
    scores = scores * places.get("scores", 1.0)
    if form.masked:
        present = mask.astype(bool)[:, None, None, :] != form.inverted
        scores = scores + np.where(present, 0.0, form.penalty)
    scores = scores * places.get("masked", 1.0)
    if form.causal:
        scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, MASKED)
    axis = -2 if form.over_queries else -1
    weights = np.exp(scores - scores.max(axis, keepdims=True))
    weights = weights / weights.sum(axis, keepdims=True)
    out = (weights * places.get("weights", 1.0)) @ value
    order = (0, 2, 3, 1) if form.interleaved else (0, 2, 1, 3)
    joined: Array = out.transpose(order).reshape(qkv[0].shape)
    return joined


def _split(array: Array, form: Form) -> Array:
    batch, length, size = array.shape
    if form.interleaved:
        return array.reshape(batch, length, size // form.heads, form.heads).transpose(0, 3, 1, 2)
    if form.reshaped:
        return array.reshape(batch, form.heads, length, size // form.heads)
    return array.reshape(batch, length, form.heads, size // form.heads).transpose(0, 2, 1, 3)
