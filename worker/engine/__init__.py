"""From a key to its pixels. Everything that imports torch is in here, and nothing outside imports torch.

May import worker.catalogue and worker.editions; never worker.jobs, worker.store,
Django or Celery. `engine` is the way in.
"""
