"""How pocket-1 was made: renderer, training, evaluation, export."""
