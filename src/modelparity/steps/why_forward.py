"""What would explain a finding of step 1, from what the reference recorded around it."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.diagnose import (
    Hint,
    Hypothesis,
    arrays,
    attention,
    closing,
    dropouts,
    layers,
    losses,
    wiring,
)
from modelparity.masks import keep_mask
from modelparity.model import Finding
from modelparity.steps.evidence import Evidence
from modelparity.steps.stirred import stirred

Array = np.ndarray[Any, Any]

MASKED = "masked/"  # how the names of step 6 begin
NEAR = 30  # outputs before a place that may have been wired to it


def why(evidence: Evidence, finding: Finding) -> Iterator[Hint]:
    """Hints for a module, for the glue before one, for a setting, or for a loss."""
    if finding.source:
        yield from why_forced(evidence, finding)
    elif finding.compared is None:
        yield from _setting(evidence, finding)
    elif finding.compared[1].size == 1:
        yield from _loss(evidence, finding)


def why_forced(evidence: Evidence, finding: Finding) -> Iterator[Hint]:
    """The candidate was given the reference's inputs, and made something else of them.

    Steps 1 and 6 do so; the names of all arrays of step 6 begin with `masked/`.
    """
    start = finding.source.partition("forced/")[0]
    run, rest = _parts(evidence, finding.source)
    module, _, place = rest.partition("#")
    name = evidence.module_names.get(module, module)
    faced = f"float64/{run}/{name}#{place}"
    is_input = ".input." in place
    ours = evidence.reference
    whole = ours.array(f"{start}leaf/{faced}" if is_input else f"{start}{faced}")
    candidate = evidence.candidate.array(finding.source)
    if candidate.shape != whole.shape:
        return
    mask = evidence.batch_mask(run)
    if whole.dtype.kind != "f":
        yield from closing(candidate, whole, _at_padding(whole, mask))
        return
    view = partial(_part, mask, finding.name.endswith(judge.AT_PADDING))
    tried: list[Iterator[Hypothesis]] = []
    fed = f"{start}{_fed(run, name, place)}"
    if not is_input and fed in ours:
        tried.append(_inside(evidence, module, fed, whole))
        parameters = _parameters(evidence).get(name, {})
        tried.append(layers.looked_up(ours.array(fed), candidate, parameters))
    before = _before(evidence, f"{start}float64/{run}/", name)
    qkv = _qkv(before, whole)
    if qkv and mask is not None and (is_input or fed not in ours):
        kept = _kept(evidence, name) if start else None
        tried.append(attention.hypotheses(qkv, whole, mask, kept))
    if start:
        drops = _drops(evidence, f"{start}{{}}float64/{run}/", before)
        tried.append(dropouts.hypotheses(whole, before, drops))
    if is_input or fed not in ours:
        tried.append(wiring.hypotheses(candidate, whole, before, mask))
    found = ((text, view(predicted)) for text, predicted in chain(*tried))
    yield from closing(view(candidate), view(whole), found)


def _parts(evidence: Evidence, array: str) -> tuple[str, str]:
    """(the run, what was recorded in it) of an array's name."""
    if array.startswith(MASKED):
        run, _, rest = array.partition("forced/")[2].partition("/")
        return run, rest
    rest = array.partition("/")[2]
    runs: list[str] = evidence.reference.facts["runs"]
    run = next(run for run in runs if rest.startswith(f"{run}/"))
    return run, rest[len(run) + 1 :]


def _part(mask: Array | None, padding: bool, array: Array) -> Array:
    parts = dict(judge.split_by_mask(array, mask))
    return parts[judge.AT_PADDING if padding else ""]


def _fed(run: str, name: str, place: str) -> str:
    """The array that a leaf module (the reference's name) was fed in one of its runs."""
    return f"leaf/float64/{run}/{name}#{place.partition('.')[0]}.input.0"


def _inside(evidence: Evidence, module: str, fed: str, whole: Array) -> Iterator[Hypothesis]:
    """A leaf module's own formula, varied; eps also as the two sides say they have it."""
    own = evidence.module_names.get(module, module)
    parameters = _parameters(evidence).get(own, {})
    sides = next((pair for name, *pair in evidence.settings() if name == module), [])
    eps = (float(side["eps"]) for side in sides if side.get("eps") is not None)
    others = {
        name: values
        for name, values in _parameters(evidence).items()
        if name != own and _shapes(values) == _shapes(parameters)
    }
    arrays = evidence.reference.array(fed), whole
    return layers.hypotheses(*arrays, parameters, tuple(eps), others)


def _parameters(evidence: Evidence) -> dict[str, dict[str, Array]]:
    """Every module's own parameters by the last part of their names."""
    found: dict[str, dict[str, Array]] = {}
    for name in evidence.reference_model.below("parameter/"):
        module, _, last = name.rpartition(".")
        found.setdefault(module, {})[last] = stirred(evidence, name).astype(np.float64)
    return found


def _shapes(parameters: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in parameters.items()}


def _at_padding(whole: Array, mask: Array | None) -> Iterator[Hypothesis]:
    """Whole numbers that a module is given, such as positions, otherwise at padding."""
    if mask is not None and mask.shape == whole.shape:
        yield "it is 0 at padding", np.where(mask.astype(bool), whole, 0)
        yield "it is 1 at padding", np.where(mask.astype(bool), whole, 1)
        yield "they count only what is not padding", (np.cumsum(mask, axis=-1) - 1) * mask


