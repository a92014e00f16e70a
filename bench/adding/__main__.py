"""What adding an edition costs at the size of Stable Diffusion 1.5: `python -m bench.adding`.

Makes random float16 weights of exactly its configuration (2.1 GB), as a folder and as one checkpoint, and adds both
with `manage.py add_edition --no-print`: seconds and the most memory of the process, against the size of the file. Needs
9 GB of disk in --folder. The command runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


def measure(name: str, source: Path, data: Path) -> dict[str, Any]:
    """Add one edition, print what the command says, and return what it took; `source` is a file or a folder."""
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    command = [sys.executable, str(ROOT / "manage.py"), "add_edition", name, str(source), "--no-print"]
    began = time.monotonic()
    child = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"BABELIA_DATA": str(data)})
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"name": name, "code": child.returncode, "seconds": seconds, "peak": peak, "size": size}


def main(arguments: list[str] | None = None) -> int:
    """The command line: where the weights are made, what size they have."""
    parser = argparse.ArgumentParser(prog="python -m bench.adding", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where there is room for 9 GB (the system's temporary folder)")
    parser.add_argument("--size", choices=("sd", "tiny"), default="sd")
    options = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="adding-", dir=options.folder))
    try:
        # In processes of their own: a child's peak counts from what its parent had when it began it (Linux, execve).
        folder, file = home / "folder", home / "checkpoint.safetensors"
        make = [sys.executable, "-m"]
        subprocess.run([*make, "bench.random_weights", folder, "--size", options.size], cwd=ROOT, check=True)
        subprocess.run([*make, "bench.adding.checkpoints", folder, file], cwd=ROOT, check=True)
        os.sync()
        for name, source in (("file", file), ("folder", folder)):
            found = measure(name, source, home / "data")
            print(
                f"{name}: {found['size'] / 1e6:,.0f} MB added in {found['seconds']:.1f} s with at most "
                f"{found['peak'] / 1e6:,.0f} MB of memory, {found['peak'] / found['size']:.2f} × the size "
                f"(exit code {found['code']})"
            )
            shutil.rmtree(home / "data")
    finally:
        shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
