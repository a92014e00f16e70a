"""The project as a Django app: only to register its checks."""

from django.apps import AppConfig


class BabeliaConfig(AppConfig):
    """Registers babelia.checks."""

    name = "babelia"

    def ready(self) -> None:
        """Import the checks, which registers them."""
        from babelia import checks  # noqa: F401
