"""Feed broken files to the readers of `modelparity.formats`, led by the lines that they reach.

    python benchmarks/fuzz_formats.py --seconds 1200 [--corpus DIR] [--found DIR] [--keep DIR]

A file must be read, or refused by an InputError of one printable line. Anything else is a finding:
another exception, two seconds, half a gigabyte of memory, a child process, an import, a file opened
for writing. Files that reach new lines join the corpus; `--keep` writes the fewest of them that
reach the same lines.
"""

import argparse
import contextlib
import hashlib
import io
import json
import pickle
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import modelparity.formats
from modelparity.errors import InputError
from modelparity.formats import open_tensors

HERE = str(Path(modelparity.formats.__file__).parent)
SECONDS, MEMORY, LARGEST = 2, 512 << 20, 6000  # of one file: time, bytes of memory, bytes
FORBIDDEN = ("os.system", "os.exec", "os.spawn", "os.posix_spawn", "subprocess", "socket", "import")
Lines = set[tuple[str, int, int]]  # code, the line before, the line


class Finding(BaseException):
    """What the readers did and may not do; no `except Exception` hides it."""


def chunked(path: Path) -> None:
    """Read a file as a comparison does. InputError as `open_tensors` and chunks raise it."""
    for tensor in list(open_tensors(path).values())[:200]:
        for number, _ in enumerate(tensor.chunks(1000)):
            if number > 100:
                break


