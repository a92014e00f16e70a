"""The house's own rules, held by the code itself: who may import what, no global random numbers, a small tree."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

MODELS = {"torch", "diffusers", "transformers"}
SITE = {"django", "celery", "ninja"}


def modules_of(package: str) -> list[str]:
    files = sorted((ROOT / package).rglob("*.py"))
    return [".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for f in files]


def imported_by(package: str) -> Iterator[tuple[Path, int, str]]:
    """Every module name that a package's files import, wherever in the file."""
    for file in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((file, node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield file, node.lineno, node.module


def loaded_after(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after running `code`."""
    script = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_site_never_loads_a_model_library() -> None:
    names = [name for name in modules_of("gallery") if ".commands." not in name]
    code = f"""
import os; os.environ.setdefault("DJANGO_SETTINGS_MODULE", "babelia.settings")
import django; django.setup()
import importlib
for name in {[*names, "babelia.urls", "babelia.asgi", "babelia.celery"]!r}: importlib.import_module(name)
"""
    assert not loaded_after(code) & MODELS


def test_the_engine_runs_without_django_and_celery() -> None:
    assert not loaded_after("import worker.engine.engine") & (SITE | {"gallery", "babelia"})


def test_only_the_task_module_of_the_press_knows_celery() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file, line, name in imported_by("worker")
        if name.partition(".")[0] in SITE and file.name != "tasks.py"
    ]
    assert not found


def test_the_press_never_imports_the_site() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for package in ("worker", "training", "bench")
        for file, line, name in imported_by(package)
        if name.partition(".")[0] == "gallery"
    ]
    assert not found


def test_the_catalogue_imports_nothing_of_the_other_rooms() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file, line, name in imported_by("worker/catalogue")
        if name.partition(".")[0] == "worker" and not name.startswith(("worker.catalogue.", "worker.errors"))
    ]
    assert not found


@pytest.mark.parametrize("call", ["manual_seed", "set_rng_state", "np.random.seed", "random.seed"])
def test_the_press_has_no_global_random_generator(call: str) -> None:
    found = []
    for file in sorted((ROOT / "worker").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name == call or name in {f"torch.{call}", f"torch.random.{call}", f"torch.cuda.{call}"}:
                    found.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert not found


def test_every_file_opens_with_a_line_on_what_it_owns() -> None:
    files = [
        f for p in ("babelia", "gallery", "worker", "training", "bench", "tests") for f in (ROOT / p).rglob("*.py")
    ]
    silent = [
        str(file.relative_to(ROOT))
        for file in files
        if "migrations" not in file.parts and not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_the_tracked_tree_is_small() -> None:
    """60 MB in all and 15 MB a file: what fits through to a machine with a GPU."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    sizes = {
        name: (ROOT / name).stat().st_size for name in listed.decode().split("\0") if name and (ROOT / name).exists()
    }
    assert sum(sizes.values()) < 60_000_000
    assert max(sizes.values()) < 15_000_000
