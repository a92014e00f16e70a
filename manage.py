#!/usr/bin/env python
"""Runs the project's commands: `python manage.py help` lists them."""

import os
import sys


def main() -> None:
    """Run one command; settings that cannot be read end it with a sentence instead of a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "babelia.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        from django.conf import settings

        settings.DATA_DIR  # noqa: B018  (reads the settings now, so that what is wrong with them is said once)
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
