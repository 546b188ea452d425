"""Models of the Hugging Face hub, by the client's own cache: fetched once, then read from disk.

Which hub it is, where the cache lies and how one logs in is the client's: its environment
variables `HF_ENDPOINT`, `HF_HOME` and `HF_TOKEN` are obeyed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelparity import InputError, UsageError


def fetch(name: str, needed: Sequence[str], wanted: Sequence[str]) -> Path:
    """The directory of `owner/name` in the client's cache, with all of `needed`.

    wanted  files that are fetched besides where the repository has them
    Raises UsageError where the client is not installed and InputError for whatever else prevents
    it: no network, no such repository or no permission, a repository without what is needed.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise UsageError(
            f"{name}: no such directory, and models of the hub need the package huggingface_hub;"
            " pip install modelparity[hub]"
        ) from None
    try:
        directory = Path(huggingface_hub.snapshot_download(name, allow_patterns=[*needed, *wanted]))
    except Exception as error:  # of several libraries: the client's, its transport's, the disk's
        raise InputError(f"{name}: no such directory, and {_reason(error)}") from None
    missing = [file for file in needed if not (directory / file).exists()]
    if missing:
        raise InputError(
            f"{name}: on the hub, but without {', '.join(missing)}; name a BERT that has them"
        )
    return directory


def _reason(error: Exception) -> str:
    """What went wrong and what to do, in one line."""
    from huggingface_hub import utils

    if isinstance(error, utils.GatedRepoError):
        return "the hub gives it to some only; ask for access on its page, then set HF_TOKEN"
    if isinstance(error, utils.RepositoryNotFoundError):
        return "the hub has no such model, or a private one; check the name, or set HF_TOKEN"
    if isinstance(error, utils.HFValidationError):
        return "it is not a name that the hub could have; write owner/name"
    cause: Any = error.__cause__ if isinstance(error, utils.LocalEntryNotFoundError) else error
    answer = getattr(cause, "response", None)
    if answer is not None:
        return f"the hub answers {answer.status_code}; try again later, or name a directory"
    said = str(cause).strip().split("\n")[0] or type(cause).__name__
    if isinstance(error, utils.LocalEntryNotFoundError):
        return (
            f"the hub cannot be reached ({said}) and nothing of it is in the cache; check the"
            " network, or name a directory"
        )
    return f"it cannot be fetched ({said}); start again to go on"
