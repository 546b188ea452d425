"""Processes that train one model together: who this one is, and how the others are started.

Each is started with the variables that `torchrun` and `paddle.distributed.launch` set, so that it
makes no difference who started it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Thread

from modelparity import ParityError, UsageError

HOST = "127.0.0.1"
LOST = 3  # exit code of a process that ends because another one has
ENDING = 30.0  # seconds that the first process has to write a checkpoint when another has ended
POLL = 0.05  # seconds
# Which process this is, and of how many, by framework.
PLACE: Mapping[str, tuple[str, str]] = {
    "torch": ("RANK", "WORLD_SIZE"),
    "paddle": ("PADDLE_TRAINER_ID", "PADDLE_TRAINERS_NUM"),
}
PARENT = "JOINTBERT_PARENT"  # set where `start` has started this process


Worker = subprocess.Popen[bytes]


class PeerLost(ParityError):
    """Another process of the training has ended before it, or does not answer."""


def place(framework: str) -> tuple[int, int]:
    """The number of this process and how many there are; (0, 1) where nobody has started more.

    UsageError where the launcher's variables are no such numbers.
    """
    names = PLACE[framework]
    given = [os.environ.get(name) for name in names]
    if None in given:
        return 0, 1
    try:
        rank, size = (int(str(value)) for value in given)
        if 0 <= rank < size:
            return rank, size
    except ValueError:
        pass
    told = ", ".join(f"{name}={value}" for name, value in zip(names, given, strict=True))
    raise UsageError(f"{told}: no number of a process; start it by torchrun or --processes")


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """What a process must know to meet the others of this machine, in either framework."""
    endpoint = f"{HOST}:{port}"
    return {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(port),
        "PADDLE_TRAINER_ID": str(rank),
        "PADDLE_TRAINERS_NUM": str(size),
        "PADDLE_MASTER": endpoint,
        "PADDLE_TRAINER_ENDPOINTS": ",".join([endpoint] * size),
        "PADDLE_CURRENT_ENDPOINT": endpoint,
        "PADDLE_DISTRI_BACKEND": "gloo",
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
        PARENT: str(os.getpid()),
    }


def start(command: Sequence[str], place: Mapping[str, str], out: int | None = None) -> Worker:
    """Start one process; it ends when this one does, however that ends."""
    # Of a session of its own, so that Ctrl-C reaches this process alone, which ends the others.
    return subprocess.Popen(
        command, env=place, stdin=subprocess.PIPE, stdout=out, start_new_session=True
    )


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


def end_with_parent() -> None:
    """Let this process end when the one that started it has, if `start` did."""
    if PARENT in os.environ:
        Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while os.read(0, 1):  # nothing is ever written: this waits for the end of the other side
        pass
    os._exit(LOST)


def run(arguments: Sequence[str], size: int) -> int:
    """Run `jointbert` with these arguments in so many processes; the exit code.

    Where one fails, the others are ended, and one line says so, unless it has said why itself.
    """
    port, command = free_port(), [sys.executable, "-m", "jointbert", *arguments]
    running: list[Worker] = []
    try:
        for rank in range(size):
            running.append(start(command, environment(rank, size, port)))
        statuses = _statuses(running)
    finally:
        end(running)
    return _conclude(statuses)


def end(running: Sequence[Worker]) -> None:
    """Kill these, where they still run, and wait until they are gone."""
    for worker in running:
        worker.kill()
    for worker in running:
        worker.communicate()


def _statuses(running: Sequence[Worker]) -> list[int | None]:
    """How each ended by itself; None for those that still ran when another had failed."""
    while any(worker.poll() is None for worker in running):
        if any(worker.poll() for worker in running):
            break
        time.sleep(POLL)
    else:
        return [worker.poll() for worker in running]
    with suppress(subprocess.TimeoutExpired):
        running[0].wait(ENDING)
    time.sleep(POLL)  # who was killed is known to its peers a little sooner than here
    return [worker.poll() for worker in running]


def _conclude(statuses: Sequence[int | None]) -> int:
    causes = [(rank, status) for rank, status in enumerate(statuses) if status]
    causes.sort(key=lambda cause: cause[1] == LOST)
    if not causes:
        return 0
    rank, status = causes[0]
    if status == 2:
        return status  # it has said why
    end = "does not hear of the others" if status == LOST else f"ended with status {status}"
    if status < 0:
        end = f"was killed by signal {-status} ({signal.Signals(-status).name})"
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""  # the line that shows how far it was
    print(
        f"{clear}jointbert: process {rank} of {len(statuses)} {end}, so the training has ended;"
        " the same command with --resume goes on",
        file=sys.stderr,
    )
    return 128 - status if status < 0 else status
