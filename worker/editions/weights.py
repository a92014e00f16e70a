"""What must hold of weights before anything loads them. Reads JSON and safetensors headers only.

May import worker.errors and worker.files; never torch, diffusers or transformers, so that looking at weights runs none
of their code.

The ordinary diffusers layout, as far as the press reads it::

    unet/           config.json  diffusion_pytorch_model.safetensors (or shards and their .index.json)
    vae/            config.json  diffusion_pytorch_model.safetensors
    text_encoder/   config.json  model.safetensors
    tokenizer/      vocab.json merges.txt, or tokenizer.json
    scheduler/      scheduler_config.json
    safety_checker/ config.json  model.safetensors      with feature_extractor/preprocessor_config.json; optional
"""

import hashlib
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from worker.errors import WeightsRefused
from worker.files import write_atomically

CLASSES: Final[Mapping[str, frozenset[str]]] = {
    "unet": frozenset({"UNet2DConditionModel"}),
    "vae": frozenset({"AutoencoderKL", "AutoencoderTiny", "PocketAutoencoder"}),
    "text_encoder": frozenset({"CLIPTextModel"}),
    "safety_checker": frozenset({"StableDiffusionSafetyChecker"}),
}
"""The classes that may be loaded, by component. They come from diffusers, transformers or this project."""

COMPONENTS: Final = ("unet", "vae", "text_encoder")
TOKENIZER_FILES: Final = (
    *("vocab.json", "merges.txt", "tokenizer.json"),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
)
PREPROCESSOR: Final = "feature_extractor/preprocessor_config.json"
"""What turns a page into the safety checker's input."""
PICKLES: Final = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack", ".h5")
HEADER_LIMIT: Final = 100_000_000
JSON_LIMIT: Final = 64_000_000
_DTYPE_BYTES: Final = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}


@dataclass(frozen=True)
class FilePin:
    """What one file must be: its size, and its SHA-256 or git blob name (SHA-1 of "blob <size>" NUL content)."""

    bytes: int
    sha256: str | None = None
    git: str | None = None
    source: str | None = None
    """What the file is called in the repository, where it has another name there: that of a variant."""


@dataclass(frozen=True)
class WeightsFacts:
    """What `check_weights` found: `digest` (64 hex digits), size on disk in bytes, parameters by component."""

    digest: str
    bytes: int
    parameters: Mapping[str, int]
    safety_checker: bool


@dataclass(frozen=True)
class Tensor:
    """One tensor as a safetensors header describes it."""

    dtype: str
    shape: tuple[int, ...]
    place: int = field(default=0, compare=False)
    """Where its numbers begin, in bytes from the start of the file."""

    @property
    def bytes(self) -> int:
        """How many bytes its numbers take; 0 for a dtype that is unknown here."""
        return _DTYPE_BYTES.get(self.dtype, 0) * math.prod(self.shape)


def missing_files(folder: Path, pins: Mapping[str, FilePin] | None = None, *, checker: bool = True) -> list[str]:
    """The files that `folder` lacks, relative to it: those that are pinned, or else those of the layout.

    Where there is a safety checker, and `checker` says that it is wanted, what loading it needs belongs to the layout.
    """
    if pins is not None:
        return [name for name in pins if not (folder / name).is_file()]
    wanted = [f"{component}/config.json" for component in COMPONENTS] + ["scheduler/scheduler_config.json"]
    missing = [name for name in wanted if not (folder / name).is_file()]
    tokenizer = folder / "tokenizer"
    if not (tokenizer / "tokenizer.json").is_file():
        names = ("vocab.json", "merges.txt")
        missing += [f"tokenizer/{name}" for name in names if not (tokenizer / name).is_file()]
    components = list(COMPONENTS)
    if checker and has_safety_checker(folder):
        components.append("safety_checker")
        if not (folder / PREPROCESSOR).is_file():
            missing.append(PREPROCESSOR)
    for component in components:
        single = folder / component / weights_name(component)
        if not single.is_file() and not _index(single).is_file():
            missing.append(f"{component}/{single.name}")
    return missing


def deciding_files(folder: Path) -> list[str]:
    """The files that decide a picture, relative to `folder` and sorted: configurations, tokenizer, tensors.

    A safety checker is not among them: its verdict stands beside a picture and changes none.
    """
    found = [f"tokenizer/{name}" for name in TOKENIZER_FILES] + ["scheduler/scheduler_config.json"]
    for component in COMPONENTS:
        single = folder / component / weights_name(component)
        found.append(f"{component}/config.json")
        found += [f"{component}/{path.name}" for path in (single, _index(single), *_shards(folder, single))]
    return sorted(name for name in found if (folder / name).is_file())


def has_safety_checker(folder: Path) -> bool:
    """Whether these weights have a safety checker."""
    return (folder / "safety_checker" / "config.json").is_file()


