"""What the library keeps on disk: pictures, thumbnails, keys, links; and their upkeep.

Never torch, Django, Celery or Redis. May import worker.catalogue.
"""