def _drops(evidence: Evidence, start: str, before: Mapping[str, Array]) -> dict[str, Array]:
    """What the dropouts among these modules were given."""
    kinds = evidence.reference_model.facts.get("configuration", {})
    fed = {
        name: f"{start.format('leaf/')}{name}{'' if '#' in name else '#0'}.input.0"
        for name in before
        if kinds.get(name.partition("#")[0], {}).get("kind") == "dropout"
    }
    ours = evidence.reference
    return {name: ours.array(array) for name, array in fed.items() if array in ours}


def _kept(evidence: Evidence, module: str) -> Array | None:
    """What a module's own dropout multiplies with, by the shared mask; None where it has none."""
    site = f"{module}#0"
    found = evidence.reference.facts.get("training sites", {}).get(site, {})
    if not found.get("active"):
        return None
    seed = int(evidence.reference.manifest["settings"].get("seed", 0))
    mask = keep_mask((seed, 0, module, 0), tuple(found["shape"]), found["rate"])
    scaled: Array = mask * float(found["scale"])
    return scaled


def _before(evidence: Evidence, start: str, module: str) -> dict[str, Array]:
    """The outputs below `start` that the reference had made when this module ran, last first."""
    ours = evidence.reference
    names = [name for name in ours.below(start) if "#" in name]
    runs = [name.partition("#")[0] for name in names]
    until = runs.index(module) if module in runs else len(names)
    found: dict[str, Array] = {}
    for name in reversed(names[max(0, until - NEAR) : until]):
        array = ours.array(start + name)
        if array.dtype.kind == "f":
            found[name.removesuffix(".output.0").removesuffix("#0")] = array
    return found


def _qkv(before: Mapping[str, Array], out: Array) -> tuple[Array, Array, Array] | None:
    """The last three outputs of this shape, or the last that holds three of them."""
    if out.ndim != 3:
        return None
    like = [array for array in before.values() if array.shape == out.shape][:3]
    joint = (*out.shape[:2], 3 * out.shape[2])
    fused = next((array for array in before.values() if array.shape == joint), None)
    if fused is not None:
        query, key, value = np.split(fused, 3, axis=-1)
        return query, key, value
    return (like[2], like[1], like[0]) if len(like) == 3 else None


def _setting(evidence: Evidence, finding: Finding) -> Iterator[Hint]:
    """A setting that differs: what it alone does to the module's output, where that shows."""
    module, _, setting = finding.name.rpartition(".")
    name = evidence.module_names.get(module, module)
    for source in evidence.candidate.names:
        if setting == "eps" and source.startswith("forced/") and f"/{module}#" in source:
            run, place = _parts(evidence, source)[0], source.partition("#")[2]
            fed = _fed(run, name, place)
            if place != "0.output.0" or fed not in evidence.reference:
                continue
            whole = evidence.reference.array(f"float64/{run}/{name}#{place}")
            tried = _inside(evidence, module, fed, whole)
            yield from closing(evidence.candidate.array(source), whole, tried)
            return


def _loss(evidence: Evidence, finding: Finding) -> Iterator[Hint]:
    """A single number: another reduction, or a share that counts of things make."""
    assert finding.compared is not None
    candidate, reference = finding.compared
    run, _ = _parts(evidence, finding.name)
    ours, start = evidence.reference, f"float64/{run}/"
    outputs = {n: ours.array(start + n) for n in ours.below(start) if "#" not in n}
    prefix, _, number = run.rpartition("/")
    given = f"given/{prefix + '/' if prefix else ''}batch/{number}/"
    batch = {n: ours.array(given + n) for n in ours.below(given)}
    labels = {n: a for n, a in batch.items() if a.dtype.kind in "iu"}
    mask = evidence.batch_mask(run)
    logits = {n: a for n, a in outputs.items() if a.dtype.kind == "f"}
    yield from closing(candidate, reference, losses.hypotheses(reference, logits, labels, mask))
    single = {n: a for n, a in logits.items() if a.size == 1 and not finding.name.endswith(n)}
    yield from closing(candidate, reference, wiring.hypotheses(candidate, reference, single))
    for name, part in single.items():
        forms = losses.hypotheses(part, logits, labels, mask)
        told = ((f"in {name}, {text}", reference + value - part) for text, value in forms)
        yield from closing(candidate, reference, told)
    yield from arrays.explain(candidate=candidate, reference=reference, counts=_counts(batch, mask))


def _counts(batch: Mapping[str, Array], mask: Array | None) -> dict[str, float]:
    """What a batch has numbers of."""
    counts: dict[str, float] = {}
    for array in batch.values():
        if array.ndim:
            counts.setdefault("sentences", float(len(array)))
        if array.ndim > 1:
            counts.setdefault("positions", float(array.shape[0] * array.shape[1]))
    if mask is not None:
        counts["positions that are not padding"] = float(np.count_nonzero(mask))
    for field, array in batch.items():
        if array.dtype.kind in "iu" and (array < 0).any():
            counts[f"labels of {field}"] = float(np.count_nonzero(array >= 0))
        elif array.dtype.kind in "iu":
            counts[f"nonzero {field}"] = float(np.count_nonzero(array))
    return counts
