"""The rules of the house, held by the code: who may import what, no circles, no global random numbers, small folders.

Imports are read from the source, wherever they stand: at the top, inside functions, under TYPE_CHECKING. The table in
docs/architecture.md is held to `ARROWS` here.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import ROOT

PACKAGES = ("babelia", "gallery", "worker", "training", "bench")
MODELS = {"torch", "diffusers", "transformers"}
SITE = {"django", "celery", "ninja"}

ARROWS = {
    "worker.errors": (),
    "worker.files": ("worker.errors",),
    "worker.catalogue": ("worker.errors",),
    "worker.editions": ("worker.errors", "worker.files", "worker.catalogue"),
    "worker.engine": ("worker.errors", "worker.catalogue", "worker.editions"),
    "worker.store": ("worker.errors", "worker.files", "worker.catalogue"),
    "worker.finding": (
        *("worker.errors", "worker.files", "worker.catalogue", "worker.editions", "worker.engine", "worker.store"),
    ),
    "worker.jobs": ("worker.errors", "worker.catalogue", "worker.store"),
    "worker.films": ("worker.errors",),
    "worker.series": (
        *("worker.errors", "worker.files", "worker.catalogue", "worker.editions", "worker.engine", "worker.store"),
        *("worker.keys",),
    ),
    "worker.keys": ("worker.errors", "worker.catalogue", "worker.editions", "worker.engine", "worker.store"),
    "worker.searches": (
        *("worker.errors", "worker.catalogue", "worker.engine", "worker.store", "worker.jobs", "worker.finding"),
    ),
    "worker.press": (
        *("worker.errors", "worker.catalogue", "worker.editions", "worker.engine", "worker.store", "worker.jobs"),
        *("worker.keys", "worker.finding", "worker.searches"),
    ),
    "worker.tasks": ("worker.press",),
    "training": (
        *("worker.errors", "worker.files", "worker.catalogue", "worker.editions", "worker.engine", "training.scenes"),
    ),
    "training.scenes": ("training.errors", "training.plans"),
    "babelia": (
        *("worker.errors", "worker.files", "worker.catalogue", "worker.editions", "worker.store", "worker.jobs"),
        *("worker.press", "worker.tasks"),
    ),
    "babelia.urls": ("gallery.urls", "gallery.api", "gallery.keeper"),
    "gallery": (
        *("worker.errors", "worker.catalogue", "worker.editions", "worker.store", "worker.jobs", "babelia.services"),
        *("gallery.pages", "gallery.finding", "worker.finding"),
    ),
    "gallery.pages": (
        *("worker.errors", "worker.catalogue", "worker.editions", "worker.store", "worker.jobs", "babelia.services"),
        *("worker.keys", "worker.films", "gallery.addresses", "gallery.description", "gallery.editions"),
        *("gallery.ledger", "gallery.models", "gallery.visits", "worker.finding"),
    ),
    "gallery.finding": (
        *("worker.errors", "worker.catalogue", "worker.store", "worker.jobs", "worker.finding", "babelia.services"),
        "gallery",
    ),
    "gallery.keeper": (
        *("worker.errors", "worker.catalogue", "worker.store", "babelia.services", "gallery.addresses"),
        *("gallery.answers", "gallery.bounds", "gallery.ledger", "gallery.models"),
    ),
    "gallery.views": (
        *("worker.errors", "worker.catalogue", "worker.editions", "worker.store", "worker.jobs", "babelia.services"),
        *("worker.films", "gallery", "worker.finding"),
    ),
    "gallery.urls": ("gallery.addresses", "gallery.finding", "gallery.holds", "gallery.views"),
    "gallery.management": (
        *("worker.errors", "worker.files", "worker.catalogue", "worker.editions", "worker.engine", "worker.store"),
        *("worker.keys", "worker.series", "worker.films", "babelia.services", "babelia.processes.library"),
        *("gallery.models", "gallery.keeper", "worker.finding"),
    ),
}
"""For each room, what it may import of the project outside itself; a module's room is the longest name that fits it, so
that `gallery` is what lies in it directly. `bench` measures everything and may import everything."""

FILES_A_FOLDER = 14

UNTESTED = {
    "babelia.processes.errors": "classes alone; the tests of what raises them read their sentences",
    "gallery.apps": "four lines that Django calls; without them no test of gallery.models starts",
    "worker.catalogue.limits": "two numbers; the tests of the form and of the API go to both edges",
    "worker.errors": "classes alone; every test of a refusal reads their sentences",
}
"""Modules that have no test file of their own name, and why."""


class Import(NamedTuple):
    """One imported name, `a.b.c` of `import a.b.c` and of `from a.b import c`, and where it stands."""

    line: int
    name: str


@cache
def modules() -> dict[str, Path]:
    """Every module of the project's packages by its dotted name; a package by the name of its folder."""
    found = {}
    for file in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        found[".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = file
    return found


@cache
def imports_of(name: str) -> tuple[Import, ...]:
    """What a module imports, wherever in its file."""
    file = modules()[name]
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [Import(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
            base = base[: len(base) + 1 - node.level] if node.level else []
            home = ".".join([*base, *filter(None, [node.module])])
            found += [Import(node.lineno, f"{home}.{alias.name}") for alias in node.names]
    return tuple(found)


def is_inside(name: str, home: str) -> bool:
    """Whether a dotted name is `home` or lies below it."""
    return name == home or name.startswith(f"{home}.")


def room_of(name: str) -> str | None:
    """The room that a module belongs to: the longest name of the table that fits; None where none does."""
    return max((room for room in ARROWS if is_inside(name, room)), key=len, default=None)


def depends_on(name: str) -> dict[str, int]:
    """The project's modules that importing `name` runs, with the line: what it names, and the packages above that."""
    found: dict[str, int] = {}
    for line, imported in imports_of(name):
        parts = imported.split(".")
        for end in range(1, len(parts) + 1):
            module = ".".join(parts[:end])
            if module in modules() and module != name:
                found.setdefault(module, line)
    return found


def outside_the_arrows() -> Iterator[str]:
    """Every import that the table does not allow, as a line to read."""
    for name, file in modules().items():
        room = room_of(name)
        for line, imported in imports_of(name):
            if imported.partition(".")[0] not in PACKAGES or imported in PACKAGES or name.partition(".")[0] == "bench":
                continue
            if room_of(imported) != room and not any(
                is_inside(imported, allowed) for allowed in ARROWS.get(room or "", ())
            ):
                yield f"{file.relative_to(ROOT)}:{line} ({room}) imports {imported}"


def circles(arrows: dict[str, list[str]]) -> Iterator[list[str]]:
    """One shortest circle through each module that lies on one, each circle once."""
    seen: set[frozenset[str]] = set()
    for start in arrows:
        before: dict[str, str] = {}
        queue = [start]
        for module in queue:
            for following in arrows[module]:
                if following not in before:
                    before[following] = module
                    queue.append(following)
        if start in before:
            circle = [start]
            while not (len(circle) > 1 and circle[-1] == start):
                circle.append(before[circle[-1]])
            if frozenset(circle) not in seen:
                seen.add(frozenset(circle))
                yield circle[::-1]


def loaded_after(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after running `code`."""
    script = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def place_of_test(name: str) -> Path:
    """The test file of a module, relative to the checkout; the folder `management` is not mirrored."""
    file = modules()[name].relative_to(ROOT)
    return Path("tests", *(part for part in file.parts[:-1] if part != "management"), f"test_{file.name}")


def refuse(found: Sequence[str], sentence: str) -> None:
    """Fail with a sentence and everything that was found, a line each."""
    assert not found, "\n  ".join([sentence, *found])


# -- who may import what


def test_every_import_follows_the_arrows_between_the_rooms() -> None:
    refuse(list(outside_the_arrows()), "These imports follow no arrow of the table:")


def test_every_room_of_the_table_is_there_and_every_module_of_the_worker_has_one() -> None:
    refuse([room for room in ARROWS if room not in modules()], "The table names rooms that are not there:")
    homeless = [name for name in modules() if name.startswith("worker.") and room_of(name) is None]
    refuse(homeless, "The table says nothing of these modules:")


def test_the_architecture_names_the_same_arrows() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `([a-z.]+)` \| (.*) \|$", text.partition("## Who may import what")[2], re.MULTILINE)
    assert {room: tuple(re.findall(r"`([a-z.]+)`", allowed)) for room, allowed in table} == ARROWS


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = {name: depends_on(name) for name in modules()}
    found = [
        ", ".join(f"{one}:{arrows[one][other]} imports {other}" for one, other in pairwise(circle))
        for circle in circles({name: list(imported) for name, imported in arrows.items()})
    ]
    refuse(found, "These modules import each other in a circle:")


def test_torch_and_its_kin_are_imported_by_the_engine_and_the_training_alone() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {imported}"
        for name, file in modules().items()
        for line, imported in imports_of(name)
        if (imported.partition(".")[0] in MODELS or is_inside(imported, "safetensors.torch"))
        and not any(is_inside(name, home) for home in ("worker.engine", "training", "bench"))
    ]
    refuse(found, "Only worker.engine, training and bench import torch:")


def test_only_the_task_module_of_the_worker_knows_celery_and_none_knows_django() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {imported}"
        for name, file in modules().items()
        if name.partition(".")[0] in ("worker", "training")
        for line, imported in imports_of(name)
        if imported.partition(".")[0] in SITE - ({"celery"} if name == "worker.tasks" else set())
    ]
    refuse(found, "Only worker.tasks imports Celery, and nothing of the worker or the training Django:")


# -- what a fresh interpreter has loaded


def test_the_site_never_loads_a_model_library() -> None:
    names = [name for name in modules() if is_inside(name, "gallery") and ".commands." not in name]
    code = f"""
import os; os.environ.setdefault("DJANGO_SETTINGS_MODULE", "babelia.settings")
import django; django.setup()
import importlib
for name in {[*names, "babelia.urls", "babelia.asgi", "babelia.celery"]!r}: importlib.import_module(name)
"""
    assert not loaded_after(code) & MODELS


def test_the_engine_runs_without_django_and_celery() -> None:
    assert not loaded_after("import worker.engine.engine") & (SITE | {"gallery", "babelia"})


def test_the_worker_outside_the_engine_loads_neither_torch_nor_the_site() -> None:
    """The parent of the press's processes imports all of these, and must not touch torch before it forks."""
    apart = ("worker.engine", "worker.series", "worker.tasks")
    names = [name for name in modules() if is_inside(name, "worker") and not any(is_inside(name, a) for a in apart)]
    code = f"import importlib\nfor name in {names!r}: importlib.import_module(name)"
    assert not loaded_after(code) & (MODELS | SITE | {"gallery", "babelia"})
    # Celery's kombu loads what it finds of Django by itself, so that Django is not looked for here.
    assert not loaded_after("import worker.tasks") & (MODELS | {"ninja", "gallery", "babelia"})


# -- folders and files


def test_every_folder_says_what_it_owns_and_what_it_may_import() -> None:
    silent = []
    for file in modules().values():
        if file.name != "__init__.py" or "migrations" in file.parts:
            continue
        said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        if not re.search(r"\bimports?\b", said, re.IGNORECASE):
            silent.append(f"{file.relative_to(ROOT)}: {said.splitlines()[0] if said else 'nothing'}")
    refuse(silent, "These docstrings should say what their folder may import:")


def test_no_folder_is_a_corridor() -> None:
    """About a dozen files: a reader takes in a list of that length at a glance."""
    folders = {file.parent for file in modules().values()}
    counted = {
        str(folder.relative_to(ROOT)): len([file for file in folder.glob("*.py") if file.name != "__init__.py"])
        for folder in folders
    }
    crowded = [f"{folder}: {count}" for folder, count in counted.items() if count > FILES_A_FOLDER]
    refuse(crowded, f"These folders have more than {FILES_A_FOLDER} modules:")


def test_every_module_has_the_test_file_named_after_it() -> None:
    missing = []
    for name, file in modules().items():
        if file.name == "__init__.py" or "migrations" in file.parts:
            continue
        if name.partition(".")[0] not in ("babelia", "gallery", "worker") or name in UNTESTED:
            continue
        if not (ROOT / place_of_test(name)).exists():
            missing.append(f"{name}: {place_of_test(name)}")
    refuse(missing, "These modules have no test file of their name:")


def test_every_exception_from_the_test_files_is_a_module_without_one() -> None:
    stale = [name for name in UNTESTED if name not in modules() or (ROOT / place_of_test(name)).exists()]
    refuse(stale, "These are no exceptions any more:")


def test_every_file_opens_with_a_line_on_what_it_owns() -> None:
    files = [*modules().values(), *(ROOT / "tests").rglob("*.py")]
    silent = [
        str(file.relative_to(ROOT))
        for file in files
        if "migrations" not in file.parts and not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    ]
    refuse(silent, "These files do not open with a docstring:")


def fixtures_of(conftest: Path) -> dict[str, str]:
    """What the fixtures of a conftest are declared to give, by their names."""
    return {
        node.name: ast.unparse(node.returns) if node.returns else ""
        for node in ast.parse(conftest.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
    }


def test_no_fixture_of_a_folder_hides_another_kind_of_thing_above_it() -> None:
    """The fixtures above ask for theirs by name, and would be handed what the folder means by it."""
    hidden = [
        f"{conftest.relative_to(ROOT)}: {name} gives {given}, above it {above[name]}"
        for conftest in (ROOT / "tests").rglob("conftest.py")
        for folder in conftest.parents[1:]
        if folder.is_relative_to(ROOT / "tests") and (folder / "conftest.py").exists()
        for above in [fixtures_of(folder / "conftest.py")]
        for name, given in fixtures_of(conftest).items()
        if above.get(name, given) != given
    ]
    refuse(hidden, "These fixtures need a name of their own:")


def test_the_tracked_tree_is_small() -> None:
    """60 MB in all and 15 MB a file: what fits through to a machine with a GPU."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    sizes = {
        name: (ROOT / name).stat().st_size for name in listed.decode().split("\0") if name and (ROOT / name).exists()
    }
    assert sum(sizes.values()) < 60_000_000
    assert max(sizes.values()) < 15_000_000


# -- numbers


@pytest.mark.parametrize("call", ["manual_seed", "set_rng_state", "np.random.seed", "random.seed"])
def test_the_press_has_no_global_random_generator(call: str) -> None:
    found = []
    for name, file in modules().items():
        if not is_inside(name, "worker"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called == call or called in {f"torch.{call}", f"torch.random.{call}", f"torch.cuda.{call}"}:
                    found.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    refuse(found, f"Nothing of the worker calls {call}:")
