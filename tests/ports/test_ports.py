"""The ladder holds for ports of other architectures than the one it was made for."""

import importlib.util
import warnings

import pytest

for framework in ("torch", "paddle"):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"the ports need {framework}", allow_module_level=True)

# PyTorch comes first: this order is the one that loads both; Paddle's import warns.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ports import wrong_references as references  # isort: skip
    from ports import wrong_candidates as candidates  # isort: skip

from modelparity import Outcome, check  # noqa: E402
from modelparity.check import ALL_STEPS  # noqa: E402
from modelparity.steps import LEANS_ON  # noqa: E402
from ports import cases  # noqa: E402
from toy.recorded import Sides, record_side  # noqa: E402

# Said by every BatchNorm of Paddle's in training.
pytestmark = pytest.mark.filterwarnings("ignore:When training, we now always track")

CASES = {"convnet": cases.CONVNET, "gpt": cases.GPT}


def planted(**kinds):
    """(case, fault), each named for both."""
    return [
        pytest.param(case, fault, id=f"{case}-{fault.name}")
        for case, faulty in kinds.items()
        for fault in faulty
    ]


def recorded(case, out, *, given=None, module="", wrong=None, **how):
    """One side of a case; the candidate's where it is given the reference's recordings."""
    role = "candidate" if given else "reference"
    module = module or getattr(CASES[case], role)
    return record_side(
        role, out / role, module=module, given=given, case=CASES[case], fault=wrong, **how
    )


@pytest.fixture(scope="session")
def clean(tmp_path_factory):
    """Makes a case's clean recordings, once for all tests; nobody may change them."""
    made = {}

    def of(case):
        if case not in made:
            out = tmp_path_factory.mktemp(case)
            reference = recorded(case, out)
            made[case] = Sides(reference, recorded(case, out, given=reference))
        return made[case]

    return of


@pytest.fixture(scope="session")
def verdicts(clean):
    """A clean case's verdicts by step, judged once."""
    made = {}

    def of(case):
        if case not in made:
            sides = clean(case)
            report = check(sides.reference, sides.candidate)
            made[case] = {verdict.number: verdict for verdict in report.verdicts}
        return made[case]

    return of


def judged(sides, steps):
    """Each step's outcome, and the reason of the first that is not aligned."""
    report = check(sides.reference, sides.candidate, steps=steps)
    outcomes = {v.number: v.outcome for v in report.verdicts}
    reasons = [v.reason for v in report.verdicts if v.outcome is not Outcome.ALIGNED]
    return outcomes, reasons[0] if reasons else ""


@pytest.mark.parametrize("case", CASES)
def test_a_clean_port_is_aligned_on_every_step(verdicts, case):
    outcomes = {number: verdict.outcome for number, verdict in verdicts(case).items()}
    reasons = [verdict.reason for verdict in verdicts(case).values()]
    assert outcomes == dict.fromkeys(ALL_STEPS, Outcome.ALIGNED), reasons


def test_the_steps_that_run_a_norm_in_float32_note_a_weaker_claim(verdicts):
    norms = "first.norm1, first.norm2, loop.norm1 and 2 more"
    note = f"weaker claim: {norms} compute in float32 inside a float64 run"
    assert {1, 3, 7, 10} <= {number for number, v in verdicts("gpt").items() if note in v.notes}


def test_a_net_of_float64_makes_no_weaker_claim(verdicts):
    notes = [note for verdict in verdicts("convnet").values() for note in verdict.notes]
    assert not [note for note in notes if "weaker" in note]


def test_running_statistics_are_compared_after_the_transfer_and_after_training(verdicts):
    for number, start in ((1, ""), (10, "float64/trained/")):
        names = {finding.name for finding in verdicts("convnet")[number].findings}
        assert {f"{start}norm1.running_mean", f"{start}norm1.running_var"} <= names


def test_a_block_that_runs_twice_is_compared_in_both_runs(verdicts):
    names = {finding.name for finding in verdicts("gpt")[1].findings}
    assert {f"float64/0/loop.fc#{run}.output.0" for run in (0, 1)} <= names


@pytest.mark.parametrize(
    ("case", "fault"), planted(convnet=candidates.CONVNETS, gpt=candidates.GPTS)
)
def test_a_wrong_port_is_caught_by_its_own_step_which_names_its_place(clean, tmp_path, case, fault):
    steps = (*LEANS_ON.get(fault.step, ()), fault.step)
    reference = clean(case).reference
    wrong = recorded(case, tmp_path, given=reference, wrong=fault, steps=steps)
    outcomes, reason = judged(Sides(reference, wrong), steps)
    assert outcomes == dict.fromkeys(steps, Outcome.ALIGNED) | {fault.step: Outcome.DIVERGED}, (
        reason
    )
    assert fault.site in reason


@pytest.mark.parametrize(
    ("case", "fault"), planted(convnet=references.CONVNETS, gpt=references.GPTS)
)
def test_a_wrong_reference_is_caught_likewise(tmp_path, case, fault):
    steps = tuple(sorted({1, fault.step}))
    wrong = recorded(case, tmp_path, wrong=fault, steps=steps)
    candidate = recorded(case, tmp_path, given=wrong, steps=steps)
    outcomes, reason = judged(Sides(wrong, candidate), steps)
    assert outcomes == dict.fromkeys(steps, Outcome.ALIGNED) | {fault.step: Outcome.DIVERGED}, (
        reason
    )
    assert fault.site in reason


OUTSIDE = """
from ports.convnet_paddle import *
from ports.convnet_paddle import BatchNorm, Net


def build_model(settings):
    model = Net(settings["dropout"])
    model.norm3.__class__ = Biased
    return model


class Biased(BatchNorm):
    def forward(self, x):
        before = self._variance.clone()
        y = super().forward(x)
        if self.training:
            batch = x.var([0, 2, 3], unbiased=False)
            self._variance.set_value(0.9 * before + 0.1 * batch)
        return y
"""


def test_a_wrong_side_outside_the_package_is_caught_likewise(clean, side, tmp_path):
    module, reference = side("outside_convnet", OUTSIDE), clean("convnet").reference
    wrong = recorded("convnet", tmp_path, given=reference, module=module)
    outcomes, reason = judged(Sides(reference, wrong), ALL_STEPS)
    assert outcomes == dict.fromkeys(ALL_STEPS, Outcome.ALIGNED) | {10: Outcome.DIVERGED}, reason
    assert "norm3.running_var" in reason
