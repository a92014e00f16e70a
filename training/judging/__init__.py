"""How well an edition draws what it is told: the judges, and the evaluation that they sit in. Torch.

May import all of training, and of worker the catalogue, the editions and the engine.
"""
