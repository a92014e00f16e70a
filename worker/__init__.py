"""The press: from an address to a PNG. Never imports gallery; its engine imports neither Django nor Celery."""
