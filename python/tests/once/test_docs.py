# SPDX-License-Identifier: Apache-2.0

"""Every snippet of the documentation runs as it stands, after make install and from the wheel."""

from __future__ import annotations

import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
from typing import Any, Dict, List

import pytest
from conftest import BUILD, ROOT, appears

MACHINE = platform.machine()


def clean() -> Dict[str, str]:
    """An environment that knows nothing of the checkout."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("VILLAS", "PYTHON"))}


@pytest.fixture(scope="session")
def virtual(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A virtual environment with nothing in it but pip."""
    path = tmp_path_factory.mktemp("virtual")
    subprocess.run([sys.executable, "-m", "venv", path], check=True)
    return path


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    subprocess.run(["make", "-s", "wheel", f"BUILD={BUILD}", f"PYTHON={sys.executable}"], cwd=ROOT, check=True, env=clean())
    (path,) = (BUILD / "wheel").glob("*.whl")
    return path


def blocks(path: pathlib.Path, kind: str) -> List[str]:
    found = re.findall(rf"```{kind}\n(.*?)```", path.read_text(), re.S)
    assert found
    return found


def run(argv: List[Any], **options: Any) -> str:
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_wheel_is_tagged_for_the_oldest_glibc_it_runs_on(wheel: pathlib.Path) -> None:
    symbols = run(["objdump", "-T", BUILD / "libvillas-ext.so.1"])
    major, minor = max((int(a), int(b)) for a, b in re.findall(r"\(?GLIBC_(\d+)\.(\d+)", symbols))
    assert wheel.name == f"villas_ext-1.0.0-py3-none-manylinux_{major}_{minor}_{MACHINE}.whl"
    needed = re.findall(r"NEEDED\s+(\S+)", run(["objdump", "-p", BUILD / "libvillas-ext.so.1"]))
    assert set(needed) <= {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def test_versions_agree() -> None:
    (version,) = re.findall(r"^VERSION +:= (\S+)", (ROOT / "Makefile").read_text(), re.M)
    assert f'__version__ = "{version}"' in (ROOT / "python/src/villas_ext/__init__.py").read_text()


def test_the_wheel_works_in_a_clean_virtual_environment(wheel: pathlib.Path, virtual: pathlib.Path, region: str) -> None:
    python = virtual / "bin" / "python"
    run([virtual / "bin" / "pip", "install", "--no-index", "--disable-pip-version-check", wheel], env=clean())
    run([virtual / "bin" / "pip", "check", "--disable-pip-version-check"], env=clean())
    out = run([python, "-W", "error", "-c", f"""
import os, sys, villas_ext
name = {region!r}
with villas_ext.Node(name) as node:
    pid = os.fork()
    if not pid:
        with villas_ext.open(name) as shm:
            for sample in shm:
                shm.write(sample)
        os._exit(0)
    node.accept()
    for i in range(1000):
        node.write(node.alloc([i], sequence=i))
        with node.read() as sample:
            assert sample.sequence == i and list(sample) == [i]
    with open("/proc/self/maps") as maps:
        print({{line.split()[-1] for line in maps if "libvillas-ext" in line}}, "numpy" in sys.modules)
os.waitpid(pid, 0)
"""], cwd="/", env=clean())
    (lib,) = virtual.glob("lib/python3*/site-packages/villas_ext/libvillas-ext.so.1")
    assert out.strip() == f"{{'{lib}'}} False"


def paste(code: str, python: pathlib.Path, region: str, node_options: List[str], env: Dict[str, str], start: Any) -> str:
    """Run code beside a node in place of that of the text, whose name is replaced; the node stops after a while."""
    node = start(BUILD / "villas-shmem", "gen", "--region", region, *node_options)
    try:
        appears(f"/dev/shm{region}")
        program = start(python, "-W", "error", "-c", code, env=env, cwd="/")
        if "--limit" in node_options:
            node.end()
        return program.end()
    finally:
        if node.popen.poll() is None:
            node.popen.send_signal(signal.SIGINT)
            node.end()


@pytest.mark.parametrize("page", ["README.md", "python/README.md"])
@pytest.mark.parametrize("way", ["make install", "wheel"])
def test_the_readmes_lines_print_values(page: str, way: str, region: str, wheel: pathlib.Path, virtual: pathlib.Path,
                                        tmp_path: pathlib.Path, start: Any) -> None:
    (code,) = blocks(ROOT / page, "python")
    assert len(code.splitlines()) <= 5
    env, python = clean(), virtual / "bin" / "python"
    if way == "wheel":
        run([virtual / "bin" / "pip", "install", "-q", "--no-index", "--disable-pip-version-check", "--force-reinstall", wheel], env=env)
    else:
        run(["make", "-s", "install", f"BUILD={BUILD}", f"PREFIX={tmp_path}", f"PYTHON={sys.executable}"], cwd=ROOT, env=env)
        (package,) = tmp_path.glob("lib/python3*/site-packages")
        env["PYTHONPATH"] = str(package)
        python = pathlib.Path(sys.executable)
    out = paste(code.replace("/villas1", region), python, region, ["--rate", "100", "--limit", "20", "--values", "2"], env, start)
    lines = out.splitlines()
    assert len(lines) >= 10 and re.match(r"\d+ ", lines[0]), out
    if way == "make install":
        assert re.match(r"\d+ \[.*\]", lines[0]), out
        run(["make", "-s", "uninstall", f"PREFIX={tmp_path}", f"PYTHON={sys.executable}"], cwd=ROOT, env=clean())
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_pages_snippets_run_in_order(region: str, start: Any) -> None:
    shell = "".join(blocks(ROOT / "docs/python.md", "sh"))
    assert "make install" in shell and "make wheel" in shell  # as the tests above do
    (command,) = re.findall(r"villas-shmem gen --region /villas1 (.*) &", shell)
    code = "".join(blocks(ROOT / "docs/python.md", "python"))
    second = region + "-2"
    out = paste(code.replace("/villas1", region).replace("/villas2", second), pathlib.Path(sys.executable), region, command.split(),
                   dict(os.environ), start)
    for said in ("the sample was written", "still in use", ", 3)"):
        assert said in out


def test_types_are_complete(tmp_path: pathlib.Path) -> None:
    """mypy finds nothing in the package, and knows its types from outside."""
    run([sys.executable, "-m", "mypy", "--cache-dir", tmp_path], cwd=ROOT / "python")
    user = tmp_path / "user.py"
    user.write_text("""
import asyncio
import villas_ext

def program(name: str) -> int:
    with villas_ext.open(name, timeout=1.0) as shm:
        for sample in shm:
            first: float = sample[0]
            shm.write(sample)
        array = shm.read_array(5)
        reveal_type(array.values)
        return int(first) + len(array) + shm.write_array(array)

async def node(name: str) -> None:
    async with villas_ext.Node(name, queuelen=5) as node:
        async for sample in node:
            number: int = sample.sequence
            await node.write_async(node.alloc([number]))
        reveal_type(sample.values)
""")
    out = run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, user], env={**os.environ, "MYPYPATH": str(ROOT / "python/src")})
    assert len(re.findall(r"Revealed type .*ndarray\[.*(?:float32|floating\[.*_32Bit\])", out)) == 2, out
