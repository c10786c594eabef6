"""Virtual environments for suites that others wrote, and the sources some of them come in.

A suite pins its client's versions, and ours pins others; one environment for all would tie them together. So every
suite has its own, kept between runs, made again when its list of requirements changes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

HOME = Path(os.environ.get("TAUSQL_COMPATIBILITY", ".compatibility")).resolve()
RUNNER = ("pytest==8.4.2", "pytest-timeout>=2.3")


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"


def environment(name: str, *requirements: str) -> Environment:
    """The environment of this name with exactly these requirements and pytest. Raises CalledProcessError."""
    folder = HOME / name
    wanted = "\n".join((*RUNNER, *requirements))
    made = folder / "requirements.txt"
    if not made.exists() or made.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        _pip(folder / "bin" / "python", "install", *RUNNER, *requirements)
        made.write_text(wanted)
    return Environment(folder)


def sources(requirement: str) -> Path:
    """The unpacked source distribution of `name==version`, where tests are that wheels leave out."""
    name, _, version = requirement.partition("==")
    folder = HOME / "sources" / f"{name}-{version}"
    if not folder.exists():
        fetched = HOME / "fetched" / f"{name}-{version}"
        shutil.rmtree(fetched, ignore_errors=True)
        fetched.mkdir(parents=True)
        _pip(Path(sys.executable), "download", "--no-deps", "--no-binary", ":all:", "-d", str(fetched), requirement)
        (archive,) = fetched.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(fetched / "unpacked", filter="data")
        (unpacked,) = (fetched / "unpacked").iterdir()
        folder.parent.mkdir(exist_ok=True)
        unpacked.rename(folder)
    return folder


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run(
        [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        check=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PIP_NO_INPUT": "1"},
    )
