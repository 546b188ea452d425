"""A wrong port: the candidate with one function replaced. It forgets to clip the gradients."""

from examples.digits.candidate import *  # noqa: F403


def update(model, optimizer, schedule, settings):  # noqa: ARG001
    """One update, without clipping."""
    optimizer.step()
    schedule.step()
