"""A quarter of an hour on a GPU: the U-Net alone, trained by the clock. `command.run` is the way in; see docs/gpu.md.

Written for a machine that has torch, NumPy and Pillow and no other library, so nothing here but `home`, which runs
after the weights are back, may import diffusers, transformers, or a module of ours that does. May import
training.scenes, training.runs, training.trainers.{auxiliary,muon,sampling} and worker.engine.{loop,solvers}.
"""
