"""The picture-book world that pocket-1 was trained on: backdrops, sprites, scenes, captions. NumPy and Pillow."""
