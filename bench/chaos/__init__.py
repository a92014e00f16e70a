"""`python -m bench.chaos` (make chaos): a library as `make run` opens it, with its parts killed and lied to.

running   the library that is tried, and how it is asked
report    what was found, and what it has to be
storm     SIGKILL to every part in turn; how long each takes to come back
outages   Redis dead and frozen, the clock an hour off
crowds    many visitors at once, and silent ones
hostile   paths and files that nobody sends in good faith

Imports bench.*, worker.* and babelia.processes; nothing imports it.
"""
