"""Starts commands and servers again and again without waiting for Python: one process that forks for each.

A line of JSON on standard input, {"words": …, "environment": …, "folder": …}, is answered by a line with what became of
the command: {"code": …, "said": …, "wrong": …} are exit code, standard output and standard error. With "stays", it is
answered at once by {"process": …}, the number of a process that goes on, whose standard error goes to the file of
"stays" or, where that is "", to ours.

What a command loads is loaded before, but for the settings and what needs them, so that each command reads them anew.
Variables of other programs that count while a library is loaded, as OMP_NUM_THREADS, do nothing here.
"""

import importlib
import io
import json
import os
import runpy
import sys
import tempfile
import time
import traceback
from typing import Any

from tests import ROOT

LOADED = (
    *("celery.apps.worker", "celery.bin.celery", "celery.concurrency.prefork", "kombu.transport.redis"),
    *("django.core.handlers.asgi", "django.core.management", "csp.constants", "dj_database_url", "uvicorn"),
    *("uvicorn.protocols.http.auto", "pydantic", "redis.asyncio", "PIL.Image", "worker.press", "worker.engine.engine"),
)
"""What every command would load, or most of them, and takes its time; but no settings, and nothing that reads them."""


def run(words: list[str]) -> None:
    """Run a command as Python would; end this process with its exit code."""
    code: object = 0
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        elif words[0] == "-c":
            sys.argv = ["-c", *words[2:]]
            exec(words[1], {"__name__": "__main__"})
        else:
            sys.argv = words
            runpy.run_path(str(ROOT / sys.argv[0]), run_name="__main__")
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


def become(environment: dict[str, str], folder: str, said: int, wrong: int) -> None:
    """Take the place of a process that was started with this environment, folder, and standard output and error."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(said, 1)
    os.dup2(wrong, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    encoding, _, errors = environment.get("PYTHONIOENCODING", "utf-8").partition(":")
    for stream, otherwise in ((sys.stdout, errors or "strict"), (sys.stderr, "backslashreplace")):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding=encoding, errors=otherwise)


def run_to_its_end(asked: dict[str, Any]) -> dict[str, object]:
    """What became of a command, its output as text in which each byte that is no UTF-8 is a lone surrogate."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as wrong:
        child = os.fork()
        if child == 0:
            become(asked["environment"], asked["folder"], said.fileno(), wrong.fileno())
            run(asked["words"])
        answer: dict[str, object] = {"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}
        for name, file in (("said", said), ("wrong", wrong)):
            file.seek(0)
            answer[name] = file.read().decode("utf-8", errors="surrogateescape")
    return answer


def start(asked: dict[str, Any]) -> dict[str, object]:
    """Start what goes on. Its parent is the nearest process above this one that takes in orphans."""
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        started = os.fork()
        if started != 0:
            os.write(writing, str(started).encode())
            os._exit(0)
        os.close(reading)
        os.close(writing)
        while os.getppid() == between:
            time.sleep(0.001)
        log = os.open(asked["stays"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if asked["stays"] else 2
        become(asked["environment"], asked["folder"], 2, log)
        run(asked["words"])
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        process = int(pipe.read())
    os.waitpid(between, 0)
    return {"process": process}


def main() -> None:
    """Answer every line until standard input ends."""
    for name in LOADED:
        importlib.import_module(name)
    assert "babelia.settings" not in sys.modules, "each command reads the settings itself"
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(start(asked) if "stays" in asked else run_to_its_end(asked)), flush=True)


if __name__ == "__main__":
    main()
