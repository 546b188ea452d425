"""Write JointBERT's planted faults into docs/steps.md: `python docs/steps_faults.py`."""

import re
from collections.abc import Sequence
from pathlib import Path

from modelparity import Fault

PAGE = Path(__file__).with_name("steps.md")
LEAD = "**Planted faults it catches.**"


def with_faults(page: str, faults: Sequence[Fault]) -> str:
    """The page with one line a section that names the faults which its step catches first."""
    page = re.sub(rf"\n{re.escape(LEAD)}[^\n]*\n", "", page)
    sections = re.split(r"(?m)^(?=## \d+\. )", page)
    written = [sections[0]]
    for section in sections[1:]:
        number = int(section[3:].partition(".")[0])
        names = [f"`{f.name}`" for f in faults if f.step == number and not f.equivalent]
        line = f"\n{LEAD} {', '.join(names)}.\n" if names else ""
        body = section.rstrip("\n") + "\n" + line
        written.append(body + ("\n" if section is not sections[-1] else ""))
    return "".join(written)


if __name__ == "__main__":
    from jointbert.faults import FAULTS

    PAGE.write_text(with_faults(PAGE.read_text(encoding="utf-8"), FAULTS), encoding="utf-8")
