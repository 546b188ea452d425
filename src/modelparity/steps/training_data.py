"""Step 8: the port reads, shuffles and batches the training data as the reference does."""

import numpy as np

from modelparity.model import Verdict
from modelparity.steps.evaluation_data import judge_data
from modelparity.steps.evidence import Evidence
from modelparity.steps.recorder import Recorder

NUMBER, NAME, TITLE = 8, "training_data", "training data"
CLAIM = "every batch of two shuffled epochs, all fields, in order"
EPOCHS = 2


def record(recorder: Recorder) -> None:
    """Record every batch of the first epochs."""
    for epoch in range(EPOCHS):
        count = 0
        batches = recorder.call("training_batches", recorder.settings, epoch)
        for number, batch in enumerate(batches):
            for field, array in batch.items():
                recorder.writer.add(f"epoch.{epoch}/{number}/{field}", np.asarray(array))
            count = number + 1
        recorder.writer.facts[f"epoch {epoch} batches"] = count
        recorder.progress("training data", epoch + 1, EPOCHS)


def judge_step(evidence: Evidence) -> Verdict:
    """Every element equal."""
    parts = {f"epoch {epoch}": f"epoch.{epoch}/" for epoch in range(EPOCHS)}
    return judge_data(evidence, NUMBER, TITLE, parts)
