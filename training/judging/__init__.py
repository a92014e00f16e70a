"""How well an edition draws what it is told: the judges, and the evaluation that they sit in."""
