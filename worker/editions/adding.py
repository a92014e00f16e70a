"""Making an edition of weights that somebody has: beside its place, then renamed, so that it is there whole or not.

May import worker.catalogue, worker.errors, worker.files and the modules beside this one; never torch: which tensor
becomes which is handed in (worker.engine.networks.conversion says it).

Tensors are copied from file to file in chunks. All forms of the same numbers (a checkpoint, a folder, a variant,
shards) give the same bytes: names of today, the widest dtypes first and then by name, one file for each component.
"""

import contextlib
import fcntl
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from worker.catalogue.address import is_slug
from worker.catalogue.key import STEPS_LIMIT
from worker.editions.edition import SHIPPED
from worker.editions.hub import Listing
from worker.editions.weights import (
    COMPONENTS,
    JSON_LIMIT,
    TOKENIZER_FILES,
    FilePin,
    Tensor,
    read_header,
    read_json,
    weights_name,
)
from worker.errors import InputRefused, WeightsRefused
from worker.files import write_atomically

Progress = Callable[[int], object]
"""Called with the number of bytes that were written since the last call."""

CONFIGURATION: Final = Path(__file__).resolve().parent / "sd1"
"""The configurations and the tokenizer that belong to every checkpoint of Stable Diffusion 1.x."""
LEXICON: Final = SHIPPED / "sd-1.5" / "lexicon.toml"
"""The general lexicon: things, places and styles of all kinds, which a model of photographs and paintings knows."""
SCHEDULER: Final = "scheduler/scheduler_config.json"
CHUNK: Final = 8 << 20
_EXPONENTS: Final = {
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F32": ("<u4", 0x7F80_0000),
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
}
"""The dtypes of numbers with a fraction, and the bits that are all set in one that is not finite (IEEE 754)."""


@dataclass(frozen=True)
class Piece:
    """One tensor of an edition: the name and shape that it gets, and where its numbers lie now."""

    name: str
    shape: tuple[int, ...]
    tensor: Tensor
    path: Path


@dataclass(frozen=True)
class Facts:
    """What edition.toml says of a model that was added."""

    title: str
    summary: str
    licence: str
    solver: str = "dpm-solver++"
    guidance: float = 7.5
    default_steps: int = 20
    step_limit: int = STEPS_LIMIT


@dataclass
class Staging:
    """An edition in the making: `folder` becomes `data/editions/<slug>/`, what the hub gave `data/weights/<slug>/`."""

    slug: str
    data: Path
    folder: Path
    fetched: Path
    digests: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of weights that was written, by its name in the folder, from what went into it."""

    def settle(self) -> Path:
        """Give everything its name; the edition is there from now on. Raises OSError, and then it is not."""
        home, weights = self.data / "editions" / self.slug, self.data / "weights" / self.slug
        _sync_tree(self.folder)
        if self.fetched.exists():
            _sync_tree(self.fetched)
            self.fetched.rename(weights)
        try:
            self.folder.rename(home)
        except BaseException:  # Ctrl-C too
            if weights.exists():
                weights.rename(self.fetched)
            raise
        for parent in (home.parent, weights.parent):
            if parent.is_dir():
                _sync(parent)
        return home


@contextlib.contextmanager
def staged(slug: str, data: Path) -> Iterator[Staging]:
    """A place to make the edition `slug` in. Whatever ends the block before `settle` leaves nothing of it behind.

    What a killed process left of the same edition is removed. Raises InputRefused where the name cannot be used, is
    taken, or is being added by another process.
    """
    refuse_taken(slug, data)
    staging = Staging(slug, data, data / "editions" / f".{slug}.adding", data / "weights" / f".{slug}.adding")
    made = [parent for parent in (data, data / "editions", data / "weights") if not parent.exists()]
    lock = -1
    try:
        staging.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(staging.folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            lock = -1
            raise InputRefused(f"Another command is adding the edition {slug} at this moment.") from error
        _empty(staging.folder)
        shutil.rmtree(staging.fetched, ignore_errors=True)
        yield staging
    finally:
        if lock >= 0:
            shutil.rmtree(staging.fetched, ignore_errors=True)
            shutil.rmtree(staging.folder, ignore_errors=True)
            os.close(lock)
            for parent in reversed(made):
                with contextlib.suppress(OSError):  # there is something in it: the edition
                    parent.rmdir()


def refuse_taken(slug: str, data: Path) -> None:
    """Raise InputRefused where an edition cannot be called `slug`, or one is already."""
    if not is_slug(slug):
        raise InputRefused(
            f"An edition's name should be 1–32 of a–z 0–9 . - and no kind of address, and {slug!r} was given."
        )
    for taken in (SHIPPED / slug, data / "editions" / slug, data / "weights" / slug):
        if taken.exists():
            raise InputRefused(
                f"The name {slug} is taken: {taken} is there.",
                hint="Give another name. An edition never changes, as links would open other pictures.",
            )


def copy_configuration(source: Path, target: Path, names: Sequence[str]) -> None:
    """Copy small files, by their names in both folders. Raises WeightsRefused where one is too large to be one."""
    for name in names:
        size = (source / name).stat().st_size
        if size > JSON_LIMIT:
            raise WeightsRefused(f"{source / name} should be a small file and has {size:,} bytes.")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes((source / name).read_bytes())


def configuration_files(folder: Path) -> list[str]:
    """The small files of a folder that say what a model is, without those of its safety checker."""
    names = [f"{component}/config.json" for component in COMPONENTS] + [SCHEDULER]
    names += [f"tokenizer/{name}" for name in TOKENIZER_FILES]
    return [name for name in names if (folder / name).is_file()]


def write_tokenizer(target: Path) -> None:
    """Write CLIP's `vocab.json` and `merges.txt` into `target`, byte for byte as Stable Diffusion 1.5 has them.

    The vocabulary follows from the merges: the 256 bytes as characters, each also at the end of a word, what each merge
    makes, and two marks (Radford et al. 2021; the byte characters are those of GPT-2).
    """
    merges = gzip.decompress((CONFIGURATION / "tokenizer" / "merges.txt.gz").read_bytes())
    pairs = merges.decode("utf-8").splitlines()[1:]
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    characters = [chr(byte) for byte in shown] + [chr(256 + index) for index in range(256 - len(shown))]
    tokens = [*characters, *(character + "</w>" for character in characters)]
    tokens += ["".join(pair.split()) for pair in pairs] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    text = json.dumps(vocabulary, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (target / "merges.txt").write_bytes(merges)
    (target / "vocab.json").write_text(text, encoding="utf-8")


def set_prediction(folder: Path, prediction: str, zero_terminal_snr: bool) -> None:
    """Have a scheduler's config say what the model predicts; with zero terminal SNR, its spacing is "trailing"."""
    path = folder / SCHEDULER
    config = read_json(path)
    config["prediction_type"] = prediction
    if zero_terminal_snr:  # Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed"
        config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def is_consistency_model(folder: Path) -> bool:
    """Whether a folder holds a latent consistency model, by its scheduler or a U-Net that is told of the guidance.

    Raises WeightsRefused where their configurations cannot be read.
    """
    scheduler, unet = read_json(folder / SCHEDULER), read_json(folder / "unet" / "config.json")
    return scheduler.get("_class_name") == "LCMScheduler" or unet.get("time_cond_proj_dim") is not None


