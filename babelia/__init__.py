"""The Django project: settings, URLs, ASGI and the Celery application."""
