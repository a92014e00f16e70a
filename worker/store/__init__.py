"""What the library keeps on disk: pictures, thumbnails, keys, links; and their upkeep.

`store` finds and keeps, `records` says what stands in the files, `upkeep` makes room and checks every file. Never
torch, Django, Celery or Redis. May import worker.catalogue, worker.errors and worker.files.
"""
