"""Step 4: the optimizer turns the same gradients into the same parameters and state."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from modelparity import judge
from modelparity.adapters import Applied
from modelparity.model import Finding, Verdict
from modelparity.steps.evidence import Comparison, Evidence, compare, elements
from modelparity.steps.rated import RATES, rated_alike
from modelparity.steps.recorder import PRECISIONS, Recorder, Settings
from modelparity.steps.updates import by_parameter, global_norm
from modelparity.steps.why_updates import why_update

Array = np.ndarray[Any, Any]

NUMBER, NAME, TITLE = 4, "optimizer", "optimizer"
CLAIM = "parameters and optimizer state after each update from recorded gradients"

NORM = 0.01  # of the recorded gradients: below any usual clip limit
# One an update: sign and size change over time. After the third, a second moment is smaller than
# before, which tells AMSGrad.
FACTORS = (1.0, -0.5, 2.0**-6, 1.0, -1.0, 0.75)


def record(recorder: Recorder) -> None:
    """Apply updates from the reference's gradients and record parameters and state after each."""
    gradients = recorder.shared_arrays(NAME, "gradient", lambda: reference_gradients(recorder))
    weights = recorder.initial_weights()
    rates: dict[str, list[float]] = {}
    for prefix, settings in recorder.variants(NAME):
        for dtype in PRECISIONS:
            rates |= _updates(recorder, settings, (weights, gradients), dtype, prefix)
    recorder.writer.facts[RATES] = rates


def _updates(
    recorder: Recorder,
    settings: Settings,
    inputs: tuple[dict[str, Array], ...],
    dtype: str,
    prefix: str,
) -> dict[str, list[float]]:
    weights, gradients = inputs
    model = recorder.build(settings, weights, dtype, training=True)
    built = recorder.call("build_optimizer", model, settings, len(FACTORS))
    if dtype == "float64":
        configuration = recorder.adapter.optimizer_configuration(model, built[0])
        recorder.writer.facts[f"{prefix}optimizer"] = configuration
    rates: list[Mapping[str, float]] = []
    given: dict[str, Array] = {}

    def note(applied: Applied) -> None:
        rates.append(applied.rates)

    # The rule gets these gradients whatever clipping makes of them, which is the claim of step 6.
    with recorder.adapter.watch_updates(model, built[0], note, lambda: given):
        for update, factor in enumerate(FACTORS):
            start = f"{dtype}/{prefix}update.{update}/"
            given.update(_scaled(recorder, model, gradients, factor))
            apply(recorder, model, built, gradients, settings=settings, factor=factor)
            recorder.add_parameters(f"{start}parameter/", recorder.adapter.parameters(model))
            add_state(recorder, model, built[0], start)
            recorder.progress(f"optimizer, {dtype}", update + 1, len(FACTORS))
    named = recorder.by_reference_name(by_parameter(rates))
    return {f"{dtype}/{prefix}{name}": array.tolist() for name, array in named.items()}


def apply(
    recorder: Recorder,
    model: Any,
    built: tuple[Any, Any],
    gradients: Mapping[str, Array],
    *,
    settings: Settings,
    factor: float,
) -> None:
    """One update from given gradients times a factor, in the precision of the model."""
    recorder.adapter.set_gradients(model, _scaled(recorder, model, gradients, factor))
    optimizer, schedule = built
    recorder.call("update", model, optimizer, schedule, settings)


def _scaled(
    recorder: Recorder, model: Any, gradients: Mapping[str, Array], factor: float
) -> dict[str, Array]:
    dtypes = {n: a.dtype for n, a in recorder.adapter.parameters(model).items()}
    return {n: g.astype(dtypes[n]) * dtypes[n].type(factor) for n, g in gradients.items()}


def add_state(recorder: Recorder, model: Any, optimizer: Any, start: str) -> None:
    """Record the optimizer's state by kind and parameter."""
    kinds: dict[str, dict[str, Array]] = {}
    for name, state in recorder.adapter.optimizer_state(model, optimizer).items():
        for kind, array in state.items():
            kinds.setdefault(kind, {})[name] = array
    for kind, arrays in kinds.items():
        recorder.add_parameters(f"{start}{kind}/", arrays)


def reference_gradients(recorder: Recorder) -> dict[str, Array]:
    """Float32 gradients of the first sample batch, scaled to a global norm of NORM."""
    batch = next(iter(recorder.call("sample_batches", recorder.settings)))
    model = recorder.build(recorder.settings, recorder.initial_weights(), "float32")
    recorder.loss_and_gradients(model, batch, "float32")
    gradients = recorder.adapter.gradients(model)
    norm = global_norm(gradients)
    return {n: (g.astype(np.float64) * (NORM / norm)).astype(g.dtype) for n, g in gradients.items()}


def judge_step(evidence: Evidence) -> Verdict:
    """Parameters and state by float64 and noise; betas, eps and kind equal.

    Which rates the updates have is the claim of step 5, so parameters are judged as under the
    reference's.
    """
    findings = _settings(evidence)
    moved, notes = rated_alike(evidence)
    how = Comparison(condition=partial(_condition, evidence), modules=False, moved=moved)
    findings += compare(evidence, "", how)
    ours = evidence.reference
    compared = [n for n in ours.names if n.startswith(PRECISIONS)]
    return judge.conclude(
        NUMBER,
        TITLE,
        findings if compared else [],
        coverage={
            "updates": len(FACTORS),
            "arrays": len(compared),
            "elements": elements(ours, compared),
        },
        notes=notes,
        why=partial(why_update, evidence, factors=FACTORS),
    )


def _condition(evidence: Evidence, name: str) -> float:
    """One ulp of beta is 1 / (1 - beta) ulps of 1 - beta, which moments are multiplied with."""
    configuration: Mapping[str, Any] = next(iter(evidence.reference.facts.values()), {})
    for kind, beta in (("first_moment", "beta1"), ("second_moment", "beta2")):
        if f"/{kind}/" in name and 0.0 <= float(configuration.get(beta, 0.0)) < 1.0:
            return 1.0 / (1.0 - float(configuration[beta]))
    return 1.0


def _settings(evidence: Evidence) -> list[Finding]:
    findings = []
    for key, reference in evidence.reference.facts.items():
        if key == RATES:  # the claim of step 5
            continue
        candidate = evidence.candidate.facts.get(key, {})
        kept = {*candidate, *reference} - {"decay"}
        if not ("kind" in candidate and "kind" in reference):  # an optimizer of one's own
            kept &= candidate.keys() & reference.keys()
        findings += judge.facts(
            key,
            candidate={k: v for k, v in candidate.items() if k in kept},
            reference={k: v for k, v in reference.items() if k in kept},
            what="setting",
        )
    return findings
