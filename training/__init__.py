"""How pocket-1 was made: renderer, training, evaluation, export.

May import worker.catalogue, worker.editions and worker.engine; never worker.jobs, worker.store, gallery or babelia.
"""
