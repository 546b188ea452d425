"""Where a task lies, in whichever form a user has it."""

from pathlib import Path

from jointbert.embedded import write_task
from jointbert.jsonl import as_task

EMBEDDED = "embedded"  # stands for the embedded task or model, where no such directory exists


def task_directory(data: str | Path, scratch: Path, split: str) -> Path:
    """The directory of the task in the seq.in/seq.out/label layout.

    The embedded task, and one whose `split` is there as JSON Lines only, are written to `scratch`.
    Raises InputError for a line that is wrong.
    """
    directory = Path(data).expanduser()
    if str(data) == EMBEDDED and not directory.is_dir():
        write_task(scratch)
        return scratch
    if (directory / f"{split}.jsonl").exists() and not (directory / split).is_dir():
        return as_task(directory, scratch)
    return directory
