"""What adding an edition takes, and checkpoints of random weights to add: `python -m bench.adding`. May import bench.*
and torch; what it measures runs as commands.
"""
