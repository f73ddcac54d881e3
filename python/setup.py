# SPDX-License-Identifier: Apache-2.0

"""Tags the wheel for what the library in it needs of the system; without a library in it, for any system."""

import pathlib
import re
import subprocess

from setuptools import Distribution, setup

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel

LIBRARY = pathlib.Path(__file__).parent / "src" / "villas_ext" / "libvillas-ext.so.1"


def platform_tag(library):
    """manylinux_2_X_MACHINE, with the highest version of glibc that the library refers to (PEP 600)."""
    facts = subprocess.run(["readelf", "--wide", "--file-header", "--version-info", library], capture_output=True, text=True,
                           check=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout
    machine = {"X86-64": "x86_64", "AArch64": "aarch64"}[re.search(r"Machine:.*\b(X86-64|AArch64)", facts)[1]]
    major, minor = max((int(a), int(b)) for a, b in re.findall(r"Name: GLIBC_(\d+)\.(\d+)", facts))
    return f"manylinux_{major}_{minor}_{machine}"


class Wheel(bdist_wheel):
    def get_tag(self):
        return "py3", "none", platform_tag(LIBRARY)


class WithLibrary(Distribution):
    def has_ext_modules(self):
        return True


if LIBRARY.exists():
    setup(cmdclass={"bdist_wheel": Wheel}, distclass=WithLibrary)
else:
    setup()
