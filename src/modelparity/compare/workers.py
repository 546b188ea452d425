"""Who does the tasks: this process, processes beside it, or a Dask cluster. All yield in order."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from modelparity.compare.tasks import Files, Result, Task, Tensors, run
from modelparity.errors import InputError, ParityError, UsageError

AGAIN = 3  # times that tasks are given out; a worker that the system killed is replaced


def do(
    files: Files, tasks: Sequence[Task], *, workers: int = 1, dask: str = ""
) -> Iterator[Result]:
    """The results of tasks, in their order.

    workers  processes on this machine
    dask     the address of a Dask scheduler whose workers see the same paths; "" for none
    UsageError where the cluster cannot be used, InputError where a file cannot be read, ParityError
    where workers are lost again and again.
    """
    if dask:
        return _on_dask(files, tasks, dask)
    if workers > 1 and len(tasks) > 1:
        return _beside(files, tasks, workers)
    return (run(files, task) for task in tasks)


def _beside(files: Files, tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    # Spawned, not forked: a parent with threads or a framework must not be copied.
    context = multiprocessing.get_context("spawn")
    done = 0
    for _ in range(AGAIN):
        count = min(workers, len(tasks) - done)
        with ProcessPoolExecutor(count, mp_context=context) as pool:
            try:
                for result in pool.map(partial(run, files), tasks[done:]):
                    done += 1
                    yield result
            except BrokenProcessPool:
                continue
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return
    raise ParityError(
        f"worker processes were killed {AGAIN} times: is there memory for {workers} of them?"
    )


def _on_dask(files: Files, tasks: Sequence[Task], address: str) -> Iterator[Result]:
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise UsageError(
            "--dask needs the package distributed: pip install 'modelparity[dask]'"
        ) from None
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"--dask {address}: no scheduler answers: {error}") from None
    with client:
        if not client.scheduler_info().get("workers"):
            raise UsageError(f"--dask {address}: the cluster has no workers; start some first")
        futures = client.map(partial(run, _anywhere(files)), list(tasks), pure=False, retries=AGAIN)
        try:
            for future in futures:
                result: Result = future.result()
                future.release()
                yield result
        except KilledWorker:
            raise ParityError(
                f"--dask {address}: workers that compared the same tensors were lost {AGAIN} times"
            ) from None
        except ImportError as error:
            raise UsageError(
                f"--dask {address}: a worker lacks this package: {error}; install it there too"
            ) from None
        except OSError as error:
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise InputError(
                f"--dask {address}: a worker cannot read {what}; do all see the same paths?"
            ) from None


def _anywhere(files: Files) -> Files:
    """The same for workers that were started in other directories."""
    reference, candidate, truth = map(_absolute, files[:3])
    assert reference is not None
    assert candidate is not None
    return Files(reference, candidate, truth, files.run)


def _absolute(source: Path | Tensors | None) -> Path | Tensors | None:
    return source.absolute() if isinstance(source, Path) else source
