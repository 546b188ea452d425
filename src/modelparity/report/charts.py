"""Which curves the page shows of each step."""

from collections.abc import Mapping

from modelparity import judge
from modelparity.model import Verdict
from modelparity.report.svg import Chart, Curve, Line

Series = Mapping[str, tuple[float, ...]]


def charts(verdict: Verdict) -> list[tuple[Chart, str]]:
    """The charts of a step, each with a sentence that says how to read it."""
    series = verdict.series
    found: list[tuple[Chart, str]] = []
    if "gap/float64" in series or "gap/float32" in series:
        found.append(_growth(verdict))
    for what in ("loss", "rate"):
        if f"{what}/reference" in series and f"{what}/candidate" in series:
            found.append(_overlaid(verdict, what))
    if "gap" in series:
        found.append(_envelope(verdict))
    if "float64/gap" in series:
        found.append(_float64(series))
    return found


def _growth(verdict: Verdict) -> tuple[Chart, str]:
    modules = verdict.details.get("modules")
    names = tuple(map(str, modules)) if isinstance(modules, list | tuple) else ()
    faulty = verdict.details.get("at fault")
    blamed = [str(name) for name in faulty] if isinstance(faulty, list | tuple) else []
    first = next((n for n, name in enumerate(names) if name in blamed), None)
    marks = () if first is None else (Line(names[first], first),)
    curves = [
        Curve(label, style, verdict.series[key])
        for key, label, style in (
            ("gap/float32", "float32, candidate against the float64 reference", "single"),
            ("gap/float64", "float64, candidate against reference", "double"),
        )
        if key in verdict.series
    ]
    chart = Chart(
        "Growth of the gap over the modules",
        "module, in order of execution",
        "relative rms gap",
        tuple(curves),
        log=True,
        levels=(Line(f"float64 limit {judge.FLOAT64.rms:g}", judge.FLOAT64.rms),),
        indices=marks,
        names=names,
    )
    text = (
        "Each point is one module's output on the first batch, run freely, so a gap is carried on "
        "by every module after it. Zeros lie on the line at the bottom."
    )
    return chart, text


def _overlaid(verdict: Verdict, what: str) -> tuple[Chart, str]:
    label = {"loss": "loss", "rate": "learning rate"}[what]
    curves = (
        Curve("reference", "reference", verdict.series[f"{what}/reference"]),
        Curve("candidate", "candidate", verdict.series[f"{what}/candidate"]),
    )
    chart = Chart(
        f"{label.capitalize()} of both sides", "update", label, curves, indices=_horizon(verdict)
    )
    return chart, "The candidate is drawn dashed over the reference: one line means no visible gap."


def _horizon(verdict: Verdict) -> tuple[Line, ...]:
    """Where float32 stops showing anything; a run that ends before it has no such line."""
    horizon = verdict.details.get("horizon")
    length = len(verdict.series.get("loss/reference", ()))
    if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon >= length:
        return ()
    return (Line(f"horizon, update {horizon:,}", horizon, shaded=True),)


def _envelope(verdict: Verdict) -> tuple[Chart, str]:
    curves = [Curve("gap between the sides", "gap", verdict.series["gap"])]
    if "allowance" in verdict.series:
        label = f"allowed: {judge.ENVELOPE_FACTOR:g} times the running envelope"
        curves.insert(0, Curve(label, "allowance", verdict.series["allowance"]))
    chart = Chart(
        "Float32: gap of the losses and what is allowed",
        "update",
        "absolute gap",
        tuple(curves),
        log=True,
        indices=_horizon(verdict),
    )
    text = (
        "The envelope is how far float32 moves the reference: from itself when its first weights "
        "are nudged by one ulp, and from its own float64 run. Where that reaches "
        f"{judge.HORIZON:g} of the loss, the horizon, curves stop showing anything. Zeros lie on "
        "the line at the bottom."
    )
    return chart, text


def _float64(series: Series) -> tuple[Chart, str]:
    chart = Chart(
        "Float64: gap of the losses, which decides",
        "update",
        "relative gap",
        (Curve("gap between the sides", "double", series["float64/gap"]),),
        log=True,
        levels=(Line(f"limit {judge.POINT:g}", judge.POINT),),
    )
    return chart, "Both sides in double precision. Zeros lie on the line at the bottom."
