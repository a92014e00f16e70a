"""Which English words lead to what pocket-1 can draw: WordNet, the links made by hand, the lexicon that follows.

Torch; may import training.scenes, training.trainers, training.judging and worker.
"""
