"""Starts the library's commands again and again without waiting for Python: one process that forks for each. For tests.

A line of JSON on standard input, {"command": …, "environment": {…}}, is answered by one, {"code": …, "said": …}. What a
command imports is loaded before, but for the settings, so that each command reads them anew.
"""

import json
import os
import runpy
import sys
import tempfile
import traceback

import celery.bin.celery  # noqa: F401
import csp.constants  # noqa: F401
import dj_database_url  # noqa: F401
import django.core.management  # noqa: F401
import uvicorn  # noqa: F401

import babelia.processes.library
import babelia.services  # noqa: F401

COMMANDS = {
    "library": (runpy.run_path, ["manage.py", "library"]),
    "check": (runpy.run_path, ["manage.py", "check"]),
    "key_to_image": (runpy.run_path, ["manage.py", "key_to_image", "key/borges/1", "--digest-only"]),
    "serve": (runpy.run_module, ["babelia.serve"]),
    "celery": (runpy.run_module, ["celery", "-q", "-A", "babelia", "worker"]),
}


def run(command: str) -> None:
    """Run one of the commands as Python would; end this process with its exit code."""
    how, sys.argv = COMMANDS[command][0], list(COMMANDS[command][1])
    code: object = 0
    try:
        how(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        code = ended.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def main() -> None:
    """Answer every line until standard input ends."""
    assert "babelia.settings" not in sys.modules, "each command reads the settings itself"
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile() as said:
            child = os.fork()
            if child == 0:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                os.environ.update(asked["environment"])
                run(asked["command"])
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            said.seek(0)
            answer = {"code": code, "said": said.read().decode("utf-8", errors="replace")}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
