"""What forms of model cost at the size of Stable Diffusion 1.5: pages of LCM and TAESD, and whether int8 pays.

May import bench.*, worker.*, torch, diffusers. `python -m bench.forms` prints the table.
"""
