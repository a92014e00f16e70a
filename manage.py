#!/usr/bin/env python
"""Runs the project's commands: `python manage.py help` lists them."""

import io
import sys


def main() -> None:
    """Run one command; settings that cannot be read end it with a sentence instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal cannot write stands there escaped: a prompt in another script must not end a batch.
            stream.reconfigure(errors="backslashreplace")
    from babelia.environment import read_settings

    read_settings()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
