"""Editions: the folders that say how a key becomes a picture. Reads TOML and file names only.

May import worker.errors, catalogue.address and editions.weights; never torch or Django: the site lists editions.

An edition is a folder named by its slug, in `editions/` or, anybody's own, in `data/editions/`: `edition.toml` and
`lexicon.toml`. docs/editions.md describes both, key by key, and a test holds it to what is read here. An own edition
cannot take the slug of a shipped one.
"""

import itertools
import json
import logging
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from worker.catalogue.address import DEFAULT_EDITION, is_slug
from worker.catalogue.expansion import Lexicon
from worker.editions.adapters import Adapter, check_adapter, digest_with_adapters
from worker.editions.rereading import when_changed
from worker.editions.weights import FilePin, WeightsFacts, check_weights, missing_files
from worker.errors import EditionRefused, WeightsRefused

__all__ = [
    "DEFAULT_EDITION",
    "Edition",
    "Hub",
    "PreviewMatrix",
    "all_editions",
    "edition_slugs",
    "load_edition",
    "read_edition",
]

log = logging.getLogger(__name__)

SHIPPED: Final = Path(__file__).resolve().parent.parent.parent / "editions"
SOLVERS: Final = ("ddim", "dpm-solver++", "lcm")
DEVICES: Final = ("cpu", "cuda", "mps")
BATCH_MAX: Final = 64
"""The most rows that one run has, on any device."""
PRECISION_DEVICES: Final = ("cpu", "cpu_bf16", "cuda", "mps")
PRECISIONS: Final = ("float32", "bfloat16", "float16")
STEPS_MAX: Final = 128
TIMESTEPS: Final = 1000
_KEYS = {
    "": {
        *("title", "summary", "licence", "licence_url", "solver", "guidance", "default_steps", "step_limit"),
        *("safety_checker", "early", "precision", "batch", "adapters", "weights", "preview"),
    },
    "early": {"guidance", "above"},
    "weights": {"model", "digest", "hub", "revision", "files"},
    "preview": {"matrix", "bias"},
    "adapters": {"file", "strength", "digest"},
}


@dataclass(frozen=True)
class Hub:
    """A repository of the model hub at one commit, and the files that are fetched from it."""

    name: str
    revision: str
    files: Mapping[str, FilePin]


@dataclass(frozen=True)
class PreviewMatrix:
    """RGB in −1 … 1 = bias + latents · matrix; `matrix` is four rows (latent channels) of three (R, G, B)."""

    matrix: tuple[tuple[float, float, float], ...]
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Edition:
    """One edition as its folder describes it. Reading it loads no weights; `check` looks at those."""

    slug: str
    title: str
    summary: str
    licence: str
    licence_url: str | None
    solver: str
    guidance: float
    early_guidance: float
    """The guidance at timesteps beyond `early_above`; where the edition states none, `guidance` as well."""
    early_above: int
    default_steps: int
    step_limit: int
    safety_checker: bool
    precision: Mapping[str, str]
    batch: Mapping[str, int]
    adapters: tuple[Adapter, ...]
    """What is fused into the weights when they are loaded, in this order."""
    folder: Path
    weights: Path
    """The folder with `unet/`, `vae/`, `text_encoder/`, `tokenizer/` and `scheduler/`, there or not."""
    hub: Hub | None
    digest: str | None
    """The digest that the weights must have, where the edition states one."""
    lexicon: Lexicon = field(repr=False)
    preview: PreviewMatrix | None
    digest_cache: Path = field(repr=False)

    @property
    def installed(self) -> bool:
        """Whether every file of the weights is there. Whether they are the right ones is for `check`."""
        return not self.missing and all(adapter.file.is_file() for adapter in self.adapters)

    @property
    def missing(self) -> list[str]:
        """The files of the weights that are not there, relative to `weights`."""
        return missing_files(self.weights, self.hub.files if self.hub else None, checker=self.safety_checker)

    @property
    def scheduler_config(self) -> dict[str, Any]:
        """The model's own `scheduler/scheduler_config.json`. Raises EditionRefused where it cannot be read."""
        path = self.weights / "scheduler" / "scheduler_config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EditionRefused(
                f"Edition {self.slug} is not installed: {path} cannot be read ({error}).", hint=self.remedy
            ) from error
        if not isinstance(config, dict):
            raise EditionRefused(f"{path} should hold one JSON object and holds a {type(config).__name__}.")
        return config

    @property
    def prediction(self) -> str:
        """What the U-Net predicts, as its scheduler's config says: "epsilon" or "v_prediction"."""
        return str(self.scheduler_config.get("prediction_type", "epsilon"))

    @property
    def remedy(self) -> str:
        """What to do where the weights are missing or wrong."""
        if self.hub:
            return f"Run `python manage.py fetch_edition {self.slug}`."
        return f"Put the weights in the ordinary diffusers layout into {self.weights}."

    def check(self) -> WeightsFacts:
        """Look at every file of the weights before anything loads them; the engine calls this first.

        Raises EditionRefused where they are not there and WeightsRefused where they are not what they should be.
        """
        missing = self.missing
        if missing and (self.hub or not self.weights.is_dir()):
            names = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            raise EditionRefused(
                f"Edition {self.slug} is not installed: {self.weights} lacks {names}.", hint=self.remedy
            )
        facts = check_weights(
            self.weights,
            digest=None if self.adapters else self.digest,
            pins=self.hub.files if self.hub else None,
            cache=self.digest_cache,
            checker=self.safety_checker,
        )
        for adapter in self.adapters:
            check_adapter(adapter)
        found = digest_with_adapters(facts.digest, self.adapters)
        if self.digest not in (None, found):
            raise WeightsRefused(
                f"The weights in {self.weights} with their adapters should have the digest {self.digest} and have"
                f" {found}."
            )
        size = facts.bytes + sum(adapter.file.stat().st_size for adapter in self.adapters)
        return replace(facts, digest=found, bytes=size)


