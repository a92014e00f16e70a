"""The picture-book world that pocket-1 was trained on: backdrops, sprites, scenes, captions.

NumPy and Pillow. May import training.errors and training.plans, and nothing else of training or worker.
"""