def attempt(path: Path) -> bool:
    """Whether a file is read, or else refused as it must be. Finding for anything else."""
    try:
        chunked(path)
        return True
    except InputError as error:
        if not str(error).isprintable():
            raise Finding(f"the message is not one printable line: {error!r}") from None
        return False


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: what is forbidden while a file is read."""
    if not _watching:
        return
    writes = event == "open" and arguments[1] and set(str(arguments[1])) & set("wax+")
    spooling = event == "open" and str(arguments[0]).startswith(tempfile.gettempdir())
    # Codecs and the like are imported late; a module that is loaded already is no event.
    known = event == "import" and str(arguments[0]).startswith(("encodings", "_", "numpy"))
    if (event.startswith(FORBIDDEN) and not known) or (writes and not spooling):
        raise Finding(f"{event} {arguments}")


_watching: list[bool] = []


def traced(path: Path) -> tuple[Lines, str]:
    """(the lines reached in turn, what was found or "")."""
    lines: Lines = set()
    before: dict[int, int] = {}

    def local(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        if event == "line":
            code = frame.f_code
            lines.add((code.co_qualname, before.get(id(frame), 0), frame.f_lineno))
            before[id(frame)] = frame.f_lineno
        return local

    def trace(frame: FrameType, _: str, __: Any) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(HERE):
            return None
        before.pop(id(frame), None)
        return local

    found = ""
    signal.setitimer(signal.ITIMER_PROF, 10 * SECONDS)  # tracing makes it several times slower
    _watching.append(True)
    sys.settrace(trace)
    try:
        attempt(path)
    except (Finding, Exception) as error:
        found = f"{type(error).__name__}: {error}"
    finally:
        sys.settrace(None)
        _watching.clear()
        signal.setitimer(signal.ITIMER_PROF, 0)
    return lines, found


def expired(*_: Any) -> None:
    raise Finding("it takes too long")


def limited(path: Path) -> str:
    """What is found without tracing, in the time allowed."""
    start = time.process_time()
    try:
        attempt(path)
    except (Finding, Exception) as error:
        return f"{type(error).__name__}: {error}"
    return "" if time.process_time() - start < SECONDS else "it takes too long"


# Seeds: small files of every format, as their packages write them.


def seeds() -> Iterator[bytes]:
    array, small = np.arange(6.0, dtype="f4").reshape(2, 3), np.array([1, 2], "i8")
    for value in (array, np.asfortranarray(array), array.astype(">f8"), np.zeros((0, 3)), small):
        yield written(lambda f, value=value: np.save(f, value))
    yield written(lambda f: np.save(f, {"w": array, "n": {"a": [1, 2.5]}}, allow_pickle=True))
    yield written(lambda f: np.savez(f, a=array, b=small))
    yield written(lambda f: np.savez_compressed(f, a=array, b=np.asfortranarray(array)))
    held = {"w": array, "b": ("name", small), "s": np.float32(2), "n": [1, 1j, None, True]}
    for protocol in (2, 3, 4, 5):
        yield pickle.dumps(OrderedDict(held), protocol)
    cut = {"w": {"OriginShape": (2, 3), "slices": ["w@@.0", "w@@.1"]}}
    big = {"w@@.0": array.reshape(-1)[:4], "w@@.1": array.reshape(-1)[4:]}
    yield pickle.dumps({**big, "UnpackBigParamInfor@@": cut}, 2)
    yield safetensors({"w": array, "b": small, "h": array.astype("f2")})
    yield json.dumps({"metadata": {}, "weight_map": {"w": "shard"}}).encode()
    yield from checkpoints()


def checkpoints() -> Iterator[bytes]:
    try:
        import torch
    except ImportError:
        return
    base = torch.arange(12.0).reshape(3, 4)
    state = {
        "model": OrderedDict(w=base, v=base[1:, ::2], t=base.T, e=torch.ones(1).expand(3)),
        "p": torch.nn.Parameter(torch.ones(2)),
        "b": torch.ones(2, dtype=torch.bfloat16),
        "more": [np.arange(3), 3, 0.5, "text", torch.Size([1])],
    }
    for zipped in (True, False):
        yield written(lambda f, z=zipped: torch.save(state, f, _use_new_zipfile_serialization=z))
    yield written(lambda f: torch.save({"f": base.to(torch.float8_e4m3fn)}, f))


def written(write: Callable[[io.BytesIO], Any]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def safetensors(arrays: dict[str, np.ndarray]) -> bytes:
    header, place = {}, 0
    codes = {"f4": "F32", "i8": "I64", "f2": "F16"}
    for name, array in arrays.items():
        ends = [place, place + array.nbytes]
        code = codes[array.dtype.str[1:]]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": ends}
        place = ends[1]
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in arrays.values())


# Mutations: of bytes, and of what lies within a format's wrapping.

WORDS = [
    *(b"(", b")", b"]", b"}", b"R", b"b", b"u", b"e", b"s", b"a", b"t", b"\x85", b"\x86", b"\x87"),
    *(b"h\x00", b"h\x01", b"q\x00", b"\x94", b"Q", b"2", b"0", b"1", b".", b"\x81", b"\x93", b"l"),
    *(
        b"\x8f",
        b"\x90",
        b"\x91",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8a\x08" + b"\xff" * 8,
    ),
    *(
        b"X\xff\xff\xff\xff",
        b"C\x04abcd",
        b"K\x07",
        b"J\xff\xff\xff\xff",
        b"\x80\x04",
        b"N",
        b"\x88",
    ),
    *(b"cposix\nsystem\n", b"cbuiltins\neval\n", b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"d"),
    *(
        b"cbuiltins\nbytearray\n",
        b"cbuiltins\nlist\n",
        b"c_codecs\nencode\n",
        b"cbuiltins\ntuple\n",
    ),
    *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._tensor\n_rebuild_from_type_v2\n"),
    *(
        b"ctorch\nFloatStorage\n",
        b"ccollections\nOrderedDict\n",
        b"cnumpy.core.multiarray\nscalar\n",
    ),
    *(b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy.core.numeric\n_frombuffer\n", b"cd\ne\n"),
    *(b"<f4", b">f8", b"|O", b"<c16", b"|b1", b"<U4", b"True", b"False", b"(2, 3)", b"()", b"(0,)"),
    *(b'"F32"', b'"BF16"', b'"F8_E4M3"', b"[0]", b"[]", b"{}", b"null", b"-1", b"1e3", b"[2,3]"),
    *(
        b'"__metadata__":{},',
        b'"weight_map"',
        b'"../x"',
        b'"it"',
        b"9223372036854775807",
        b"\x1b[31m",
    ),
    *(
        b"\x00",
        b"\xff",
        b"\x7f",
        b"\x00\x00\x00\x80",
        b"\xff" * 8,
        b"PK\x03\x04",
        b"PK\x01\x02",
        b"\n",
    ),
]


def bent(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """A few changes to the bytes."""
    data = bytearray(content)
    for _ in range(1 << rng.randrange(4)):
        at = rng.randrange(len(data) + 1)
        size = min(len(data) - at, 1 << rng.randrange(8))
        kind = rng.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 2:
            del data[at : at + size]
        elif kind == 3:
            data[at:at] = data[at : at + size]
        elif kind == 4:
            start = rng.randrange(len(other) + 1)
            data[at : at + rng.choice((0, size))] = other[start : start + size]
        elif kind == 5:
            word = rng.choice(WORDS)
            data[at : at + rng.choice((0, len(word)))] = word
        elif kind == 6 and size <= 8:
            value = rng.choice((0, 1, 2, 7, -1, 1 << 31, (1 << 63) - 1)) % (1 << 8 * size)
            data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))
        else:
            digits = [n for n, byte in enumerate(data) if 48 <= byte < 58]
            if digits:
                data[rng.choice(digits)] = rng.choice(b"0123456789")
    return bytes(data)


def mutated(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """Changed bytes, half of the time within what wraps them, which is made to fit again."""
    if rng.random() < 0.5:
        if content.startswith(b"PK"):
            return rezipped(content, other, rng)
        if content[8:9] == b"{":
            length = int.from_bytes(content[:8], "little")
            text = bent(content[8 : 8 + length], other, rng)
            return struct.pack("<Q", len(text)) + text + content[8 + length :]
        if content.startswith(b"\x93NUMPY\x01"):
            length = int.from_bytes(content[8:10], "little")
            text = bent(content[10 : 10 + length], other, rng)[:60000]
            return content[:8] + struct.pack("<H", len(text)) + text + content[10 + length :]
    return bent(content, other, rng)


def rezipped(content: bytes, other: bytes, rng: random.Random) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
    except Exception:
        return bent(content, other, rng)
    chosen = rng.randrange(len(members)) if members else 0
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that stand twice
        for number, (name, member) in enumerate(members):
            if number == chosen and rng.random() < 0.1:
                continue
            inner = mutated(member, other, rng) if number == chosen else member
            kind = zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name), inner[:LARGEST], kind)
    return stream.getvalue()


class Corpus:
    """The files that reached something new, and what all of them reached."""

    def __init__(self) -> None:
        self.files: list[tuple[bytes, Lines]] = []
        self.reached: Lines = set()

    def add(self, content: bytes, lines: Lines) -> bool:
        if not lines - self.reached:
            return False
        self.reached |= lines
        self.files.append((content, lines))
        return True

    def fewest(self) -> list[bytes]:
        """Few files, short ones first, that reach as much."""
        left, kept = set(self.reached), []
        while left:
            content, lines = max(self.files, key=lambda f: (len(f[1] & left), -len(f[0])))
            left -= lines
            kept.append(content)
        return kept


def fuzz(options: argparse.Namespace, directory: Path) -> int:
    corpus, findings, start = Corpus(), {}, time.process_time()
    (directory / "shard").write_bytes(safetensors({"w": np.ones(2, "f4")}))
    runs = 0
    with contextlib.suppress(KeyboardInterrupt):  # what was reached until then is kept
        for runs, content in enumerate(candidates(options, corpus, start), 1):
            attempted(content, directory / "it", corpus, findings, options.found)
            if runs % 4000 == 0:
                print(progress(runs, corpus, findings, time.process_time() - start), flush=True)
    print(progress(runs, corpus, findings, time.process_time() - start))
    if options.keep:
        for content in corpus.fewest():
            name = hashlib.sha256(content).hexdigest()[:16]
            (options.keep / name).write_bytes(content)
    return 1 if findings else 0


def candidates(options: argparse.Namespace, corpus: Corpus, start: float) -> Iterator[bytes]:
    """The seeds, the files that were given, then changed ones of the corpus until time is up."""
    rng = random.Random(options.seed)
    yield from (
        [*(p.read_bytes() for p in sorted(options.corpus.iterdir()))] if options.corpus else []
    )
    yield from seeds()
    while time.process_time() - start < options.seconds:
        # New files are tried more often than old ones.
        near = min(len(corpus.files), int(rng.expovariate(1 / (1 + len(corpus.files) / 3))) + 1)
        chosen = corpus.files[-near][0]
        yield mutated(chosen, rng.choice(corpus.files)[0], rng)[:LARGEST]


def attempted(
    content: bytes, path: Path, corpus: Corpus, findings: dict[str, bytes], place: Path | None
) -> None:
    """Try a file: it joins the corpus for what it reaches, and the findings for what it does."""
    path.write_bytes(content)
    lines, found = traced(path)
    if found and (problem := limited(path) or ("" if "too long" in found else found)):
        kind = problem[:60]
        if kind not in findings:
            findings[kind] = content
            print(f"finding: {printable(problem)}", flush=True)
            if place:
                (place / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    corpus.add(content, lines)


def printable(text: str) -> str:
    return modelparity.formats.printable(text)


def progress(runs: int, corpus: Corpus, findings: dict[str, bytes], seconds: float) -> str:
    kept = f"{len(corpus.files)} files reach {len(corpus.reached)} steps from line to line"
    return (
        f"{seconds:.0f} s of processor time: {runs} files tried, {kept}, {len(findings)} findings"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of processor time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, help="a directory of files to begin with")
    parser.add_argument("--found", type=Path, help="where files that are findings go")
    parser.add_argument("--keep", type=Path, help="where the fewest files of the same reach go")
    options = parser.parse_args()
    for place in (options.found, options.keep):
        if place:
            place.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGPROF, expired)
    sys.addaudithook(watch)
    with tempfile.TemporaryDirectory() as directory:
        list(seeds())  # imports what writes them before memory is limited
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
        return fuzz(options, Path(directory))


if __name__ == "__main__":
    sys.exit(main())
