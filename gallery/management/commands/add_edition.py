"""`manage.py add_edition NAME SOURCE`: an edition of a model that somebody has, in one of the forms people have it in.

Reads the options and speaks; what is done is worker.editions.adding. Everything that names and headers tell is looked
at first, and torch is imported only then.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.management.base import CommandParser
from tqdm import tqdm

from babelia.services import store
from gallery.management.sentences import INTERRUPTED, REFUSED, PressCommand, integer
from worker.catalogue.address import Address
from worker.catalogue.key import STEPS_LIMIT, Key
from worker.catalogue.png import encode_page
from worker.editions import adding, layout
from worker.editions.checkpoint import read_checkpoint, read_claims
from worker.editions.edition import SOLVERS, Edition, Hub, read_edition
from worker.editions.hub import Listing, check_room, fetch, look_up
from worker.editions.weights import (
    COMPONENTS,
    FilePin,
    Tensor,
    component_tensors,
    has_safety_checker,
    read_configs,
    weights_digest,
)
from worker.errors import InputRefused

if TYPE_CHECKING:
    from worker.engine.engine import Print
    from worker.engine.loop import Step

REPOSITORY: Final = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
FIRST_PAGE: Final = "borges"
"""The short key of the volume whose page 1 is printed."""
PREDICTIONS: Final = {"epsilon": "the noise (epsilon)", "v_prediction": "the velocity (v)"}
ANOTHER_FORM: Final = "A checkpoint of another form is added with its own configuration: --config FOLDER."
DTYPES: Final = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


@dataclass(frozen=True)
class Brought:
    """What came from a source: the form that it had, what it was read from, and what it says of itself."""

    form: str
    origin: str
    licence: str | None = None
    title: str | None = None
    fetched: tuple[Listing, Mapping[str, FilePin]] | None = None


class Command(PressCommand):
    """Add an edition."""

    help = (
        "Make an edition of a model of the kind of Stable Diffusion 1.x: of one .safetensors checkpoint, of a folder "
        "in diffusers' layout, or of a repository of the model hub. Says what it found, prints one page, and leaves "
        "nothing behind where it is refused. Pickles are never loaded."
    )
    interrupted = "Stopped; nothing was added."
    interrupted_code = REFUSED  # one code says that nothing was added, whatever the reason

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("name", metavar="NAME", help="what the edition is called in addresses: 1–32 of a–z 0–9 . -")
        add("source", metavar="FILE|FOLDER|OWNER/NAME@REVISION", help="a checkpoint, a folder, or a hub repository")
        add("--variant", metavar="NAME", help="of a folder or a repository: take the files of this variant, as fp16")
        add(
            "--config",
            type=Path,
            metavar="FOLDER",
            help="of a checkpoint of another form: a folder of its configurations and tokenizer, in diffusers' layout",
        )
        add("--prediction", choices=tuple(PREDICTIONS), help="what the model predicts, where the source does not say")
        add("--title", metavar="TEXT", help="what people read (what the source says, or NAME)")
        add("--licence", metavar="NAME", help="of the weights (what the source says, or unknown)")
        add(
            "--steps",
            type=even_steps,
            metavar="N",
            help="of the pages that prompts and short keys name (20; 4 of a latent consistency model): even, 2 to 128; "
            "they are fixed from then on",
        )
        add(
            "--solver",
            choices=SOLVERS,
            help="what the steps are made with (dpm-solver++; lcm of a latent consistency model)",
        )
        add(
            "--guidance",
            type=guidance,
            metavar="G",
            help="0 to 100; 1 is none (7.5; 8.5 of a latent consistency model that is told of it, else 1); it is fixed "
            "as well",
        )
        add("--no-print", action="store_true", help="do not print a page; a large model takes minutes for one on a CPU")

    def run(self, **options: Any) -> None:
        slug, source = options["name"], options["source"]
        with adding.staged(slug, settings.DATA_DIR) as staging:
            if Path(source).is_file():
                brought = self.bring_file(staging, Path(source), options)
            elif Path(source).is_dir():
                brought = self.bring_folder(staging, Path(source), options)
            elif found := REPOSITORY.fullmatch(source):
                brought = self.bring_repository(staging, found["name"], found["revision"], options)
            else:
                raise InputRefused(
                    f"There is no file and no folder {source}, and a repository of the model hub is called owner/name."
                )
            edition = finish(staging, brought, options)
            page = None if options["no_print"] else self.print_page(edition)
            edition.digest_cache.unlink()
            home = staging.settle()
            self.interrupted, self.interrupted_code = f"Stopped; the edition {slug} is added.", INTERRUPTED
        weights = settings.DATA_DIR / "weights" / slug if brought.fetched else home
        adding.remember_digests(settings.DATA_DIR / "digests.json", weights, staging.digests)
        if page is not None:
            keep(*page)
        self.report(read_edition(home, settings.DATA_DIR), brought, page)

    # -- bringing

    def bring_file(self, staging: adding.Staging, file: Path, options: dict[str, Any]) -> Brought:
        """Convert one checkpoint. Raises WeightsRefused, InputRefused."""
        if options["variant"] is not None:
            raise InputRefused("--variant goes with a folder or a repository; a checkpoint is one file.")
        tensors = read_checkpoint(file)
        claims = read_claims(file, tensors)
        place_configuration(staging.folder, options["config"])
        if claims.prediction or claims.zero_terminal_snr:
            adding.set_prediction(staging.folder, claims.prediction or "v_prediction", claims.zero_terminal_snr)
        configs = read_configs(options["config"] or adding.CONFIGURATION)

        from worker.engine.networks.conversion import convert, refuse_other_tensors

        parts = {}
        for component in COMPONENTS:
            names = convert(tensors, component, configs[component])
            refuse_other_tensors(component, configs[component], names, str(file), ANOTHER_FORM)
            parts[component] = [adding.Piece(new, shape, tensors[old], file) for new, (old, shape) in names.items()]
        self.write(staging, parts)
        return Brought("one checkpoint", file.name, claims.licence, claims.title)

    def bring_folder(self, staging: adding.Staging, folder: Path, options: dict[str, Any]) -> Brought:
        """Copy a folder of any variant, whole or in shards. Raises WeightsRefused, InputRefused."""
        refuse_config(options)
        layout.refuse_other_pipelines(folder, str(folder))
        chosen = layout.choose(layout.names_in(folder), options["variant"], str(folder))
        configs = read_configs(folder)
        weights = (".safetensors", ".index.json")
        small = [name for name in chosen.files if not name.endswith(weights)]
        adding.copy_configuration(folder, staging.folder, small)
        found = {
            component: adding.tensors_of(folder, chosen.files, component)
            for component in (*COMPONENTS, *(["safety_checker"] if has_safety_checker(staging.folder) else []))
        }

        from worker.engine.networks.conversion import keep, refuse_other_tensors

        parts = {}
        for component, tensors in found.items():
            plain = {name: tensor for name, (tensor, _) in tensors.items()}
            if component not in COMPONENTS:
                parts[component] = [adding.Piece(name, t.shape, t, path) for name, (t, path) in tensors.items()]
                continue
            names = keep(plain, component)
            refuse_other_tensors(component, configs[component], names, str(folder))
            parts[component] = [adding.Piece(new, shape, *tensors[old]) for new, (old, shape) in names.items()]
        self.write(staging, parts)
        form = "a folder of diffusers' layout" + (f", variant {chosen.variant}" if chosen.variant else "")
        return Brought(form, folder.resolve().name, layout.licence_of(folder))

    def bring_repository(
        self, staging: adding.Staging, name: str, revision: str | None, options: dict[str, Any]
    ) -> Brought:
        """Fetch a repository at the commit that its revision is now, first what is small. Raises EditionRefused …"""
        refuse_config(options)
        if options["prediction"] is not None:
            raise InputRefused("--prediction goes with a file or a folder; a repository's files stay as they are.")
        listing = look_up(name, revision)
        chosen = layout.choose(listing.pins, options["variant"], f"{name}@{listing.revision[:12]}")
        pins = {
            here: replace(listing.pins[there], source=None if there == here else there)
            for here, there in chosen.files.items()
        }
        adding.write_edition(staging, adding.Facts(name, name, "unknown"), "0" * 64, (listing, pins))
        edition = replace(read_edition(staging.folder, settings.DATA_DIR), slug=staging.slug, weights=staging.fetched)
        small = {here: pin for here, pin in pins.items() if not here.endswith(".safetensors")}
        check_room(staging.fetched, sum(pin.bytes for pin in pins.values()))
        with self.bar(sum(pin.bytes for pin in pins.values()), f"fetching {name}") as bar:
            fetch(replace(edition, hub=Hub(name, listing.revision, small)), bar.update)
            layout.refuse_other_pipelines(staging.fetched, name)
            configs = read_configs(staging.fetched)
            fetch(replace(edition, hub=Hub(name, listing.revision, pins)), bar.update)

        from worker.engine.networks.conversion import keep, refuse_other_tensors

        for component in COMPONENTS:
            tensors = component_tensors(staging.fetched, component)
            refuse_other_tensors(component, configs[component], keep(tensors, component), name)
        staging.digests |= {here: pin.sha256 for here, pin in pins.items() if pin.sha256 is not None}
        form = "a repository of the model hub" + (f", variant {chosen.variant}" if chosen.variant else "")
        origin = f"{name}@{listing.revision}"
        return Brought(form, origin, listing.licence, name.partition("/")[2], (listing, pins))

    def write(self, staging: adding.Staging, parts: Mapping[str, list[adding.Piece]]) -> None:
        """Write the tensors of all components, with a bar."""
        for component in COMPONENTS:
            adding.refuse_other_numbers(parts[component])
        total = sum(piece.tensor.bytes for pieces in parts.values() for piece in pieces)
        check_room(staging.folder, total)
        with self.bar(total, f"writing {staging.slug}") as bar:
            for component, pieces in parts.items():
                adding.write_component(staging, component, pieces, bar.update)

    def bar(self, total: int, what: str) -> tqdm[Any]:
        """A progress bar of bytes on standard error."""
        return tqdm(total=total, unit="B", unit_scale=True, desc=what, mininterval=0.5)

    # -- printing and saying

    def print_page(self, edition: Edition) -> tuple[Address, Key, Print]:
        """Print the first page. Raises what the engine raises."""
        store().require_room()

        from worker.engine.engine import Engine

        self.say(f"Loading {edition.slug} to print a page; Ctrl-C gives everything up, --no-print does without.")
        engine = Engine(edition, settings.DEVICE, settings.THREADS or None, settings.BATCH or None)
        address = Address(edition.slug, "key", FIRST_PAGE, 1)
        key = engine.resolve(address)
        with tqdm(total=key.steps, unit="step", desc="printing", mininterval=0.5) as bar:

            def on_step(_: Step) -> None:
                bar.update()

            printed = engine.print_page(key, on_step)
        return address, key, printed

    def report(self, edition: Edition, brought: Brought, page: tuple[Address, Key, Print] | None) -> None:
        """Say what was found and what was made of it."""
        facts = edition.check()
        tensors = [t for component in COMPONENTS for t in component_tensors(edition.weights, component).values()]
        counts = ", ".join(f"{name} {facts.parameters[name] / 1e6:,.1f} M" for name in COMPONENTS)
        lines = [
            ("found", f"{brought.form} ({brought.origin}), of the kind of Stable Diffusion 1.x"),
            ("predicts", PREDICTIONS.get(edition.prediction, edition.prediction)),
            ("size", f"{facts.bytes / 1e6:,.1f} MB: {counts}"),
            ("dtype", dtypes(tensors)),
            ("licence", edition.licence + ("" if edition.licence != "unknown" else " (the source does not say)")),
            ("sampling", f"{edition.solver}, {edition.default_steps} steps, guidance {edition.guidance:g}"),
            ("checker", "a safety checker judges each page" if facts.safety_checker else "no safety checker"),
            ("edition", str(edition.folder)),
            ("weights", f"{edition.weights}, digest {facts.digest}"),
        ]
        if page is not None:
            address, _, printed = page
            took = sum(printed.seconds.values())
            lines.append(("page", f"/{address.format()}/ in {printed.steps} steps, {took:.1f} s: {printed.digest}"))
        for name, said in lines:
            self.stdout.write(f"  {name:<10} {said}")
        self.stdout.write(f"The edition {edition.slug} is added.")
        if settings.EDITIONS and edition.slug not in settings.EDITIONS:
            self.stdout.write(f"Add {edition.slug} to BABELIA_EDITIONS, which names what the press prints.")
        self.stdout.write(
            "A library that runs names it in a few seconds; to draw new pages of it, its press has to be started again."
        )


def even_steps(text: str) -> int:
    """A reader of steps for argparse."""
    steps = integer(2, STEPS_LIMIT, "the number of steps is even and")(text)
    if steps % 2:
        raise argparse.ArgumentTypeError(f"the number of steps is even, as keys hold only such, and {text!r} was given")
    return steps


def guidance(text: str) -> float:
    """A reader of a guidance for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"the guidance is a number from 0 to 100, and {text!r} was given")
    return value


