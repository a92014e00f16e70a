"""Bringing an edition's weights here: from the model hub, or from a folder. The only module that asks the network.

May import editions.edition, worker.errors, editions.weights and huggingface_hub; never torch, Django or Celery.

The hub's own client (2.4) throws a file away that is not complete when it is interrupted, and the U-Net of SD 1.5 has
3.4 GB; so files are fetched here with its functions for metadata and for ranged requests, into `<name>.<pin>.partial`
beside their place. What is complete is compared with its pin, synced and renamed. No token is ever sent.
"""

import fcntl
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from worker.editions.edition import Edition
from worker.editions.weights import FilePin, check_file
from worker.errors import EditionRefused, InputRefused, WeightsRefused

Progress = Callable[[int], object]
"""Called with the number of bytes that have come since the last call; negative where bytes had to be given up."""

COPY_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Listing:
    """What a repository of the hub has at one commit."""

    name: str
    revision: str
    licence: str | None
    """What its card says."""
    pins: dict[str, FilePin]
    """Every file, as the hub describes it."""


def look_up(name: str, revision: str | None, endpoint: str | None = None) -> Listing:
    """What the repository `name` ("owner/name") has at a branch, a tag or a commit, or at its default branch.

    Raises EditionRefused where the hub does not answer, or has no such repository or revision.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    where = name + (f"@{revision}" if revision else "")
    try:
        found = HfApi(endpoint=endpoint or _endpoint()).model_info(
            name, revision=revision, files_metadata=True, timeout=30, token=False
        )
    except OfflineModeIsEnabled as error:
        raise EditionRefused(
            "The model hub is not asked while HF_HUB_OFFLINE is set.", hint="Unset it for this one command."
        ) from error
    except HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", "an error")
        raise EditionRefused(
            f"The model hub should know {where} and answers {status}.",
            hint="Private and gated repositories are not fetched: download yours and add the folder.",
        ) from error
    except (httpx2.HTTPError, OSError) as error:
        raise EditionRefused(
            f"The model hub cannot be reached for {where} ({type(error).__name__}).",
            hint="Add a file or a folder that is here, or try again later.",
        ) from error
    if not isinstance(found.sha, str) or re.fullmatch(r"[0-9a-f]{40}", found.sha, re.ASCII) is None:
        raise EditionRefused(f"The model hub should name the commit of {where} and names {found.sha!r}.")
    pins: dict[str, FilePin] = {}
    for file in found.siblings or []:
        if file.size is not None and file.lfs is not None:
            pins[file.rfilename] = FilePin(bytes=file.size, sha256=file.lfs.sha256)
        elif file.size is not None and file.blob_id is not None:
            pins[file.rfilename] = FilePin(bytes=file.size, git=file.blob_id)
    licence = getattr(found.card_data, "license", None)
    return Listing(name, found.sha, licence if isinstance(licence, str) else None, pins)


def bytes_wanted(edition: Edition) -> tuple[int, int]:
    """How many bytes the edition's files have together, and how many of them are here already, whole or partial."""
    total = here = 0
    for name, pin in _hub_files(edition):
        path = edition.weights / name
        total += pin.bytes
        for found in (path, _partial(path, pin)):
            if found.is_file():
                here += min(found.stat().st_size, pin.bytes)
                break
    return total, here


def fetch(edition: Edition, progress: Progress, source: Path | None = None, endpoint: str | None = None) -> None:
    """Bring every file that is not here yet, from the hub or from the folder `source`, and check each.

    `endpoint` is the hub's URL where it is not HF_ENDPOINT's or the public one. What an interrupted call left is gone
    on from. Raises EditionRefused where the hub does not answer, InputRefused where the disk has no room,
    WeightsRefused where a file is not the one that the edition pins.
    """
    files = sorted(_hub_files(edition), key=lambda entry: entry[1].bytes)
    total, here = bytes_wanted(edition)
    check_room(edition.weights, total - here)
    for name, pin in files:
        path = edition.weights / name
        if path.is_file():
            check_file(path, pin)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(path, pin)
        with _alone(partial) as file:
            _fill(edition, name, pin, file, progress, source, endpoint)
            file.flush()
            os.fsync(file.fileno())
        try:
            check_file(partial, pin)
        except WeightsRefused as error:
            progress(-partial.stat().st_size)
            partial.unlink()
            raise WeightsRefused(f"What came as {name} is not what the edition pins. {error}") from error
        partial.replace(path)


