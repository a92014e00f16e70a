"""The processes draw what the illustrator draws, divide their time as told, and their end is noticed."""

import os
import signal
import time

import numpy as np
import pytest

from tests import ROOT
from training.errors import TrainingError
from training.presets import REHEARSAL
from training.quarter_hour.renderers import Renderers
from training.quarter_hour.tokens import Tokenizer
from training.scenes.illustrator import Illustrator
from training.scenes.sprites import open_pack

TOKENIZER = ROOT / "editions" / "pocket-1" / "tokenizer"


def test_a_chunk_holds_the_examples_of_its_numbers():
    artist, tokenizer = Illustrator("crops", open_pack(), 5), Tokenizer(TOKENIZER)
    with Renderers(REHEARSAL, TOKENIZER, 5) as renderers:
        renderers.share({"crops": 1.0})
        found = []
        while len(found) < 2:
            for chunk in renderers.chunks(1.0):
                if chunk.kind == "crops":
                    found.append((chunk.pixels.copy(), chunk.things.copy(), chunk.places.copy(), chunk.tokens.copy()))
        assert renderers.costs["crops"] > 0
    for number in range(12):
        example = artist.draw(number)
        pixels, things, places, tokens = (part[number % 6] for part in found[number // 6])
        assert np.array_equal(pixels, example.pixels) and tokens.tolist() == tokenizer(example.text)
        assert example.cells is not None
        assert np.array_equal(things, example.cells.things) and np.array_equal(places, example.cells.places)


def test_time_is_divided_as_told():
    with Renderers(REHEARSAL, TOKENIZER, 5) as renderers:
        renderers.share({"pages": 1.0})
        kinds = []
        began = time.monotonic()
        while len(kinds) < 12 and time.monotonic() - began < 60:
            kinds += [chunk.kind for chunk in renderers.chunks(1.0)]
    assert kinds.count("pages") >= 10, "what was drawn before it was told, and no more crops"


def test_the_end_of_all_processes_is_one_sentence():
    with Renderers(REHEARSAL, TOKENIZER, 5) as renderers:
        for process in renderers._processes.values():
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match="All renderers have ended"):
            while True:
                for _ in renderers.chunks(0.5):
                    pass


def test_what_a_process_cannot_do_is_said(tmp_path):
    with Renderers(REHEARSAL, tmp_path, 5) as renderers, pytest.raises(TrainingError, match=r"tokenizer\.json"):
        while True:
            for _ in renderers.chunks(0.5):
                pass


def test_a_pillow_without_webp_is_one_sentence(monkeypatch):
    monkeypatch.setattr("training.quarter_hour.renderers.features.check", lambda feature: feature != "webp")
    with pytest.raises(TrainingError, match="Pillow reads no WebP here"):
        Renderers(REHEARSAL, TOKENIZER, 5)
