"""The image for a test cluster on this machine, packed without Docker.

    python -m tests.kubernetes.packing OUT.tar [--name docker.io/tausql/tausql:TAG] [--lab FOLDER]

The same tree as the Dockerfile's: interpreter, dependencies and package are prepared by the same `k8s/image/tree.py`,
user, folders, environment and entry point are the constants below (tests/unit/packaging compares them). What differs is
where the interpreter comes from: here it is the one that runs this, copied by the lab's `pyroot.py`.

The obvious way, one folder filled anew each time, takes half a minute for a change of one line. Interpreter and
dependencies are therefore kept, by a hash of what they are made of, and only the package is packed each time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from k8s.image import tree

REPOSITORY = Path(__file__).resolve().parents[2]
PYPROJECT = REPOSITORY / "pyproject.toml"

USER = 10001
CODE = f"/{tree.CODE}"
DATA = "/data"
ENTRYPOINT = ("python3",)
ENVIRONMENT = {
    "PYTHONPATH": CODE,
    "PYTHONUNBUFFERED": "1",  # a line of the log is out when it is written, also when the process is killed next
    "PYTHONDONTWRITEBYTECODE": "1",  # the root file system is read-only: an attempt a module would be in vain
    "HOME": "/tmp",
}
KEPT_MAX = 3  # of each kind; each is some 100 MB


def lab_folder() -> Path:
    """Where pyroot.py and mkimage.py are: `TAUSQL_LAB`, or `../shared/lab` beside the repository."""
    return Path(os.environ.get("TAUSQL_LAB") or REPOSITORY.parent / "shared" / "lab")


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tausql-image"


def run(command: list[str]) -> str:
    """What the program says. Raises RuntimeError with its own words where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def digest(*parts: str | bytes) -> str:
    """Of `parts`, of this interpreter, and of how trees are made."""
    total = hashlib.sha256()
    recipe = Path(tree.__file__).read_bytes()
    for part in (sys.version, sysconfig.get_platform(), recipe, *parts):
        total.update(part.encode() if isinstance(part, str) else part)
        total.update(b"\0")
    return total.hexdigest()[:16]


def kept(cache: Path, kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder `cache/kind-key`, made by `make` in a folder beside it and moved there whole.

    Two who pack at once both make it, and the first one's stays.
    """
    wanted = cache / f"{kind}-{key}"
    if not wanted.exists():
        cache.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{kind}-", dir=cache))
        try:
            make(making)
            making.chmod(0o755)
            making.rename(wanted)
        except OSError:
            if not wanted.exists():
                raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
        others = sorted(cache.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in others[KEPT_MAX:]:
            shutil.rmtree(old, ignore_errors=True)
    return wanted


def interpreter(cache: Path, lab: Path) -> Path:
    """A root folder with Python, its shared libraries, users, /tmp and /data."""
    copy = lab / "pyroot.py"

    def make(folder: Path) -> None:
        run([sys.executable, str(copy), str(folder)])
        tree.prepare_runtime(folder)
        data = folder / DATA.strip("/")
        data.mkdir()
        data.chmod(0o1777)  # the archive's maker gives every file to root; a volume is mounted here anyway

    return kept(cache, "python", digest(copy.read_bytes()), make)


def shared_libraries(folder: Path) -> set[Path]:
    """The system's libraries that extension modules under `folder` load; Docker's base image has them."""
    modules = [str(path) for path in folder.rglob("*.so*") if path.is_file()]
    told = subprocess.run(["ldd", *modules], capture_output=True, text=True).stdout
    return {Path(path) for path in re.findall(r"=> (/(?:usr/)?lib\S*) \(0x", told)}


def dependencies(cache: Path, python: Path) -> Path:
    """A root folder with site-packages, and the system's libraries that `python`, the layer below, has not."""

    def make(folder: Path) -> None:
        tree.install_dependencies(folder)
        for found in sorted(shared_libraries(folder)):
            place = found if found.parts[1] == "usr" else Path("/usr", *found.parts[1:])  # /lib leads to /usr/lib there
            if not (python / place.relative_to("/")).exists():
                copy = folder / place.relative_to("/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found.resolve(), copy)

    return kept(cache, "dependencies", digest(*tree.requirements(PYPROJECT), python.name), make)


def layers(work: Path, cache: Path, lab: Path) -> list[Path]:
    """Root folders, each over the one before it. The last one, the package, is made in `work`.

    Raises RuntimeError where the package index does not answer, or a file does not compile.
    """
    tree.install_code(work)
    python = interpreter(cache, lab)
    return [python, dependencies(cache, python), work]


def pack(out: Path, name: str, lab: Path, cache: Path) -> str:
    """Write the archive (OCI layout) to `out`. Returns what the archive's maker says: name, digest, size."""
    with tempfile.TemporaryDirectory(prefix="tausql-code-") as work:
        command = [sys.executable, str(lab / "mkimage.py"), str(out), name]
        for folder in layers(Path(work) / "root", cache, lab):
            command += ["--layer", str(folder)]
        command += ["--entrypoint", json.dumps(ENTRYPOINT), "--user", str(USER), "--workdir", CODE]
        for key, value in ENVIRONMENT.items():
            command += ["--env", f"{key}={value}"]
        return run(command)


def unpack(root: Path, lab: Path, cache: Path) -> None:
    """The image's whole root file system as a folder, to look at or to `chroot` into."""
    with tempfile.TemporaryDirectory(prefix="tausql-code-") as work:
        for folder in layers(Path(work) / "root", cache, lab):
            shutil.copytree(folder, root, symlinks=True, dirs_exist_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Pack TauSQL's image without Docker")
    parser.add_argument("out", type=Path, help="the archive to write")
    parser.add_argument("--name", default=f"docker.io/tausql/tausql:{tree.version(PYPROJECT)}")
    parser.add_argument("--lab", type=Path, default=lab_folder(), help="where pyroot.py and mkimage.py are")
    parser.add_argument("--cache", type=Path, default=cache_folder())
    options = parser.parse_args()
    begun = time.monotonic()
    print(pack(options.out, options.name, options.lab, options.cache), f"{time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()
