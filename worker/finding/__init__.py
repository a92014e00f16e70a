"""Finding a picture in the library: reading it, looking for copies of it, searching for a key that shows it.

May import worker.errors, files, catalogue, editions, engine and store, and torch never: `search` is handed an engine
and imports worker.engine inside its functions, so that the site may use `fitting` and `copies`. Knows neither the queue
nor Django.
"""