def place_configuration(target: Path, config: Path | None) -> None:
    """Write a checkpoint's configurations and tokenizer: those of Stable Diffusion 1.x, or those of `config`."""
    source = adding.CONFIGURATION if config is None else config
    if not source.is_dir():
        raise InputRefused(f"--config should name a folder, and there is none at {source}.")
    if config is not None:
        layout.require_configuration(layout.names_in(config), str(config))
    adding.copy_configuration(source, target, adding.configuration_files(source))
    if config is None:
        adding.write_tokenizer(target / "tokenizer")


def refuse_config(options: dict[str, Any]) -> None:
    """Raise InputRefused where a configuration is given for a source that has its own."""
    if options["config"] is not None:
        raise InputRefused("--config goes with a single checkpoint; a folder or a repository has its own.")


def finish(staging: adding.Staging, brought: Brought, options: dict[str, Any]) -> Edition:
    """Write what describes the edition, and look at all of it as every press does. Raises WeightsRefused …"""
    weights = staging.fetched if brought.fetched else staging.folder
    if options["prediction"] is not None:
        adding.set_prediction(weights, options["prediction"], False)
    cache = staging.folder / "digests.json"
    adding.remember_digests(cache, weights, staging.digests)
    licence = options["licence"] or brought.licence or "unknown"
    facts = adding.Facts(
        title=options["title"] or brought.title or staging.slug,
        summary=f"A model of the kind of Stable Diffusion 1.x, added from {brought.origin}.",
        licence=licence,
        **sampling(weights, options),
    )
    adding.write_edition(staging, facts, weights_digest(weights, cache), brought.fetched)
    edition = replace(
        read_edition(staging.folder, settings.DATA_DIR), slug=staging.slug, weights=weights, digest_cache=cache
    )
    edition.check()
    return edition


