# SPDX-License-Identifier: Apache-2.0

"""What the tests share: unique regions that must not be left behind, processes that must not hang, figures to print."""

from __future__ import annotations

import itertools
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any, Callable, Dict, Iterator, List, Set

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VILLAS_EXT_BUILD", ROOT / "build"))
PATIENCE = 60  # seconds; whatever takes longer hangs
LIMIT = 300  # seconds for a test

os.environ["VILLAS_EXT_LIBRARY"] = str(BUILD / "libvillas-ext.so.1")
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, os.environ["PYTHONPATH"].split(os.pathsep)))

import villas_ext  # noqa: E402  (the library's place must be known first)

_numbers = itertools.count()
_figures: List[str] = []
_programs: Dict[str, pathlib.Path] = {}


@pytest.fixture(autouse=True)
def end() -> Iterator[None]:
    """Every test ends: waits of the package do so for a signal's handler, too."""

    def hangs(*_: Any) -> None:
        raise AssertionError("the test hangs")

    signal.signal(signal.SIGALRM, hangs)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)


@pytest.fixture
def region() -> Iterator[str]:
    """A name that no other test uses."""
    name = f"/villas-test-py-{os.getpid()}-{next(_numbers)}"
    yield name
    left = [path for path in os.listdir("/dev/shm") if path.startswith(name[1:])]
    for path in left:
        os.unlink(f"/dev/shm/{path}")
    assert not left, f"left behind: {left}"


@pytest.fixture(params=["signalled", "polling"])
def polling(request: Any) -> bool:
    return bool(request.param == "polling")


class Pair:
    """A node and a program at its region, in this process."""

    def __init__(self, name: str, **options: Any) -> None:
        self.polling = options.get("polling", False)
        self.node = villas_ext.Node(name, **{"queuelen": 64, "samplelen": 8, **options})
        self.shm = villas_ext.open(name)
        self.node.accept(timeout=PATIENCE)

    def free(self) -> int:
        """Samples that nobody has."""
        abi = villas_ext.abi
        pool = abi.struct_pool.from_address(self.shm._pool.address)
        return int(abi.library().queue_available(pool.queue))

    def close(self) -> None:
        self.shm.close()
        self.node.close()

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@pytest.fixture
def pair(region: str, polling: bool) -> Iterator[Pair]:
    both = Pair(region, polling=polling)
    yield both
    both.close()


class Process:
    """A process that a test started; killed if it hangs."""

    def __init__(self, argv: List[str], **options: Any) -> None:
        self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                      **options)

    def line(self) -> str:
        """The next line that it prints."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, f"ended with {self.popen.wait()}"
        return line.strip()

    def end(self, status: int | None = 0) -> str:
        """Wait for the end, which must be of that status, and return what else was printed."""
        try:
            out, _ = self.popen.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            out, _ = self.popen.communicate()
            raise AssertionError(f"hangs, and said: {out}") from None
        assert status is None or self.popen.returncode == status, f"status {self.popen.returncode}: {out}"
        return out


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts processes: ``start(*argv)``."""
    started: List[Process] = []

    def run(*argv: Any, **options: Any) -> Process:
        started.append(Process([str(a) for a in argv], **options))
        return started[-1]

    yield run
    for process in started:
        process.popen.kill()
        process.popen.communicate()


@pytest.fixture
def python(start: Callable[..., Process]) -> Callable[..., Process]:
    """Starts Python programs, with warnings as errors: ``python(code, *arguments)``; villas_ext and sys are imported, and
    name is the first argument."""

    def run(code: str, *arguments: Any) -> Process:
        text = "import sys, time, villas_ext\nname = sys.argv[1]\n" + textwrap.dedent(code)
        return start(sys.executable, "-W", "error", "-u", "-c", text, *arguments)

    return run


@pytest.fixture
def c_program() -> Callable[[str], pathlib.Path]:
    """Builds a program of tests/c against the library."""

    def build(source: str) -> pathlib.Path:
        if source not in _programs:
            out = BUILD / "tests" / f"py_{os.getpid()}_{pathlib.Path(source).stem}"
            out.parent.mkdir(exist_ok=True)
            subprocess.run(["gcc", "-O2", "-I", ROOT / "include", ROOT / "tests" / "c" / source, "-o", out, "-L", BUILD,
                            "-lvillas-ext", f"-Wl,-rpath,{BUILD}", "-pthread"], check=True)
            _programs[source] = out
        return _programs[source]

    return build


def appears(path: str) -> None:
    """Wait until path is there."""
    end = time.monotonic() + PATIENCE
    while not os.path.exists(path):
        assert time.monotonic() < end, f"{path} does not appear"
        time.sleep(0.001)


def mapped_inodes() -> Set[int]:
    """Of the files that this process has mapped."""
    with open("/proc/self/maps") as maps:
        return {int(line.split()[4]) for line in maps}


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Notes a figure to be printed after the tests."""
    return _figures.append


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in _figures:
        terminalreporter.write_line(line)


def pytest_sessionfinish() -> None:
    for path in _programs.values():
        path.unlink()
