"""The measurement for a GPU, gone through on the CPU as far as the engine."""

import pytest
import torch

from bench.gpu import __main__ as gpu
from worker.engine.engine import Engine


@pytest.fixture(autouse=True)
def as_it_was():
    """The engine sets torch's switches for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def test_the_engine_is_measured_and_the_clock_ends_it(capsys):
    line = "--device cpu --sizes pocket --batches 2 1 --compiled --steps 2 --seconds 0.5"
    assert gpu.main(line.split()) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == "pocket, batch 2: 0 bytes differ between two prints, 0 alone and among others"
    assert printed[2].startswith("pocket, batch 2: engine") and printed[2].endswith("pages a second")
    assert printed[3:] == ["every byte as it should be"], "neither the pipeline nor batch 1 had any time left"


def test_a_byte_that_differs_is_counted_and_said(capsys, monkeypatch):
    def another(self, key, *_):
        page = self.print_pages([key])[0]
        page.pixels[0, 0, 0] += 1
        return page

    monkeypatch.setattr(Engine, "print_page", another)
    assert gpu.main(["--device", "cpu", "--sizes", "pocket", "--batches", "1", "--steps", "2", "--seconds", "0.5"]) == 1
    assert capsys.readouterr().out.endswith("1 bytes differ\n")


def test_a_missing_gpu_is_one_sentence(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert gpu.main([]) == 2
    assert capsys.readouterr().err == "bench.gpu needs a GPU, and torch sees none.\n"