def load_edition(slug: str, data_dir: Path) -> Edition:
    """The edition named `slug`, shipped or own. Raises EditionRefused: unknown, or its files are broken."""
    if is_slug(slug):
        for home in (SHIPPED, data_dir / "editions"):
            if (home / slug / "edition.toml").is_file():
                return read_edition(home / slug, data_dir)
    known = ", ".join(edition_slugs(data_dir)) or "none"
    raise EditionRefused(
        f"There is no edition {slug!r}.",
        hint=f"The editions here are: {known}. `python manage.py add_edition` makes one of a model that you have.",
    )


def all_editions(data_dir: Path) -> list[Edition]:
    """Every edition here, the default first, then by slug. One that cannot be read is left out and logged."""
    editions = []
    for slug in edition_slugs(data_dir):
        try:
            editions.append(load_edition(slug, data_dir))
        except EditionRefused as error:
            log.warning("Edition %s is left out: %s", slug, error)
    return editions


def edition_slugs(data_dir: Path) -> list[str]:
    """The slugs of the editions here, readable or not, in the order of `all_editions`."""
    homes = (SHIPPED, data_dir / "editions")
    found = {file.parent.name for home in homes for file in home.glob("*/edition.toml")}
    return sorted(filter(is_slug, found), key=lambda slug: (slug != DEFAULT_EDITION, slug))


def read_edition(folder: Path, data_dir: Path) -> Edition:
    """`folder` as an edition. Everything that edition.toml can get wrong is said with its name, by EditionRefused."""
    reader = _Reader(folder / "edition.toml")
    document = reader.table("")
    weights_table = reader.table("weights")
    weights, hub, digest = _weights(reader, weights_table, folder, data_dir)
    step_limit = reader.whole("step_limit", 2, STEPS_MAX)
    default_steps = reader.whole("default_steps", 2, step_limit)
    if default_steps % 2:
        raise reader.refused("default_steps", "an even number, as keys hold only those", default_steps)
    guidance = reader.number("guidance", 0, 100)
    early = reader.table("early")
    safety_checker = document.get("safety_checker", True)
    if not isinstance(safety_checker, bool):
        raise reader.refused("safety_checker", "true or false", safety_checker)
    return Edition(
        slug=folder.name,
        title=reader.text("title"),
        summary=reader.text("summary"),
        licence=reader.text("licence"),
        licence_url=reader.text("licence_url") if "licence_url" in document else None,
        solver=reader.choice("solver", SOLVERS),
        guidance=guidance,
        early_guidance=reader.number("early.guidance", 0, 100) if early else guidance,
        early_above=reader.whole("early.above", 0, TIMESTEPS - 1) if early else TIMESTEPS - 1,
        default_steps=default_steps,
        step_limit=step_limit,
        safety_checker=safety_checker,
        precision=_precision(reader),
        batch=_batch(reader),
        adapters=_adapters(reader, folder),
        folder=folder,
        weights=weights,
        hub=hub,
        digest=digest,
        lexicon=_lexicon(folder / "lexicon.toml"),
        preview=_preview(reader),
        digest_cache=data_dir / "digests.json",
    )


