"""Memory that runs out, in processes whose address space is limited for real."""

import os
from pathlib import Path

import pytest
import torch

from tests.forked import commands
from worker.engine import memory
from worker.errors import PrintFailed

SCRIPT = """
import resource, sys
from pathlib import Path
import psutil
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.editions.edition import load_edition
from worker.engine.engine import Engine
from worker.engine.networks.text_encoder import TextEncoder
from worker.errors import EditionRefused, PrintFailed
from worker.keys import derive_key

def leave(megabytes):
    now = psutil.Process().memory_info().vms + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (now, now))

edition = load_edition("pocket-1", Path(sys.argv[2]))
try:
    if sys.argv[1] in ("load", "derive"):
        leave(5)
    if sys.argv[1] == "derive":
        derive_key(Address.parse("pocket-1/prompt/a dog/1"), Path(sys.argv[2]))
    engine = Engine(edition, device="cpu", threads=1, batch=1)
    if sys.argv[1] == "print":
        leave(1)
    engine.print_page(stacks_key("x", 1), steps=2)
except (EditionRefused, PrintFailed) as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("when", "kind"), [("load", "EditionRefused"), ("print", "PrintFailed"), ("derive", "EditionRefused")]
)
def test_too_little_memory_is_a_sentence_with_what_is_needed(when: str, kind: str, tmp_path: Path) -> None:
    done = commands().run(["-c", SCRIPT, when, str(tmp_path)], dict(os.environ))
    assert done.stdout.startswith(f"{kind} There is too little memory for edition pocket-1: its weights alone take ")
    assert " are free." in done.stdout


def test_another_error_of_torch_stays_what_it_is() -> None:
    with (
        pytest.raises(RuntimeError, match="shape") as caught,
        memory.explained(PrintFailed, "tiny", 1, torch.device("cpu")),
    ):
        torch.zeros(3).reshape(2, 2)
    assert not isinstance(caught.value, PrintFailed)


def test_weights_are_counted_in_the_type_that_they_are_loaded_in() -> None:
    parameters = {"unet": 10, "vae": 5, "text_encoder": 2, "safety_checker": 1}
    assert memory.bytes_of_weights(parameters, torch.bfloat16) == 15 * 2 + 2 * 8 + 4