def weights_digest(folder: Path, cache: Path | None = None) -> str:
    """SHA-256 over the lines "<sha256>  <name>" of `deciding_files`, in that order (the output of `sha256sum`)."""
    sha256 = _Digests(cache)
    lines = [f"{sha256(folder / name)}  {name}\n" for name in deciding_files(folder)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_file(path: Path, pin: FilePin, sha256: Callable[[Path], str] | None = None) -> None:
    """Compare one file with its pin. Raises WeightsRefused that says what was expected and found."""
    found = path.stat().st_size
    if found != pin.bytes:
        raise WeightsRefused(f"{path} should have {pin.bytes:,} bytes and has {found:,}.")
    if pin.sha256 is not None:
        kind, expected, digest = "SHA-256", pin.sha256, (sha256 or _sha256)(path)
    else:
        kind, expected, digest = "git blob name", str(pin.git), git_blob_name(path)
    if digest != expected:
        raise WeightsRefused(f"{path} should have the {kind} {expected} and has {digest}.")


def check_weights(
    folder: Path,
    *,
    digest: str | None = None,
    pins: Mapping[str, FilePin] | None = None,
    cache: Path | None = None,
    checker: bool = True,
) -> WeightsFacts:
    """Look at everything that can be wrong with weights without loading them, and say what they are.

    `digest` and `pins` are what they must be, `cache` a JSON file that spares hashing unchanged files again,
    `checker` says whether a safety checker that is there is wanted. Raises WeightsRefused: a pickle, code, a class
    that is not ours, a missing, truncated or different file, other shapes.
    """
    _refuse_code(folder)
    _refuse_pickles(folder)
    missing = missing_files(folder, pins, checker=checker) or missing_files(folder, checker=checker)
    if missing:
        raise WeightsRefused(f"{folder} should hold {missing[0]} and does not.")
    read_configs(folder)
    parameters: dict[str, int] = {}
    checked = checker and has_safety_checker(folder)
    components = [*COMPONENTS, "safety_checker"] if checked else list(COMPONENTS)
    for component in components:
        if component == "safety_checker":
            _config(folder, component)
        tensors = component_tensors(folder, component)
        parameters[component] = sum(math.prod(tensor.shape) for tensor in tensors.values())
        _check_tensors(folder, component, tensors)
    sha256 = _Digests(cache)
    for name, pin in (pins or {}).items():
        check_file(folder / name, pin, sha256)
    found = weights_digest(folder, cache)
    if digest is not None and found != digest:
        raise WeightsRefused(f"The weights in {folder} should have the digest {digest} and have {found}.")
    files = {*deciding_files(folder), *(pins or {})}
    size = sum((folder / name).stat().st_size for name in files)
    return WeightsFacts(found, size, parameters, checked)


def read_configs(folder: Path) -> dict[str, dict[str, Any]]:
    """The configurations of the three networks, held to the classes and the shapes that a key has.

    Raises WeightsRefused.
    """
    configs = {name: _config(folder, name) for name in COMPONENTS}
    check_shapes(folder, configs)
    return configs


def check_shapes(folder: Path, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Hold the three configurations to the shapes that a key has: (77, 768), (4, 52, 80) and eight times that."""
    unet, vae, text = configs["unet"], configs["vae"], configs["text_encoder"]

    def expect(component: str, name: str, expected: object, found: object) -> None:
        if found != expected:
            where = folder / component / "config.json"
            raise WeightsRefused(f"{name} in {where} should be {expected} and is {found}: this model reads other keys.")

    expect("unet", "cross_attention_dim", 768, unet.get("cross_attention_dim"))
    expect("unet", "in_channels", 4, unet.get("in_channels", 4))
    expect("unet", "out_channels", 4, unet.get("out_channels", 4))
    for name in ("addition_embed_type", "class_embed_type", "encoder_hid_dim_type", "num_class_embeds"):
        expect("unet", name, None, unet.get(name))
    expect("text_encoder", "hidden_size", 768, text.get("hidden_size", 512))
    expect("text_encoder", "max_position_embeddings", 77, text.get("max_position_embeddings", 77))
    expect("vae", "latent_channels", 4, vae.get("latent_channels", 4))
    expect("vae", "in_channels", 3, vae.get("in_channels", 3))
    expect("vae", "out_channels", 3, vae.get("out_channels", 3))
    if vae["_class_name"] == "AutoencoderTiny":
        expect("vae", "upsampling_scaling_factor", 2, vae.get("upsampling_scaling_factor", 2))
        named = {name: vae.get(name, [64] * 4) for name in ("encoder_block_out_channels", "decoder_block_out_channels")}
    else:
        named = {"block_out_channels": vae.get("block_out_channels", [64])}
    for name, blocks in named.items():
        scale = 2 ** (len(blocks) - 1) if isinstance(blocks, list) else None
        expect("vae", f"the scale (two to the number of {name} less one)", 8, scale)


def component_tensors(folder: Path, component: str) -> dict[str, Tensor]:
    """Every tensor of a component's safetensors file or shards, from the headers. Raises WeightsRefused."""
    single = folder / component / weights_name(component)
    if single.is_file():
        return read_header(single)
    tensors: dict[str, Tensor] = {}
    index = read_json(_index(single))
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsRefused(f"{_index(single)} should map tensors to files in weight_map and does not.")
    for shard in _shards(folder, single):
        if not shard.is_file():
            raise WeightsRefused(f"{shard.parent} should hold {shard.name}, as its index says, and does not.")
        for name, tensor in read_header(shard).items():
            if weight_map.get(name) != shard.name:
                raise WeightsRefused(f"{shard} holds the tensor {name}, which its index does not place there.")
            tensors[name] = tensor
    if lost := weight_map.keys() - tensors.keys():
        raise WeightsRefused(f"The shards of {_index(single)} should hold the tensor {min(lost)} and do not.")
    return tensors


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name. Raises WeightsRefused where it is none, or not all there.

    The format: eight bytes n (little-endian), n bytes of JSON {name: {dtype, shape, data_offsets}}, then the data,
    which the offsets tile without a hole up to the file's end (the format's own rule).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if foreign := _foreign(path, start):
            raise WeightsRefused(f"{path} should be a safetensors file and is {foreign}.")
        length = int.from_bytes(start, "little") if len(start) == 8 else -1
        if length > HEADER_LIMIT or length < 2:
            raise WeightsRefused(f"{path} should be a safetensors file and does not begin like one.")
        if 8 + length > size:
            raise WeightsRefused(
                f"{path} is cut short: it should have more than {8 + length:,} bytes and has {size:,}."
            )
        text = file.read(length)
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        tensors = {
            name: Tensor(entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
            for name, entry in header.items()
        }
        spans = sorted((*entry["data_offsets"], name) for name, entry in header.items())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsRefused(f"{path} should be a safetensors file and its header cannot be read.") from error
    end = 0
    for begin, stop, name in spans:
        tensor = tensors[name]
        expected = tensor.bytes
        if begin != end or stop - begin != expected:
            raise WeightsRefused(
                f"{path} gives the tensor {name} {stop - begin:,} bytes at {begin:,} where its dtype and shape make "
                f"{expected:,} at {end:,}."
            )
        end = stop
    if size != 8 + length + end:
        fault = "is cut short" if size < 8 + length + end else "goes on after its end"
        raise WeightsRefused(f"{path} {fault}: it should have {8 + length + end:,} bytes and has {size:,}.")
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file that `read_header` has read says of itself (`__metadata__`); mostly little."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    metadata = header.get("__metadata__")
    return {str(key): str(value) for key, value in metadata.items()} if isinstance(metadata, dict) else {}


def _foreign(path: Path, start: bytes) -> str:
    """What a file is by its first 8 bytes, if it is one of the kinds that people have; "" for any other."""
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle, which is never loaded"
    if start[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(path) as archive:  # reads its list of contents, and unpacks nothing
                inside = archive.namelist()
        except (OSError, ValueError, zipfile.BadZipFile):
            return "a pickle, which is never loaded (in a zip that is damaged)"
        pickled = next((name for name in inside if name.endswith((".pkl", *PICKLES))), None)
        if pickled is not None:
            return f"a zip with a pickle inside ({pickled[:80]}), which is never loaded"
        return "a zip, which is not unpacked"
    known = {b"GGUF": "a GGUF file, whose numbers are quantised", b"\x89HDF": "an HDF5 file", b"<!DO": "a web page"}
    return known.get(start[:4], "")


def git_blob_name(path: Path) -> str:
    """The name that git gives a file's content: the SHA-1 of "blob <size>", NUL and the content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _check_tensors(folder: Path, component: str, tensors: Mapping[str, Tensor]) -> None:
    """Hold the tensors themselves to the shapes, as a configuration can say what it likes."""
    expected: tuple[tuple[str, int, int], ...] = {
        "unet": ((r"conv_in\.weight", 1, 4), (r"conv_out\.weight", 0, 4), (r".*\.attn2\.to_[kv]\.weight", 1, 768)),
        "text_encoder": (
            (r"(text_model\.)?embeddings\.position_embedding\.weight", 0, 77),
            (r"(text_model\.)?embeddings\.token_embedding\.weight", 1, 768),
        ),
    }.get(component, ())
    for pattern, axis, wanted in expected:
        names = [name for name in tensors if re.fullmatch(pattern, name)]
        if not names:
            raise WeightsRefused(f"The tensors of {folder / component} should include {pattern} and do not.")
        for name in names:
            shape = tensors[name].shape
            if len(shape) <= axis or shape[axis] != wanted:
                raise WeightsRefused(
                    f"{name} in {folder / component} should have {wanted} on axis {axis} and has the shape {shape}."
                )


def _refuse_code(folder: Path) -> None:
    for path in _files(folder):
        if path.suffix in (".py", ".so", ".pyd"):
            raise WeightsRefused(
                f"{folder} should hold weights only and brings code: {path.relative_to(folder)}.",
                hint="Remote code is never run; take it out, if the weights load without it.",
            )


def _refuse_pickles(folder: Path) -> None:
    """A pickle beside safetensors is left alone and never read; in their place it is refused."""
    for component in COMPONENTS:
        single = folder / component / weights_name(component)
        if single.is_file() or _index(single).is_file():
            continue
        for path in sorted((folder / component).glob("*")):
            if path.suffix in PICKLES:
                raise WeightsRefused(
                    f"{folder / component} should hold {single.name} and holds {path.name}, a pickle: it can run code.",
                    hint="Convert it to safetensors on a machine that you can lose.",
                )


def _config(folder: Path, component: str) -> dict[str, Any]:
    """A component's config.json with a `_class_name` that may be loaded. Raises WeightsRefused."""
    path = folder / component / "config.json"
    config = read_json(path)
    if "auto_map" in config or "custom_pipeline" in config:
        raise WeightsRefused(f"{path} asks for remote code (auto_map), which is never run.")
    named = config.get("_class_name")
    if named is None:  # transformers names the class in a list of its own
        architectures = config.get("architectures")
        named = architectures[0] if isinstance(architectures, list) and architectures else None
    if component == "text_encoder" and named == "CLIPModel":
        named = "CLIPTextModel"
    if not isinstance(named, str) or named not in CLASSES[component]:
        known = " or ".join(sorted(CLASSES[component]))
        raise WeightsRefused(f"The class in {path} should be {known} and is {named}.")
    return {**config, "_class_name": named}


def read_json(path: Path) -> dict[str, Any]:
    """The object in a small JSON file. Raises WeightsRefused."""
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise WeightsRefused(f"{path} should be a small JSON file and has {path.stat().st_size:,} bytes.")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsRefused(f"{path} should be a JSON file and cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise WeightsRefused(f"{path} should hold one JSON object and holds a {type(content).__name__}.")
    return content


def weights_name(component: str) -> str:
    """The name of a component's tensors, where they are in one file."""
    return "diffusion_pytorch_model.safetensors" if component in ("unet", "vae") else "model.safetensors"


def _index(single: Path) -> Path:
    return single.with_name(single.name + ".index.json")


def _shards(folder: Path, single: Path) -> list[Path]:
    """The shards that an index names, sorted; none where there is no index or the whole file is there."""
    if single.is_file() or not _index(single).is_file():
        return []
    weight_map = read_json(_index(single)).get("weight_map", {})
    names = sorted(set(weight_map.values())) if isinstance(weight_map, dict) else []
    for name in names:
        if not isinstance(name, str) or re.fullmatch(r"[\w.-]+\.safetensors", name, re.ASCII) is None:
            raise WeightsRefused(f"{_index(single)} in {folder} should name safetensors files and names {name!r}.")
    return [single.with_name(name) for name in names]


def _files(folder: Path) -> Iterator[Path]:
    for component in (".", *COMPONENTS, "tokenizer", "scheduler", "safety_checker", "feature_extractor"):
        home = folder / component
        if home.is_dir():
            yield from sorted(path for path in home.iterdir() if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Digests:
    """SHA-256 of files, remembered in a JSON file by path, size, inode and times; hashing 4 GB takes seconds."""

    def __init__(self, cache: Path | None) -> None:
        self.cache = cache
        self.known: dict[str, list[Any]] = {}
        if cache is not None and cache.is_file():
            try:
                known = json.loads(cache.read_text(encoding="utf-8"))
                self.known = known if isinstance(known, dict) else {}
            except (OSError, ValueError):
                self.known = {}

    def __call__(self, path: Path) -> str:
        found = path.stat()
        name = str(path.resolve())
        stamp = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
        remembered = self.known.get(name)
        if isinstance(remembered, list) and remembered[:-1] == stamp and isinstance(remembered[-1], str):
            return remembered[-1]
        digest = _sha256(path)
        self.known[name] = [*stamp, digest]
        self._keep()
        return digest

    def _keep(self) -> None:
        """Write the cache; where that cannot be done, the next start hashes again."""
        if self.cache is None:
            return
        try:
            write_atomically({self.cache: json.dumps(self.known).encode()})
        except OSError:
            return
