"""The neural networks of an edition, and the kernels that run them on a CPU. May import torch, diffusers, transformers.

May import worker.catalogue and worker.editions.weights; nothing of the loop around them.
"""
