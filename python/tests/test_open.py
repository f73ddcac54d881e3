# SPDX-License-Identifier: Apache-2.0

"""Opening, creating, and finding the library."""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import pytest
import villas_ext
from conftest import BUILD, ROOT, Pair


def test_errors_are_the_operating_systems(region: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        villas_ext.open(region)
    assert caught.value.filename == region and "start the node first" in str(caught.value)
    path = pathlib.Path("/dev/shm" + region)
    for content, number in ((b"", errno.EPROTO), (b"x" * 20000, errno.EPROTO)):
        path.write_bytes(content)
        with pytest.raises(OSError) as caught_other:
            villas_ext.open(region)
        assert caught_other.value.errno == number
        path.unlink()
    with villas_ext.Node(region) as node:
        with pytest.raises(FileExistsError):
            villas_ext.Node(region)
        with villas_ext.open(region):
            with pytest.raises(OSError) as busy:
                villas_ext.open(region)
            assert busy.value.errno == errno.EBUSY
            node.accept()
    for name, number in (("a/b", errno.EINVAL), ("/" + "x" * 300, errno.ENAMETOOLONG)):
        for make in (villas_ext.open, villas_ext.Node):
            with pytest.raises(OSError) as wrong:
                make(name)
            assert wrong.value.errno == number
    for options in ({"queuelen": 0}, {"samplelen": -1}):
        with pytest.raises(OSError) as wrong:
            villas_ext.Node(region, **options)
        assert wrong.value.errno == errno.EINVAL


def test_a_node_is_what_was_asked_for(region: str) -> None:
    with villas_ext.Node(region, queuelen=10, samplelen=30, mode=0o640, group=os.getgid()) as node:
        assert os.stat("/dev/shm" + region).st_mode & 0o777 == 0o640
        assert node.name == region and node.capacity >= 30 and not node.closed
        samples = [node.alloc() for _ in range(20)]
        with pytest.raises(OSError):
            node.alloc()
        for sample in samples:
            sample.release()
        assert "open" in repr(node)
        with villas_ext.open(region, spin=0) as shm:
            assert shm.capacity == node.capacity and shm.name == region
    assert "closed" in repr(node) and node.closed


def test_defaults_are_those_of_the_original(region: str) -> None:
    with villas_ext.Node(region) as node:
        assert node._pool.count == 2 * 512 and node.capacity == (384 - 88) // 4


def run(code: str, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    env = {k: v for k, v in os.environ.items() if k != "VILLAS_EXT_LIBRARY"}
    env.update(environment)
    return subprocess.run([sys.executable, *options, "-c", code], env=env, capture_output=True, text=True)


WHICH = """
import sys, villas_ext
villas_ext.load(*sys.argv[1:]) if len(sys.argv) > 1 else villas_ext.load()
print({line.split()[-1] for line in open("/proc/self/maps") if "libvillas-ext" in line})
"""


def test_the_library_is_found_in_order(tmp_path: pathlib.Path) -> None:
    library = BUILD / "libvillas-ext.so.1"
    package = tmp_path / "lib" / "python3" / "dist-packages" / "villas_ext"
    shutil.copytree(ROOT / "python" / "src" / "villas_ext", package)
    places = {name: tmp_path / name / "libvillas-ext.so.1" for name in ("explicit", "environment", "system")}
    for place in places.values():
        place.parent.mkdir()
        shutil.copy(library, place)
    installed, beside = tmp_path / "lib" / library.name, package / library.name
    env = {"PYTHONPATH": os.pathsep.join([str(package.parent), os.environ["PYTHONPATH"]]),
           "LD_LIBRARY_PATH": str(places["system"].parent)}

    def which(*arguments: str, **more: str) -> str:
        code = f"import sys\nsys.argv[1:] = {list(arguments)!r}\n" + WHICH
        done = run(code, **{**env, **more})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().strip("{}'")

    assert which() == str(places["system"])
    shutil.copy(library, installed)
    assert which() == str(installed)
    shutil.copy(library, beside)
    assert which() == str(beside)
    chosen = {"VILLAS_EXT_LIBRARY": str(places["environment"])}
    assert which(**chosen) == str(places["environment"])
    assert which(str(places["explicit"]), **chosen) == str(places["explicit"])


def test_a_library_that_is_none_is_an_error_that_says_what_to_do(tmp_path: pathlib.Path) -> None:
    (tmp_path / "stub.c").write_text("int shmem_shared_open;\n")
    original = tmp_path / "libvillas-ext.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", tmp_path / "stub.c", "-o", original], check=True)
    done = run("import villas_ext; villas_ext.open('/x')", VILLAS_EXT_LIBRARY=str(original))
    assert "villas-ext 1.0 is needed" in done.stderr and "OSError" in done.stderr
    done = run("import villas_ext; villas_ext.open('/x')", VILLAS_EXT_LIBRARY=str(tmp_path / "none.so"))
    assert "none.so" in done.stderr and "make install" in done.stderr
    done = run("import villas_ext; print(villas_ext.Sample)", VILLAS_EXT_LIBRARY=str(tmp_path / "none.so"))
    assert done.returncode == 0, "an import needs no library"


def test_a_second_library_is_refused(tmp_path: pathlib.Path) -> None:
    other = tmp_path / "libvillas-ext.so.1"
    shutil.copy(BUILD / "libvillas-ext.so.1", other)
    villas_ext.load()
    assert villas_ext.load(BUILD / "libvillas-ext.so.1") is villas_ext.load(None)
    with pytest.raises(OSError) as caught:
        villas_ext.load(other)
    assert caught.value.errno == errno.EBUSY


def test_memory_is_locked_on_demand(region: str) -> None:
    def locked() -> int:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmLck"))

    with villas_ext.Node(region, queuelen=16, samplelen=4, lock_memory=True):
        assert locked() > 0
    assert locked() == 0
    with Pair(region):
        assert locked() == 0
