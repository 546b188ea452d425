"""Freed memory that is kept."""

import subprocess
import sys

import pytest

from jointbert.memory import keep_freed

FAULTS = """
import resource, sys
import numpy as np
from jointbert.memory import keep_freed
if sys.argv[1] == "keep":
    keep_freed()
np.ones(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(1 << 24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", FAULTS, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc is asked")
def test_large_arrays_reuse_their_pages():
    if "glibc" not in __import__("platform").libc_ver()[0]:
        pytest.skip("glibc's malloc is asked")
    assert keep_freed()
    assert faults("keep") < faults("leave") / 10
