"""bench.peers.sides: the pipeline of diffusers on the weights that ship."""

import torch

from bench.peers.sides import edition_over, load_pipeline


def test_the_pipeline_finds_every_class_that_the_shipped_edition_names():
    pipeline = load_pipeline(edition_over("pocket-1", None), torch.float32, channels_last=False)
    assert type(pipeline.vae).__name__ == "PocketAutoencoder"