def distilled_steps(folder: Path) -> int:
    """Timesteps that a latent consistency model of a folder was distilled on, of which keys can ask for an even number.

    Where its scheduler says nothing that can be meant, 50: the engine refuses the edition then and says why.
    """
    steps = read_json(folder / SCHEDULER).get("original_inference_steps", 50)
    return min(STEPS_LIMIT, steps // 2 * 2) if isinstance(steps, int) and steps >= 2 else 50


def tensors_of(folder: Path, files: Mapping[str, str], component: str) -> dict[str, tuple[Tensor, Path]]:
    """A component's tensors, each with the file that it lies in; `files` as editions.layout chose them.

    Raises WeightsRefused where shards are not what their index says.
    """
    whole = f"{component}/{weights_name(component)}"
    if whole in files:
        path = folder / files[whole]
        return {name: (tensor, path) for name, tensor in read_header(path).items()}
    index = folder / files[f"{whole}.index.json"]
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = sorted(set(places.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsRefused(f"{index} should map tensors to files in weight_map and does not.") from error
    found: dict[str, tuple[Tensor, Path]] = {}
    for shard in shards:
        name = f"{component}/{shard}"
        if name not in files or not (folder / name).is_file():
            raise WeightsRefused(f"{index.parent} should hold {shard}, as its index says, and does not.")
        for key, tensor in read_header(folder / name).items():
            if places.get(key) != shard:
                raise WeightsRefused(f"{folder / name} holds the tensor {key}, which its index does not place there.")
            found[key] = tensor, folder / name
    if lost := places.keys() - found.keys():
        raise WeightsRefused(f"The shards of {index} should hold the tensor {min(lost)} and do not.")
    return found


def refuse_other_numbers(pieces: Sequence[Piece]) -> None:
    """Raise WeightsRefused where a tensor of a network is not of numbers with a fraction, as quantised ones are not."""
    for piece in pieces:
        if piece.tensor.dtype not in _EXPONENTS:
            raise WeightsRefused(
                f"The tensor {piece.name} in {piece.path} should be of float16, bfloat16, float32 or float64 and is of "
                f"{piece.tensor.dtype}.",
                hint="Quantised weights are not read; use the file that they were made from.",
            )


def write_component(staging: Staging, component: str, pieces: Sequence[Piece], progress: Progress) -> None:
    """Write one component's tensors as one safetensors file, and remember its SHA-256.

    Raises WeightsRefused where a number is not finite, or a source changes meanwhile; OSError of the disk.
    """
    ordered = sorted(pieces, key=lambda piece: (-_width(piece.tensor), piece.name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for piece in ordered:
        begin, end = end, end + piece.tensor.bytes
        header[piece.name] = {"dtype": piece.tensor.dtype, "shape": list(piece.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers begin at a multiple of eight, as the format asks
    name = f"{component}/{weights_name(component)}"
    target = staging.folder / name
    target.parent.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    with contextlib.ExitStack() as opened, target.open("xb") as file:
        sources = {piece.path: opened.enter_context(piece.path.open("rb")) for piece in ordered}
        for part in (len(text).to_bytes(8, "little"), text):
            digest.update(part)
            file.write(part)
        buffer = memoryview(bytearray(CHUNK))
        for piece in ordered:
            source, left = sources[piece.path], piece.tensor.bytes
            source.seek(piece.tensor.place)
            while left:
                count = source.readinto(buffer[: min(left, CHUNK)])
                if not count:
                    raise WeightsRefused(f"{piece.path} should hold {left:,} bytes more of {piece.name} and ended.")
                chunk = buffer[:count]
                _refuse_infinite(piece, chunk)
                digest.update(chunk)
                file.write(chunk)
                progress(count)
                left -= count
    staging.digests[name] = digest.hexdigest()


def write_edition(
    staging: Staging, facts: Facts, digest: str, fetched: tuple[Listing, Mapping[str, FilePin]] | None
) -> None:
    """Write `edition.toml` and `lexicon.toml`; `fetched` is the repository and the files that are fetched from it."""
    lines = [
        "# Written by `manage.py add_edition`. The format is described in docs/editions.md.",
        f"title = {_text(facts.title)}",
        f"summary = {_text(facts.summary)}",
        f"licence = {_text(facts.licence)}",
        f"solver = {_text(facts.solver)}",
        f"guidance = {facts.guidance}",
        f"default_steps = {facts.default_steps}",
        f"step_limit = {facts.step_limit}",
        "safety_checker = true",
        *("", "[precision]", 'cpu = "float32"', 'cpu_bf16 = "bfloat16"', 'cuda = "bfloat16"', 'mps = "float32"'),
        *("", "[batch]", "cuda = 4", "", "[weights]"),
    ]
    if fetched is None:
        lines += ['model = "."', f'digest = "{digest}"']
    else:
        listing, pins = fetched
        lines += [f"hub = {_text(listing.name)}", f'revision = "{listing.revision}"', f'digest = "{digest}"']
        lines += ["", "[weights.files]", *(f"{_text(name)} = {_pin(pin)}" for name, pin in sorted(pins.items()))]
    (staging.folder / "edition.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _, _, lists = LEXICON.read_text(encoding="utf-8").partition("\nsubjects = ")
    head = "# The phrases of which short keys are made. The order counts: a change here changes what short keys open.\n"
    (staging.folder / "lexicon.toml").write_text(f"{head}subjects = {lists}", encoding="utf-8")


def remember_digests(cache: Path, home: Path, digests: Mapping[str, str]) -> None:
    """Write into the cache of digests what was found while writing, so that no start hashes the files again."""
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    known = known if isinstance(known, dict) else {}
    for name, digest in digests.items():
        found = (home / name).stat()
        stamp = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
        known[str((home / name).resolve())] = [*stamp, digest]
    with contextlib.suppress(OSError):
        write_atomically({cache: json.dumps(known).encode()})


def _refuse_infinite(piece: Piece, chunk: memoryview) -> None:
    if piece.tensor.dtype not in _EXPONENTS:
        return
    kind, exponent = _EXPONENTS[piece.tensor.dtype]
    whole = len(chunk) - len(chunk) % np.dtype(kind).itemsize
    bits = np.frombuffer(chunk[:whole], kind)
    if bool(((bits & bits.dtype.type(exponent)) == exponent).any()):
        raise WeightsRefused(
            f"The tensor {piece.name} in {piece.path} should hold numbers and holds some that are not finite (NaN).",
            hint="Its pages would be black. Such files come out of merges that overflowed in float16.",
        )


def _width(tensor: Tensor) -> int:
    """Bytes of one number."""
    return Tensor(tensor.dtype, ()).bytes


def _text(text: str) -> str:
    """A string of TOML on one line."""
    return json.dumps("".join(letter for letter in text if letter.isprintable()), ensure_ascii=False)


def _pin(pin: FilePin) -> str:
    digest = f'sha256 = "{pin.sha256}"' if pin.sha256 is not None else f'git = "{pin.git}"'
    source = f", source = {_text(pin.source)}" if pin.source is not None else ""
    return f"{{ bytes = {pin.bytes}, {digest}{source} }}"


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _sync_tree(folder: Path) -> None:
    """Have the disk store a folder and everything in it."""
    for home, _, files in os.walk(folder):
        for name in files:
            _sync(Path(home, name))
        _sync(Path(home))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
