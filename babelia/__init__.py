"""The Django project: settings, URLs, the ASGI site, the Celery application, the supervisor of both.

May import worker.store, worker.jobs and worker.press; of gallery only `urls` does, and nothing imports worker.engine.
"""

import os

from babelia import strays  # noqa: F401  (sets them aside before any library reads them)

ALIVE = "/-/alive"
"""Where a process of the site says that it is alive, for supervisors and load balancers; no edition can be named so."""
READY = "/-/ready"
"""Where it says that all it needs answers, and visitors may be sent to it."""

# torch's threads spin while they wait for each other, and where others want the cores too, a wait costs a time slice:
# measured on two busy cores, a page took 30 to 136 s. With a short spin it took 3 s there, and no longer on idle ones.
# libgomp reads this when torch is first imported, and everything that runs a press imports this package before.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
