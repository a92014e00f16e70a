"""The project as a Django app: registers its checks, and its Celery application as the one that sends messages."""

from django.apps import AppConfig


class BabeliaConfig(AppConfig):
    """Registers babelia.checks and babelia.celery."""

    name = "babelia"

    def ready(self) -> None:
        """Import the checks and the Celery application, which register themselves."""
        from babelia import celery, checks  # noqa: F401
