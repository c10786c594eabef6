"""What an image of TauSQL holds besides the interpreter, made the same way for Docker and for a cluster without it.

The Dockerfile and the packing for a test cluster both run this file, so their trees cannot drift apart. The obvious
`pip install .` in a Dockerfile leaves three things wrong: it drags along what no service imports (an asynchronous twin
of the Kubernetes client alone is 40 MB), its byte code is checked against file times that an image layer does not keep,
and the interpreter's own library comes without byte code at all; on a read-only root file system every start of every
pod would then compile it again.

    tree.py dependencies ROOT     the run-time dependencies of pyproject.toml, trimmed and compiled
    tree.py code ROOT             the package itself, compiled
    tree.py runtime ROOT          the interpreter there: without installers and GUIs, its library compiled

ROOT is a folder that is `/` in the image; tracebacks name the paths of the image. Needs the standard library alone.
"""

from __future__ import annotations

import argparse
import compileall
import py_compile
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# Optional dependencies that the image has: `tausql.chaos` runs as a pod, too.
EXTRAS = ("chaos",)

# Where things are in the image. The interpreter is where Docker's official images have it.
PYTHON = Path("usr/local")
LIBRARY = PYTHON / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGES = LIBRARY / "site-packages"
CODE = Path("app")

# Parts of dependencies that nothing here imports. Paths under PACKAGES.
UNUSED = ("bin", "kubernetes/aio", "websocket/tests", "certifi/tests")
UNUSED_SUFFIXES = frozenset((".pyi", ".pyx", ".pxd", ".c", ".cpp", ".h"))

# Parts of an interpreter that a server has no use for. Paths under LIBRARY.
UNUSED_LIBRARY = (
    "ensurepip",
    "idlelib",
    "lib2to3",
    "test",
    "tkinter",
    "turtledemo",
    "turtle.py",
    "site-packages/pip",
    "site-packages/setuptools",
    "site-packages/wheel",
    "site-packages/_distutils_hack",
    "site-packages/pkg_resources",
    "site-packages/distutils-precedence.pth",
)
UNUSED_INSTALLED = ("pip", "setuptools", "wheel")  # their `.dist-info` folders
UNUSED_PROGRAMS = ("pip", "wheel", "idle", "pydoc", "2to3")  # in `bin`, whatever version they end in


def requirements(pyproject: Path) -> list[str]:
    """The run-time requirements, those of `EXTRAS` included. Raises OSError or tomllib.TOMLDecodeError."""
    project = tomllib.loads(pyproject.read_text())["project"]
    optional = project.get("optional-dependencies", {})
    return sorted({*project["dependencies"], *(item for extra in EXTRAS for item in optional.get(extra, ()))})


def version(pyproject: Path) -> str:
    found: str = tomllib.loads(pyproject.read_text())["project"]["version"]
    return found


def compile_tree(folder: Path, root: Path) -> None:
    """Byte code that is never checked against its source: nothing in an image changes after it was made.

    Raises SystemExit where something does not compile.
    """
    done = compileall.compile_dir(
        folder,
        quiet=1,
        force=True,
        workers=0,
        stripdir=root,
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        raise SystemExit(f"not everything under {folder} compiles")


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unused(packages: Path) -> Iterator[Path]:
    yield from (packages / name for name in UNUSED)
    yield from (path for path in packages.rglob("*") if path.suffix in UNUSED_SUFFIXES and path.is_file())


def install_dependencies(root: Path) -> None:
    """Raises subprocess.CalledProcessError where the package index has not what is asked for.

    Wheels only: whatever needs a compiler would bring it into the build, and be another thing on each machine.
    """
    packages = root / PACKAGES
    install = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-cache-dir"]
    wheels = ["--no-compile", "--only-binary", ":all:", "--target", str(packages)]
    subprocess.run([*install, *wheels, *requirements(REPOSITORY / "pyproject.toml")], check=True)
    for path in list(unused(packages)):
        remove(path)
    compile_tree(packages, root)


def install_code(root: Path) -> None:
    """The package, and as much of its metadata as `importlib.metadata.version` asks for."""
    source = REPOSITORY / "services" / "tausql"
    shutil.copytree(source, root / CODE / "tausql", ignore=shutil.ignore_patterns("__pycache__"))
    number = version(REPOSITORY / "pyproject.toml")
    metadata = root / CODE / f"tausql-{number}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: tausql\nVersion: {number}\n")
    compile_tree(root / CODE, root)


def prepare_runtime(root: Path) -> None:
    library, packages = root / LIBRARY, root / PACKAGES
    for path in [
        *(library / name for name in UNUSED_LIBRARY),
        *(path for name in UNUSED_INSTALLED for path in packages.glob(f"{name}-*.dist-info")),
        *(path for name in UNUSED_PROGRAMS for path in (root / PYTHON / "bin").glob(f"{name}*")),
        *library.glob("config-*"),
    ]:
        remove(path)
    compile_tree(library, root)


PARTS: dict[str, Callable[[Path], None]] = {
    "dependencies": install_dependencies,
    "code": install_code,
    "runtime": prepare_runtime,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Parts of TauSQL's image", epilog="See the head of this file.")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("root", type=Path)
    options = parser.parse_args()
    PARTS[options.part](options.root.resolve())


if __name__ == "__main__":
    main()