class _Reader:
    """One edition.toml, with sentences for everything that is not as the format says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.document = _toml(path)
        for name, known in _KEYS.items():
            for key in itertools.chain.from_iterable(self.tables(name)):
                if key not in known:
                    where = f"[{name}] of {path}" if name else str(path)
                    raise EditionRefused(
                        f"{where} has an unknown setting {key!r}.",
                        hint=f"Known are {', '.join(sorted(known))}.",
                    )

    def table(self, name: str) -> dict[str, Any]:
        found = self.document.get(name, {}) if name else self.document
        if not isinstance(found, dict):
            raise self.refused(name, "a table", found)
        return found

    def tables(self, name: str) -> list[dict[str, Any]]:
        """The tables under a name: those of an array such as [[adapters]], else the one."""
        found = self.document.get(name) if name == "adapters" else None
        if found is None:
            return [self.table(name)]
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            raise self.refused(name, f"tables, each below a line [[{name}]]", found)
        return found

    def text(self, name: str) -> str:
        value = self.document.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.refused(name, "a line of text", value)
        return value

    def choice(self, name: str, known: tuple[str, ...]) -> str:
        value = self.document.get(name)
        if value not in known:
            raise self.refused(name, "one of " + ", ".join(known), value)
        return str(value)

    def value(self, name: str) -> object:
        """What stands there: "guidance" at the top, "early.guidance" in a table; None where nothing does."""
        table, _, key = name.rpartition(".")
        return self.table(table).get(key)

    def whole(self, name: str, low: int, high: int) -> int:
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refused(name, f"a whole number from {low} to {high}", value)
        return value

    def number(self, name: str, low: float, high: float) -> float:
        value = self.value(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self.refused(name, f"a number from {low:g} to {high:g}", value)
        return float(value)

    def refused(self, name: str, expected: str, found: object) -> EditionRefused:
        said = "is missing" if found is None else f"is {found!r}"
        return EditionRefused(f"{name} in {self.path} should be {expected}, and {said}.")


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise EditionRefused(f"{path} cannot be read: {error}.") from error


def _weights(
    reader: _Reader, table: dict[str, Any], folder: Path, data_dir: Path
) -> tuple[Path, Hub | None, str | None]:
    digest = table.get("digest")
    if digest is not None and not _is_hex(digest, 64):
        raise reader.refused("weights.digest", "64 hexadecimal digits", digest)
    if "model" in table:
        if extra := {"hub", "revision", "files"} & table.keys():
            raise EditionRefused(f"[weights] in {reader.path} names both a folder (model) and a hub ({extra.pop()}).")
        model = table["model"]
        if not isinstance(model, str) or not model:
            raise reader.refused("weights.model", "the path of a folder", model)
        return (folder / model).resolve(), None, digest
    name, revision, files = table.get("hub"), table.get("revision"), table.get("files")
    if not isinstance(name, str) or re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII) is None:
        raise reader.refused("weights.hub", "owner/name of a hub repository (or weights.model a folder)", name)
    if not isinstance(revision, str) or not _is_hex(revision, 40):
        raise reader.refused("weights.revision", "a full commit of 40 hexadecimal digits", revision)
    if not isinstance(files, dict) or not files:
        raise reader.refused("weights.files", "a table of the files to fetch", files)
    pins = {str(path): _pin(reader, str(path), pin) for path, pin in files.items()}
    return (data_dir / "weights" / folder.name).resolve(), Hub(name, revision, pins), digest


def _pin(reader: _Reader, path: str, pin: object) -> FilePin:
    if not _is_relative(path):
        raise reader.refused("weights.files", "relative paths with forward slashes", path)
    if isinstance(pin, dict) and isinstance(pin.get("bytes"), int) and pin["bytes"] >= 0:
        sha256, git, source = pin.get("sha256"), pin.get("git"), pin.get("source")
        if source is not None and not (isinstance(source, str) and _is_relative(source)):
            raise reader.refused(f'weights.files."{path}".source', "a relative path with forward slashes", source)
        keys = pin.keys() - {"source"}
        if keys == {"bytes", "sha256"} and _is_hex(sha256, 64):
            return FilePin(bytes=pin["bytes"], sha256=str(sha256), source=source)
        if keys == {"bytes", "git"} and _is_hex(git, 40):
            return FilePin(bytes=pin["bytes"], git=str(git), source=source)
    raise reader.refused(f'weights.files."{path}"', '{ bytes = N, sha256 = "…" } or { bytes = N, git = "…" }', pin)


def _is_relative(path: str) -> bool:
    """Whether a path stays below the folder that it is joined to."""
    return "\\" not in path and not any(part in ("", ".", "..") for part in path.split("/"))


def _is_hex(value: object, length: int) -> bool:
    return isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{length}}}", value, re.ASCII) is not None


def _precision(reader: _Reader) -> dict[str, str]:
    table = reader.table("precision")
    if not table:
        raise reader.refused("precision", "a table with at least one of " + ", ".join(PRECISION_DEVICES), None)
    for device, dtype in table.items():
        if device not in PRECISION_DEVICES:
            raise reader.refused("precision", "a table with keys out of " + ", ".join(PRECISION_DEVICES), device)
        if dtype not in PRECISIONS:
            raise reader.refused(f"precision.{device}", "one of " + ", ".join(PRECISIONS), dtype)
    return {str(device): str(dtype) for device, dtype in table.items()}


def _batch(reader: _Reader) -> dict[str, int]:
    table = reader.table("batch")
    for device in table:
        if device not in DEVICES:
            raise reader.refused("batch", "a table with keys out of " + ", ".join(DEVICES), device)
    return {device: reader.whole(f"batch.{device}", 1, BATCH_MAX) if device in table else 1 for device in DEVICES}


def _adapters(reader: _Reader, folder: Path) -> tuple[Adapter, ...]:
    adapters = []
    for table in reader.tables("adapters") if "adapters" in reader.document else []:
        file, strength, digest = table.get("file"), table.get("strength"), table.get("digest")
        if not isinstance(file, str) or not file.endswith(".safetensors"):
            raise reader.refused("adapters.file", "the path of a .safetensors file", file)
        if not isinstance(strength, int | float) or isinstance(strength, bool) or not -4 <= strength <= 4:
            raise reader.refused("adapters.strength", "a number from -4 to 4", strength)
        if not isinstance(digest, str) or not _is_hex(digest, 64):
            raise reader.refused("adapters.digest", "the SHA-256 of the file, 64 hexadecimal digits", digest)
        adapters.append(Adapter((folder / file).resolve(), float(strength), digest))
    return tuple(adapters)


def _preview(reader: _Reader) -> PreviewMatrix | None:
    table = reader.table("preview")
    if not table:
        return None
    matrix, bias = table.get("matrix"), table.get("bias", [0.0, 0.0, 0.0])
    if not isinstance(matrix, list) or len(matrix) != 4 or not all(map(_is_colour, matrix)):
        raise reader.refused("preview.matrix", "four rows of three numbers", matrix)
    if not _is_colour(bias):
        raise reader.refused("preview.bias", "three numbers", bias)
    return PreviewMatrix(tuple(map(_colour, matrix)), _colour(bias))


def _is_colour(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in value)
    )


def _colour(value: list[float]) -> tuple[float, float, float]:
    red, green, blue = value
    return float(red), float(green), float(blue)


@when_changed(32)
def _lexicon_at(path: Path) -> Lexicon:
    document = _toml(path)
    lists: dict[str, tuple[str, ...]] = {}
    for name in ("subjects", "settings", "styles"):
        phrases = document.pop(name, [] if name == "subjects" else [""])
        if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
            raise EditionRefused(f"{name} in {path} should be a list of phrases.")
        if not phrases or (name == "subjects" and "" in phrases):
            raise EditionRefused(f"{name} in {path} should hold phrases, and one is missing.")
        if len(set(phrases)) != len(phrases):
            twice = next(phrase for phrase in phrases if phrases.count(phrase) > 1)
            raise EditionRefused(f"{name} in {path} has the phrase {twice!r} twice.")
        lists[name] = tuple(phrases)
    if document:
        raise EditionRefused(
            f"{path} has an unknown list {next(iter(document))!r}.", hint="Known are subjects, settings, styles."
        )
    return Lexicon(**lists)


def _lexicon(path: Path) -> Lexicon:
    """The lexicon at `path`: the site asks for it with every page."""
    try:
        return _lexicon_at(path)
    except OSError as error:
        raise EditionRefused(f"The edition in {path.parent} has no lexicon.toml that can be read.") from error
