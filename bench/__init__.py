"""The speed of the press against its peers, side by side in one run. May import worker.*, torch, diffusers, psutil.

`python -m bench` prints the table of the engine: codec, pocket, evaluation (with floor), large (with
first_page). `bench.opening`, `bench.press_share` and `bench.load` measure the library around it, each on its own.
"""
