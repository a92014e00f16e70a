"""What the library keeps on disk: pictures, thumbnails, keys, links; and their upkeep.

`store` finds and keeps, `records` says what stands in the files, `hidden` what nobody is to see, `upkeep` makes room
and checks every file, `backup` puts into one file what cannot be made again. Never torch, Django, Celery or Redis. May
import worker.catalogue, worker.errors and worker.files.
"""
