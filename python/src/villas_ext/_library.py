# SPDX-License-Identifier: Apache-2.0

"""Finds and loads libvillas-ext.so.1, once per process."""

from __future__ import annotations

import ctypes
import errno
import os
import pathlib
import threading
from typing import Any, List

SONAME = "libvillas-ext.so.1"

_lock = threading.Lock()
_loaded: ctypes.CDLL | None = None


def _candidates() -> List[str]:
    """Where the library may be if nobody says where: beside the package, as in a wheel; in the lib folder that holds the
    package, as after ``make install``; where the loader looks; where ``make install`` puts it by default, which the
    loader knows only after ldconfig(8)."""
    here = pathlib.Path(__file__).resolve().parent
    beside = [here / SONAME, here.parents[2] / SONAME]
    return [str(path) for path in beside if path.exists()] + [SONAME, f"/usr/local/lib/{SONAME}"]


def _is_loaded(path: str) -> bool:
    try:
        ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:
        return False
    return True


def load(path: str | os.PathLike[str] | None = None) -> Any:
    """Load the library and return it as a :class:`ctypes.CDLL`.

    Nobody needs to call this: :func:`open` and :class:`Node` do. It is for those who want another library than the one
    that is found, which is the first of: ``path``, the environment's ``VILLAS_EXT_LIBRARY``, the one beside the package
    (in the wheel), the system's. Raises OSError if there is none, if it is the original (which lacks what this package
    needs), or if another one is loaded already. Thread safe.
    """
    global _loaded
    with _lock:
        wanted = os.fspath(path) if path is not None else os.environ.get("VILLAS_EXT_LIBRARY")
        if _loaded is not None:
            if path is not None and not _is_loaded(os.fspath(path)):
                raise OSError(errno.EBUSY, f"{_loaded._name} is loaded already: load() must come first", os.fspath(path))
            return _loaded
        failures = []
        for name in [wanted] if wanted else _candidates():
            try:
                lib = ctypes.CDLL(name, use_errno=True)
            except OSError as failure:
                failures.append(str(failure))
                continue
            if not hasattr(lib, "shmem_shared_blocks"):
                raise OSError(errno.ELIBBAD, "this library is the original or too old: villas-ext 1.0 is needed", name)
            _loaded = lib
            return lib
    hint = "install villas-ext (make install, or the wheel), or say where it is in VILLAS_EXT_LIBRARY"
    raise OSError(errno.ENOENT, f"{SONAME} cannot be loaded ({'; '.join(failures)}): {hint}", wanted)
