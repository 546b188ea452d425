"""Download a public task, file by file, each checked against its published content.

What has arrived is kept: a download that breaks goes on where it stopped when it is started again.
"""

import hashlib
import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from modelparity import InputError, UsageError

# The implementation of JointBERT in wide use distributes both tasks in its repository.
SOURCE = "https://raw.githubusercontent.com/monologg/JointBERT/master/data"
TIMEOUT = 30  # seconds without a byte
PART = 1 << 16


@dataclass(frozen=True)
class File:
    """A file's path in its task, its size in bytes and its SHA-256."""

    path: str
    size: int
    digest: str


TASKS: Mapping[str, tuple[File, ...]] = {
    "atis": (
        File("dev/label", 6518, "06957cfe6fdffac84f8280bc3a1f8ca85c85631b363817aa4543aac611f8addf"),
        File(
            "dev/seq.in", 32761, "c7435b96e7948393608c34819628e863c5338f11ca68e8f896d2cc041d8e17f8"
        ),
        File(
            "dev/seq.out", 47763, "83ccff3e36f83a993f8e5b5b82adf3256076f234abda4d784051381d7ac76922"
        ),
        File(
            "intent_label.txt",
            380,
            "d4e228c803961a6939ceaa5c791e7730457c92480687144bdfd10e4d0d9b8284",
        ),
        File(
            "slot_label.txt",
            2310,
            "3986c69b49e5895826fa021e5dc57382e6e9724ef58182b418997ca0cacbbcb3",
        ),
        File(
            "test/label", 11634, "ce4bfe6590d9498e1078f30b4137d3e8b3e94277b444b26360c0bf2e9e282761"
        ),
        File(
            "test/seq.in", 52122, "4b2119fc59c37f9398c6605db435d4f467505009e6ee3e5af04fed09f39dc397"
        ),
        File(
            "test/seq.out",
            81238,
            "a4690d6bceadc06876d1ff99bc401744aa981cb321e598ae12a3859d7be53254",
        ),
        File(
            "train/label", 57831, "d0a771547665eecbdf9f96ea015ef07d1f6ee9f063e861020dafabb3c2a04377"
        ),
        File(
            "train/seq.in",
            289848,
            "3a670980841b21ab39088b2595efc17d487cdc45769c075a3e5f9458bba28c7f",
        ),
        File(
            "train/seq.out",
            415557,
            "14c7131bd66562f797dbd7189bc7358f0cf354c6afb0785a9ab973c35b58f34c",
        ),
    ),
    "snips": (
        File("dev/label", 9900, "9c1dd041216f647bcfca838aaf1a48eb5781e4404256d31ff07cd38a5436c52f"),
        File(
            "dev/seq.in", 33629, "64e0f6d8ad8aab3a3828164d7d53731a0993d3ca1aed437ceaca6d3d568d410e"
        ),
        File(
            "dev/seq.out", 50626, "712e6d34feb8d52d208b820a5f8bae6e6ff990f08374507dfde22de389088319"
        ),
        File(
            "intent_label.txt",
            103,
            "65e97527fa7048ee19a5a9a030c1feb43846ac48a99d2efeacbf44b9dd6014e8",
        ),
        File(
            "slot_label.txt",
            1002,
            "d355b87d41fe23ff1c9d81e419333387590a305b32f7431df170deb379614d26",
        ),
        File(
            "test/label", 10120, "37a26da3ad079bb41c42c85a3a8f827eb47efec4c5917ce5d08f4b2736e4f830"
        ),
        File(
            "test/seq.in", 33121, "c1e341173fcea2951a8ca371956a6f81c76de87b9583c62eb87edd6158fa3a7c"
        ),
        File(
            "test/seq.out",
            50918,
            "58c07c9097d5e1f78889765c2a535a160f6455b90b3142055c8051847afcca47",
        ),
        File(
            "train/label",
            184532,
            "bfd7df6cf9dd76c5da5d8b61bc85f90386197bdd3d7510c1d324c051537b962f",
        ),
        File(
            "train/seq.in",
            617079,
            "04ad1e3f2121d83c6478f9a4b17d2dbdc21d06d6127f73cb7af835ed733f9855",
        ),
        File(
            "train/seq.out",
            950926,
            "fd5f2121d8055827e5d6b3d3bac30f3d7e94e82a5d437751960cbdd9e1b4f6d3",
        ),
    ),
}


def get(task: str, directory: Path, source: str, say: Callable[[str], None]) -> int:
    """Complete `directory` with the task's files from below `source`/task; their number.

    Files that are there and right are not fetched again; a file with other content is left alone.
    Raises UsageError for an address, InputError for what cannot be fetched or written.
    """
    if urlparse(source).scheme not in ("http", "https"):
        raise UsageError(f"--base-url {source}: not an http or https address")
    for file in TASKS[task]:
        target = directory / file.path
        if target.exists():
            if _digest(target) != file.digest:
                raise InputError(
                    f"{target}: differs from what is published; move it, or name another directory"
                )
            continue
        _fetch(f"{source.rstrip('/')}/{task}/{file.path}", file, target)
        say(f"{target}: {file.size} bytes")
    return len(TASKS[task])


def _fetch(address: str, file: File, target: Path) -> None:
    unfinished = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not unfinished.exists() or unfinished.stat().st_size < file.size:
            _download(address, unfinished)
        found = _digest(unfinished)
        if found != file.digest:
            size = unfinished.stat().st_size
            if size < file.size:
                raise InputError(
                    f"{address}: ended after {size} of {file.size} bytes; start again to go on"
                )
            unfinished.unlink()
            raise InputError(
                f"{address}: its SHA-256 is {found[:16]}..., published is {file.digest[:16]}...;"
                " the source has changed, nothing was kept"
            )
        unfinished.replace(target)
    except HTTPError as error:
        raise InputError(f"{address}: the server answers {error.code} {error.reason}") from None
    except (URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(
            f"{address}: cannot be reached ({reason}); check the network and start again, or name a"
            " mirror by --base-url"
        ) from None
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error})") from None


def _download(address: str, unfinished: Path) -> None:
    begun = unfinished.stat().st_size if unfinished.exists() else 0
    request = Request(address, headers={"Range": f"bytes={begun}-"} if begun else {})
    with urlopen(request, timeout=TIMEOUT) as answer:
        # 206 goes on at `begun`; a server without ranges sends everything, from the start.
        going_on = begun and answer.status == http.HTTPStatus.PARTIAL_CONTENT
        with unfinished.open("ab" if going_on else "wb") as out:
            while part := answer.read(PART):
                out.write(part)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
