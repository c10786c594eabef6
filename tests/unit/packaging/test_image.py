"""The image: what the Dockerfile says, what the packing without Docker says, and that both mean the same."""

from __future__ import annotations

import http.server
import json
import marshal
import os
import re
import subprocess
import sys
import sysconfig
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import dockerfile
import pytest
from k8s.image import tree
from tests.kubernetes import packing

ROOT = Path(__file__).resolve().parents[3]
ARGUMENTS, STAGES = dockerfile.read(ROOT / "Dockerfile")
FINAL = STAGES[-1]
SERVICES = ("frontend", "processor", "adjudicator", "journal", "crossbar", "storage", "timekeeper")
# Half a second of start each, and of no use to who answers queries.
HEAVY = ("kubernetes", "httpx", "typer", "rich", "psycopg", "aiohttp", "requests", "tausql.local", "tausql.simulation")


def test_the_base_is_pinned_by_tag_and_digest() -> None:
    for stage in STAGES:
        base = ARGUMENTS["PYTHON"] if stage.base == "${PYTHON}" else stage.base
        if base not in {other.name for other in STAGES}:
            assert re.fullmatch(r"\S+:\d+\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)


def test_the_base_is_an_interpreter_that_the_project_supports() -> None:
    minor = re.search(r":3\.(\d+)\.", ARGUMENTS["PYTHON"])
    assert minor is not None
    assert int(minor[1]) >= 11
    assert FINAL.last("LABEL").value.count(ARGUMENTS["PYTHON"].partition("@")[0]) == 1


def test_both_ways_make_the_same_image() -> None:
    assert FINAL.last("USER").value == f"{packing.USER}:{packing.USER}"
    assert FINAL.last("WORKDIR").value == packing.CODE == f"/{tree.CODE}"
    assert FINAL.environment() == packing.ENVIRONMENT
    assert FINAL.last("ENTRYPOINT").value == list(packing.ENTRYPOINT)
    made = FINAL.all("RUN")[-1].value
    assert f"--owner {packing.USER} --group {packing.USER} --mode 0750 {packing.DATA}" in made


def test_every_part_of_the_tree_is_in_the_image() -> None:
    run = [one for stage in STAGES for one in stage.all("RUN") if isinstance(one.value, list)]
    parts = {one.value[2]: one.value[3] for one in run if one.value[1].endswith("k8s/image/tree.py")}
    assert set(parts) == set(tree.PARTS)
    assert parts.pop("runtime") == "/"
    copied = {(one.flags["from"], one.value) for one in FINAL.all("COPY")}
    assert copied == {(part, f"{folder} /") for part, folder in parts.items()}


def test_nothing_is_installed_into_the_last_stage_by_other_means() -> None:
    for one in FINAL.all("RUN"):
        assert not re.search(r"\b(pip|apt|apt-get|curl|wget)\b", str(one.value))
    assert not FINAL.all("ADD")


def test_the_ports_are_those_of_the_services() -> None:
    assert set(FINAL.last("EXPOSE").value.split()) == {"5432", "7400", "7500", "8080", "8081", "8443"}


def test_what_is_copied_is_sent_to_the_builder() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for stage in STAGES:
        for one in stage.all("COPY"):
            if "from" not in one.flags:
                source = one.value.split()[0]
                assert (ROOT / source).exists()
                assert any(source == path or source.startswith(f"{path}/") for path in allowed)


def test_hadolint_has_nothing_to_say() -> None:
    program = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([program, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_health_check_asks_where_the_process_listens(port: int) -> None:
    program, *arguments = FINAL.last("HEALTHCHECK").value
    assert program == "python3"
    environment = {**os.environ, "TAUSQL_HTTP_LISTEN": f"0.0.0.0:{port}"}
    assert subprocess.run([sys.executable, *arguments], env=environment).returncode == 0


@pytest.mark.parametrize("path", ["/dead", ""])
def test_the_health_check_fails_where_nothing_healthy_answers(port: int, path: str) -> None:
    _, flag, code = FINAL.last("HEALTHCHECK").value
    environment = {**os.environ, "TAUSQL_HTTP_LISTEN": f"0.0.0.0:{port if path else 1}"}
    done = subprocess.run([sys.executable, flag, code.replace("/livez", path)], env=environment, capture_output=True)
    assert done.returncode != 0


def test_services_start_without_what_only_operators_need() -> None:
    # One interpreter for all: each is looked at after its import, the processor, which brings in the parser, last.
    code = f"""
import importlib, json, sys
seen = {{}}
for service in {sorted(SERVICES, key=lambda name: name == "processor")!r}:
    importlib.import_module(f"tausql.{{service}}.__main__")
    seen[service] = [name for name in {HEAVY!r} + ("sqlglot",) if name in sys.modules]
print(json.dumps(seen))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen.pop("processor") == ["sqlglot"]
    assert seen == {service: [] for service in SERVICES if service != "processor"}


def test_nobody_imports_what_the_image_leaves_out() -> None:
    modules = [name.replace("/", ".") for name in tree.UNUSED if "/" in name]
    pattern = re.compile(r"^\s*(?:from|import) (" + "|".join(re.escape(name) for name in modules) + r")\b", re.M)
    for path in (ROOT / "services").rglob("*.py"):
        assert not pattern.search(path.read_text()), path


def test_requirements_are_those_of_the_project_and_its_chosen_extras(tmp_path: Path) -> None:
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(
        '[project]\nversion = "1"\ndependencies = ["b", "a"]\n'
        '[project.optional-dependencies]\ndev = ["pytest"]\nchaos = ["c", "a"]\n'
    )
    assert tree.requirements(pyproject) == ["a", "b", "c"]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(tree.EXTRAS) <= set(declared)


def test_the_package_is_compiled_for_good_and_knows_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    package = repository / "services" / "tausql" / "__pycache__"
    package.mkdir(parents=True)
    (package / "old.pyc").write_bytes(b"stale")
    (package.parent / "__init__.py").write_text("")
    (repository / "pyproject.toml").write_text('[project]\nversion = "7.8.9"\ndependencies = []\n')
    monkeypatch.setattr(tree, "REPOSITORY", repository)
    root = tmp_path / "root"
    tree.install_code(root)
    (compiled,) = (root / tree.CODE / "tausql" / "__pycache__").iterdir()
    code = compiled.read_bytes()
    assert code[4:8] == (1).to_bytes(4, "little")  # by hash, and never checked (PEP 552)
    assert marshal.loads(code[16:]).co_filename == "/app/tausql/__init__.py"
    # -S: without the site-packages that this project itself is installed in.
    command = [sys.executable, "-S", "-B", "-c", "import importlib.metadata as m; print(m.version('tausql'))"]
    environment = {"PYTHONPATH": str(root / tree.CODE)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "7.8.9\n"


def test_an_interpreter_is_left_without_installers(tmp_path: Path) -> None:
    library, packages, programs = (tmp_path / part for part in (tree.LIBRARY, tree.PACKAGES, tree.PYTHON / "bin"))
    for folder in (packages / "pip", packages / "pip-1.dist-info", library / "idlelib", library / "json", programs):
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
    for name in ("pip3.11", "python3.11"):
        (programs / name).write_text("")
    tree.prepare_runtime(tmp_path)
    assert {path.name for path in library.iterdir()} == {"json", "site-packages"}
    assert list(packages.iterdir()) == []
    assert {path.name for path in programs.iterdir()} == {"__init__.py", "python3.11"}
    assert list((library / "json" / "__pycache__").iterdir())


class TestKept:
    def test_a_part_is_made_once(self, tmp_path: Path) -> None:
        made: list[Path] = []

        def make(folder: Path) -> None:
            made.append(folder)
            (folder / "content").write_text("x")

        first = packing.kept(tmp_path, "python", "1", make)
        assert packing.kept(tmp_path, "python", "1", make) == first
        assert (first / "content").read_text() == "x"
        assert len(made) == 1

    def test_a_part_that_could_not_be_made_leaves_nothing(self, tmp_path: Path) -> None:
        def fail(folder: Path) -> None:
            (folder / "half").write_text("")
            raise RuntimeError("no index")

        with pytest.raises(RuntimeError, match="no index"):
            packing.kept(tmp_path, "python", "1", fail)
        assert list(tmp_path.iterdir()) == []

    def test_who_comes_second_takes_what_the_first_made(self, tmp_path: Path) -> None:
        def make(folder: Path) -> None:
            (folder / "by").write_text("second")
            other = tmp_path / "python-1"
            other.mkdir()
            (other / "by").write_text("first")

        assert (packing.kept(tmp_path, "python", "1", make) / "by").read_text() == "first"
        assert [path.name for path in tmp_path.iterdir()] == ["python-1"]

    def test_old_ones_go(self, tmp_path: Path) -> None:
        for number in range(packing.KEPT_MAX + 2):
            path = packing.kept(tmp_path, "python", str(number), lambda folder: None)
            os.utime(path, (number, number))
        newest = packing.kept(tmp_path, "python", "new", lambda folder: None)
        assert newest.exists()
        assert len(list(tmp_path.iterdir())) == packing.KEPT_MAX


def test_the_digest_changes_with_what_a_part_is_made_of() -> None:
    assert packing.digest("a", "b") == packing.digest("a", "b")
    assert packing.digest("a", "b") != packing.digest("ab")
    assert packing.digest("a") != packing.digest("b")
