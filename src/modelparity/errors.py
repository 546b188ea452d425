"""What can go wrong before a verdict is possible; every message is one line."""


class ParityError(Exception):
    """Base of the errors that end a command with exit code 2."""


class UsageError(ParityError):
    """A command, case, side or setting that cannot be used as given."""


class InputError(ParityError):
    """A file or directory that is missing, corrupt or at odds with another."""


class UnreachableDropout(ParityError):
    """A dropout that happens where no mask can be injected."""
