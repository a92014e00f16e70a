"""The Django project: settings, URLs, the ASGI site, the Celery application, the supervisor of both."""

ALIVE = "/-/alive"
"""Where a process of the site says that it is alive, for supervisors and load balancers; no edition can be named so."""