def _fill(
    edition: Edition,
    name: str,
    pin: FilePin,
    file: BinaryIO,
    progress: Progress,
    source: Path | None,
    endpoint: str | None,
) -> None:
    """Append to `file` what it lacks of one pinned file."""
    here = file.seek(0, os.SEEK_END)
    if here > pin.bytes:
        file.truncate(0)
        progress(-pin.bytes)  # bytes_wanted counted no more than that
        here = file.seek(0)
    if here == pin.bytes:
        return
    if source is None:
        _download(edition, name, pin, _Counted(file, progress), here, endpoint)
    else:
        _copy(source / (pin.source or name), _Counted(file, progress), here)


def _download(edition: Edition, name: str, pin: FilePin, file: "_Counted", here: int, endpoint: str | None) -> None:
    import httpx2
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils.tqdm import disable_progress_bars

    assert edition.hub is not None, "only an edition with a hub is fetched"
    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it warns of each retry, across the progress bar
    try:
        url = hf_hub_url(
            edition.hub.name, pin.source or name, revision=edition.hub.revision, endpoint=endpoint or _endpoint()
        )
        found = get_hf_file_metadata(url, token=False, timeout=30)
        if found.commit_hash != edition.hub.revision:
            raise WeightsRefused(
                f"The hub should answer with revision {edition.hub.revision} of {edition.hub.name} and answers with "
                f"{found.commit_hash}."
            )
        if found.size is not None and found.size != pin.bytes:
            raise WeightsRefused(f"{name} should have {pin.bytes:,} bytes and has {found.size:,} on the hub.")
        http_get(found.location, cast(BinaryIO, file), resume_size=here, expected_size=pin.bytes)
    except OfflineModeIsEnabled as error:
        raise EditionRefused(
            "The model hub is not asked while HF_HUB_OFFLINE is set.", hint="Unset it for this one command."
        ) from error
    except HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", "an error")
        raise EditionRefused(
            f"The model hub answers {status} for {name} of {edition.hub.name}.",
            hint=f"Run `python manage.py fetch_edition {edition.slug}` again later; it goes on where it stopped.",
        ) from error
    except httpx2.HTTPError as error:
        raise EditionRefused(
            f"The model hub cannot be reached for {name} of {edition.hub.name} ({type(error).__name__}).",
            hint=f"Run `python manage.py fetch_edition {edition.slug}` again later; it goes on where it stopped.",
        ) from error
    except OSError as error:
        if error.errno is not None:  # of this machine's disk
            raise
        raise EditionRefused(f"The model hub's answer for {name} of {edition.hub.name} ended early.") from error


def _endpoint() -> str | None:
    """HF_ENDPOINT as it is now; the hub's client reads it once, when it is imported."""
    return os.environ.get("HF_ENDPOINT") or None


def _copy(source: Path, file: "_Counted", here: int) -> None:
    try:
        with source.open("rb") as original:
            original.seek(here)
            shutil.copyfileobj(original, file, COPY_BYTES)
    except FileNotFoundError as error:
        raise WeightsRefused(f"{source} should be there and is not.") from error


class _Counted:
    """A file whose writes are reported. `http_get` also rewinds it where a server begins again from the start."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def write(self, data: bytes) -> int:
        written = self._file.write(data)
        self._progress(written)
        return written

    def seek(self, place: int) -> int:
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self) -> int:
        place = self._file.tell()
        self._progress(place - self._file.seek(0, os.SEEK_END))
        self._file.seek(place)
        return self._file.truncate()


@contextmanager
def _alone(partial: Path) -> Iterator[BinaryIO]:
    """Open a partial file unless another process is filling it."""
    file: Any
    with partial.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputRefused(f"Another command is fetching {partial.name} at this moment.") from error
        yield file


def _partial(path: Path, pin: FilePin) -> Path:
    """Where a file grows; its pin stands in the name, so that another revision never goes on from it."""
    return path.with_name(f"{path.name}.{(pin.sha256 or pin.git or '')[:12]}.partial")


def _hub_files(edition: Edition) -> Iterator[tuple[str, FilePin]]:
    if edition.hub is None:
        raise EditionRefused(
            f"Edition {edition.slug} is not fetched: its weights lie in {edition.weights}.", hint=edition.remedy
        )
    yield from edition.hub.files.items()


def check_room(folder: Path, wanted: int) -> None:
    """Raise InputRefused where the disk of a folder, there or not, has no room for so many bytes."""
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    if free < wanted:
        raise InputRefused(f"{wanted:,} bytes are still to come and the disk of {there} has room for {free:,}.")
