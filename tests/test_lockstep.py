"""Step 10's float32 run covers as many epochs as the settings ask for."""

import pytest

from modelparity import Outcome, check
from toy.recorded import record_both

AN_EPOCH = 7  # batches of the toy
LEAST = 50  # updates


@pytest.mark.parametrize(
    ("lockstep", "updates"), [(1, LEAST), (8, 8 * AN_EPOCH), (0, 9 * AN_EPOCH)]
)
def test_both_sides_train_that_long_on_the_same_batches(tmp_path, lockstep, updates):
    sides = record_both(tmp_path, steps=(10,), epochs=9, lockstep_epochs=lockstep)
    [verdict] = check(sides.reference, sides.candidate, steps=(10,)).verdicts
    assert verdict.outcome is Outcome.ALIGNED, verdict.reason
    assert verdict.coverage["float32 updates"] == updates
    assert verdict.coverage["float64 updates"] == 50
