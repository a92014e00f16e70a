"""Prompts become the same keys everywhere: any number of threads, any process, after any other prompt."""

import hashlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel

from tests import ROOT
from worker.catalogue.address import canonical_prompt
from worker.catalogue.float15 import EMBEDDING
from worker.catalogue.key import CONSTANTS, EMBEDDING_SHAPE
from worker.engine.networks.text_encoder import TextEncoder, open_tokenizer
from worker.errors import WeightsRefused

PROMPTS = ["a dog", "", "un chat élégant, 犬 🐶 שלום", "word " * 100]


@pytest.fixture(scope="module")
def encoder(tiny_weights: Path) -> TextEncoder:
    return TextEncoder(tiny_weights)


def digest(encoder: TextEncoder) -> str:
    return hashlib.sha256(b"".join(encoder.embed(prompt).tobytes() for prompt in PROMPTS)).hexdigest()


@pytest.mark.parametrize("prompt", PROMPTS)
def test_an_embedding_lies_on_the_keys_grid_with_both_constants_in_place(encoder: TextEncoder, prompt: str) -> None:
    embedding = encoder.embed(prompt)
    assert (embedding.shape, embedding.dtype) == (EMBEDDING_SHAPE, np.float64)
    rest = np.delete(embedding.ravel(), list(CONSTANTS))
    assert np.array_equal(EMBEDDING.snap(rest), rest)
    assert {place: embedding.flat[place] for place in CONSTANTS} == CONSTANTS


def test_nothing_on_the_way_to_an_embedding_is_in_float32(encoder: TextEncoder, tiny_weights: Path) -> None:
    """Two attention kernels agree to float64's precision; a float32 softmax between would leave 1e-7."""
    model = CLIPTextModel.from_pretrained(str(tiny_weights / "text_encoder"), dtype=torch.float64).eval()
    with torch.inference_mode(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        tokens = encoder._tokens("a dog")
        reference = model(input_ids=tokens).last_hidden_state[0]
    assert tokens.shape == (1, 77)
    states = encoder._states("a dog")
    assert states.dtype == torch.float64
    assert (states - reference).abs().max() < 1e-12
    snapped = np.delete(EMBEDDING.snap(reference.numpy()).ravel(), list(CONSTANTS))
    assert np.array_equal(np.delete(encoder.embed("a dog").ravel(), list(CONSTANTS)), snapped)


def test_different_prompts_have_different_embeddings(encoder: TextEncoder) -> None:
    assert len({encoder.embed(prompt).tobytes() for prompt in PROMPTS}) == len(PROMPTS)


@pytest.mark.parametrize("prompt", ["A Dog on a BEACH", "ÉTÉ", "СОБАКА", "Straße"])
def test_a_text_encoder_reads_no_capitals_so_that_prompts_need_none(encoder: TextEncoder, prompt: str) -> None:
    shipped = open_tokenizer(ROOT / "editions" / "pocket-1" / "tokenizer")
    assert shipped(prompt).input_ids == shipped(canonical_prompt(prompt)).input_ids
    assert torch.equal(encoder._tokens(prompt), encoder._tokens(canonical_prompt(prompt)))


def test_an_embedding_is_the_same_after_other_prompts(encoder: TextEncoder) -> None:
    before = encoder.embed("a dog")
    for prompt in PROMPTS:
        encoder.embed(prompt)
    assert np.array_equal(encoder.embed("a dog"), before)


def test_an_embedding_is_the_same_with_one_thread_and_with_two(encoder: TextEncoder) -> None:
    threads = torch.get_num_threads()
    try:
        found = set()
        for number in (1, 2):
            torch.set_num_threads(number)
            found.add(digest(encoder))
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 1


def test_an_embedding_is_the_same_in_a_fresh_process_with_one_thread(encoder: TextEncoder, tiny_weights: Path) -> None:
    script = (
        "import sys, torch; from pathlib import Path; torch.set_num_threads(1);"
        "from tests.worker.engine.networks.test_text_encoder import digest, TextEncoder;"
        "print(digest(TextEncoder(Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tiny_weights)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digest(encoder)


def test_loading_asks_no_network(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> NoReturn:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    TextEncoder(tiny_weights).embed("a dog")


def test_it_says_what_of_a_long_prompt_is_not_read(encoder: TextEncoder) -> None:
    assert encoder.unread("a dog") == ""
    prompt = "a b c d e f g h " * 20
    unread = encoder.unread(prompt)
    assert unread
    assert prompt.endswith(unread)
    read = prompt.removesuffix(unread).rstrip()
    assert np.array_equal(encoder.embed(read), encoder.embed(prompt))
    assert not np.array_equal(encoder.embed(read[:-1]), encoder.embed(prompt))


def test_a_text_encoder_that_lacks_a_tensor_is_refused(tiny_weights: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_weights, tmp_path / "weights"))
    path = folder / "text_encoder/model.safetensors"
    tensors = load_file(path)
    lost = next(name for name in tensors if name.endswith("final_layer_norm.weight"))
    save_file({name: tensor.clone() for name, tensor in tensors.items() if name != lost}, path, {"format": "pt"})
    with pytest.raises(WeightsRefused, match=r"final_layer_norm\.weight and does not"):
        TextEncoder(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_no_embedding(
    encoder: TextEncoder, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = encoder._states("a dog").clone()
    states[5, 7] = value
    monkeypatch.setattr(encoder, "_states", lambda prompt: states)
    with pytest.raises(WeightsRefused, match="not finite"):
        encoder.embed("a dog")
