"""Packages of other languages, fetched once: from npm into a folder of their own, pgjdbc from Debian."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.compatibility.environments import HOME

PGJDBC = "libpostgresql-jdbc-java"
NODE = {
    "@aws/aurora-dsql-node-postgres-connector": "0.1.9",
    "@neondatabase/serverless": "1.2.0",
    "pg": "8.23.1",
    "postgres": "3.4.9",
    "ws": "^8.18.0",
}


def node_packages() -> Path:
    """A folder with `node_modules`, in which programs find these packages. Raises CalledProcessError."""
    folder = HOME / "clients-node"
    wanted = json.dumps({"private": True, "type": "module", "dependencies": NODE}, indent=1)
    package = folder / "package.json"
    done = folder / "installed.json"
    if not done.exists() or done.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        package.write_text(wanted)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error"], cwd=folder, check=True)
        done.write_text(wanted)
    return folder


def pgjdbc() -> Path:
    """The driver's jar, out of Debian's package without installing that. Raises CalledProcessError."""
    folder = HOME / "clients-java"
    jar = folder / "usr" / "share" / "java" / "postgresql.jar"
    if not jar.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        fetch = ["apt-get", "--quiet", "--quiet", "download", PGJDBC]
        if subprocess.run(fetch, cwd=folder).returncode:  # a new machine knows no package lists yet
            subprocess.run(["apt-get", "--quiet", "--quiet", "update"], check=True)
            subprocess.run(fetch, cwd=folder, check=True)
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", str(package), str(folder)], check=True)
    return jar
