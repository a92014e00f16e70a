"""How near searches for pictures come, and how sure copies are found: `python -m bench.finding`. May import bench.*,
worker.*, NumPy and Pillow.
"""
