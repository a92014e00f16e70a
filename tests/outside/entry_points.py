"""Starts the library's commands again and again without waiting for Python: one process that forks for each. For tests.

A line of JSON on standard input, {"words": …, "environment": {…}}, is answered by one, {"code": …, "said": …, "wrong":
…}: exit code, standard output, standard error. What a command imports is loaded before, but for the settings and what
needs them, so that each command reads them anew. What is set for other programs (babelia.strays) does nothing here.
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

import worker.engine.networks.text_encoder  # noqa: F401

COMMANDS = {
    "library": ["manage.py", "library"],
    "check": ["manage.py", "check"],
    "key_to_image": ["manage.py", "key_to_image", "key/borges/1", "--digest-only"],
    "serve": ["-m", "babelia.serve"],
    "celery": ["-m", "celery", "-q", "-A", "babelia", "worker"],
}
"""Everything that starts, as Python is told to."""


def run(words: list[str]) -> None:
    """Run a command as Python would; end this process with its exit code."""
    code: object = 0
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(sys.argv[0], run_name="__main__")
        else:
            sys.argv = words
            runpy.run_path(sys.argv[0], run_name="__main__")
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
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as wrong:
            child = os.fork()
            if child == 0:
                os.dup2(said.fileno(), 1)
                os.dup2(wrong.fileno(), 2)
                os.environ.clear()
                os.environ.update(asked["environment"])
                run(asked["words"])
            answer: dict[str, object] = {"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}
            for name, file in (("said", said), ("wrong", wrong)):
                file.seek(0)
                answer[name] = file.read().decode("utf-8", errors="replace")
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