def sampling(weights: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Solver, guidance and steps of an edition, as they were given, else as its model is used."""
    consistent = adding.is_consistency_model(weights)
    solver = options["solver"] or ("lcm" if consistent else "dpm-solver++")
    facts: dict[str, Any] = {"solver": solver}
    if solver == "lcm":
        told = read_configs(weights)["unet"].get("time_cond_proj_dim") is not None
        facts |= {"guidance": 8.5 if told else 1.0, "default_steps": 4, "step_limit": adding.distilled_steps(weights)}
    given = {"guidance": options["guidance"], "default_steps": options["steps"]}
    return facts | {name: value for name, value in given.items() if value is not None}


def keep(address: Address, key: Key, printed: Print) -> None:
    """Keep the page as the press would have. Raises StoreUnavailable."""
    rendition = printed.rendition.format()
    png = encode_page(
        printed.pixels, address=address.format(), mark=key.mark, edition=address.edition, rendition=rendition
    )
    store().keep(
        address,
        key,
        png,
        printed.pixels,
        rendition=rendition,
        steps=printed.steps,
        seconds=sum(printed.seconds.values()),
        flagged=printed.flagged,
        weights=printed.rendition.weights,
    )


def dtypes(tensors: list[Tensor]) -> str:
    """The dtypes of tensors, that of the most bytes first."""
    sizes: dict[str, int] = {}
    for tensor in tensors:
        name = DTYPES.get(tensor.dtype, tensor.dtype)
        sizes[name] = sizes.get(name, 0) + tensor.bytes
    return ", ".join(sorted(sizes, key=lambda name: -sizes[name]))
