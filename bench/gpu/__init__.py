"""The engine on a GPU against the pipeline of diffusers, by the clock: `python -m bench.gpu` (docs/gpu.md).

May import worker.*, bench.random_weights, torch and diffusers.
"""
