# SPDX-License-Identifier: Apache-2.0

"""The C interface of libvillas-ext.so.1 as it is: every structure, every constant, every function, for ctypes.

Structures have the names of the headers, with ``struct_`` or ``union_`` in front. :func:`library` loads the library and
gives each function its prototype::

    from villas_ext import abi
    lib = abi.library()
    base = ctypes.c_void_p()
    shm = lib.shmem_shared_open(b"/villas1", ctypes.byref(base))   # NULL is falsy, ctypes.get_errno() tells why

What blocks, what may be called from which thread and what a call returns is documented in the headers
(``<villas/shmem.h>`` and its neighbours). Calls release the GIL. Nothing here looks after the life of a sample: whoever
wants that uses the package itself.
"""

from __future__ import annotations

import ctypes
import platform
from ctypes import (
    CFUNCTYPE, POINTER, Structure, Union, c_bool, c_char, c_char_p, c_double, c_float, c_int, c_int64, c_long, c_size_t, c_ssize_t,
    c_uint, c_uint32, c_uint64, c_void_p,
)
from typing import Any, Dict, List, Tuple

from . import _library

c_off_t = c_long
c_uintptr = c_size_t
c_uintmax = c_uint64

# <villas/common.h>
CACHELINE_SIZE = 64
STATE_DESTROYED, STATE_INITIALIZED, STATE_PARSED, STATE_CHECKED, STATE_STARTED, STATE_STOPPED = range(6)
STATE_LOADED, STATE_UNLOADED = STATE_STARTED, STATE_STOPPED

# <villas/memory.h>
HUGEPAGESIZE = 1 << 21
DEFAULT_NR_HUGEPAGES = 100
MEMORY_MMAP, MEMORY_DMA, MEMORY_HUGEPAGE, MEMORY_HEAP = 1, 2, 4, 8
MEMBLOCK_USED = 1

# <villas/queue.h>, <villas/sample.h>, <villas/shmem.h>
DEFAULT_QUEUELEN = 1024
DEFAULT_SAMPLELEN = 64
SAMPLE_DATA_FORMAT_FLOAT, SAMPLE_DATA_FORMAT_INT = 0, 1
DEFAULT_SHMEM_QUEUELEN = 512
DEFAULT_SHMEM_SAMPLELEN = 64
SHMEM_NO_LEGACY, SHMEM_LOCK_MEMORY = 1, 2
SHMEM_PROGRAM_ATTACHED, SHMEM_PROGRAM_STOPPED, SHMEM_PROGRAM_DIED, SHMEM_MUTEX_STUCK = 1, 2, 3, 4

# <villas/pair.h>
VILLAS_PAIR_HAS_ORIGIN, VILLAS_PAIR_HAS_RECEIVED, VILLAS_PAIR_HAS_OFFSET = 1, 2, 4
VILLAS_PAIR_HAS_SEQUENCE, VILLAS_PAIR_HAS_DATA = 8, 0x10
VILLAS_PAIR_NEW_FRAME, VILLAS_PAIR_NEW_SIMULATION = 0x10000, 0x20000
VILLAS_PAIR_NO_LEGACY, VILLAS_PAIR_LOCK_MEMORY = 1, 2

# <villas/log.h>, <villas/list.h>, <villas/kernel/kernel.h>
(LOG_POOL, LOG_QUEUE, LOG_CONFIG, LOG_HOOK, LOG_PATH, LOG_NODE, LOG_MEM, LOG_WEB, LOG_API, LOG_LOG, LOG_VFIO, LOG_PCI,
    LOG_XIL, LOG_TC, LOG_IF, LOG_SOCKET, LOG_FILE, LOG_FPGA, LOG_NGSI, LOG_WEBSOCKET, LOG_OPAL) = (1 << i for i in range(8, 29))
LOG_NODES = LOG_NODE | LOG_SOCKET | LOG_FILE | LOG_FPGA | LOG_NGSI | LOG_WEBSOCKET | LOG_OPAL
LOG_KERNEL = LOG_VFIO | LOG_PCI | LOG_TC | LOG_IF
LOG_ALL = ~0xFF
LOG_WIDTH = 132
LIST_CHUNKSIZE = 16
KERNEL_VERSION_MAJ, KERNEL_VERSION_MIN = 3, 6


class struct_timespec(Structure):
    _fields_ = [("tv_sec", c_long), ("tv_nsec", c_long)]


class cpu_set_t(Structure):
    _fields_ = [("__bits", c_size_t * 16)]


def _opaque(size: int, unit: Any) -> Any:
    """Bytes that only glibc looks into, aligned as unit."""
    return unit * (size // ctypes.sizeof(unit))


_arm64 = platform.machine() == "aarch64"
pthread_mutex_t = _opaque(48 if _arm64 else 40, c_long)
pthread_cond_t = _opaque(48, c_long)
pthread_barrier_t = _opaque(32, c_long)
pthread_barrierattr_t = _opaque(8 if _arm64 else 4, c_int)


class struct_memtype(Structure):
    pass


memzone_allocator_t = CFUNCTYPE(c_void_p, POINTER(struct_memtype), c_size_t, c_size_t)
memzone_deallocator_t = CFUNCTYPE(c_int, POINTER(struct_memtype), c_void_p, c_size_t)

struct_memtype._fields_ = [
    ("name", c_char_p), ("flags", c_int), ("alignment", c_size_t), ("alloc", memzone_allocator_t),
    ("free", memzone_deallocator_t), ("_vd", c_void_p),
]


class struct_memblock(Structure):
    pass


struct_memblock._fields_ = [
    ("prev", POINTER(struct_memblock)), ("next", POINTER(struct_memblock)), ("len", c_size_t), ("flags", c_int),
]


class struct_memzone(Structure):
    _fields_ = [("type", POINTER(struct_memtype)), ("addr", c_void_p), ("physaddr", c_uintptr), ("len", c_size_t)]


_pad = c_char * CACHELINE_SIZE


class struct_queue_cell(Structure):
    _fields_ = [("sequence", c_size_t), ("data_off", c_off_t)]


class struct_queue(Structure):
    _fields_ = [
        ("_pad0", _pad), ("state", c_int), ("mem", POINTER(struct_memtype)), ("buffer_mask", c_size_t),
        ("buffer_off", c_off_t), ("_pad1", _pad), ("tail", c_size_t), ("_pad2", _pad), ("head", c_size_t), ("_pad3", _pad),
    ]


class struct_queue_signalled(Structure):
    _fields_ = [("queue", struct_queue), ("ready", pthread_cond_t), ("mutex", pthread_mutex_t)]


class struct_pool(Structure):
    _fields_ = [
        ("buffer_off", c_off_t), ("mem", POINTER(struct_memtype)), ("state", c_int), ("len", c_size_t),
        ("blocksz", c_size_t), ("alignment", c_size_t), ("queue", struct_queue),
    ]


class struct_node(Structure):
    """Means something in the node's process only."""


class union_sample_data(Union):
    _fields_ = [("f", c_float), ("i", c_uint32)]


class struct_sample_ts(Structure):
    _fields_ = [("origin", struct_timespec), ("received", struct_timespec), ("sent", struct_timespec)]


class struct_sample(Structure):
    """The 88 bytes in front of a sample's values; see :func:`sample_data`."""

    _fields_ = [
        ("sequence", c_int), ("length", c_int), ("capacity", c_int), ("refcnt", c_int), ("pool_off", c_off_t),
        ("source", POINTER(struct_node)), ("ts", struct_sample_ts), ("format", c_uint64), ("data", union_sample_data * 0),
    ]


class union_shmem_queue(Union):
    _fields_ = [("q", struct_queue), ("qs", struct_queue_signalled)]


class struct_shmem_shared(Structure):
    _fields_ = [
        ("len", c_size_t), ("polling", c_int), ("in", union_shmem_queue), ("out", union_shmem_queue), ("pool", struct_pool),
        ("start_bar", pthread_barrier_t), ("start_attr", pthread_barrierattr_t), ("node_stopped", c_size_t),
        ("ext_stopped", c_size_t),
    ]


class struct_shmem_blocks(Structure):
    _fields_ = [("first", c_void_p), ("count", c_size_t), ("stride", c_size_t)]


class struct_shmem_open_options(Structure):
    _fields_ = [("size", c_size_t), ("flags", c_uint), ("spin", c_int), ("timeout", POINTER(struct_timespec))]


class struct_shmem_node(Structure):
    """Opaque."""


shmem_event_cb_t = CFUNCTYPE(None, POINTER(struct_shmem_node), c_int, c_int, c_void_p)


class struct_shmem_node_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("queuelen", c_int), ("samplelen", c_int), ("polling", c_int), ("flags", c_uint), ("spin", c_int),
        ("mode", c_uint), ("group", c_uint), ("event", shmem_event_cb_t), ("context", c_void_p),
    ]


def SHMEM_NODE_OPTIONS_INIT() -> struct_shmem_node_options:
    """The defaults, for :c:func:`shmem_node_create`."""
    size = ctypes.sizeof(struct_shmem_node_options)
    return struct_shmem_node_options(size, DEFAULT_SHMEM_QUEUELEN, DEFAULT_SHMEM_SAMPLELEN, 0, 0, -1, 0o600, 0xFFFFFFFF)


class struct_villas_pair(Structure):
    """Opaque."""


class _complex(Structure):
    _fields_ = [("re", c_float), ("im", c_float)]


class union_villas_pair_value(Union):
    _fields_ = [("f", c_double), ("i", c_int64), ("b", c_bool), ("z", _complex)]


class _pair_ts(Structure):
    _fields_ = [("origin", struct_timespec), ("received", struct_timespec)]


class struct_villas_pair_sample(Structure):
    """The 88 bytes in front of a sample's values; see :func:`sample_data`."""

    _fields_ = [
        ("sequence", c_uint64), ("length", c_uint), ("capacity", c_uint), ("flags", c_int), ("signals", c_uint64 * 2),
        ("refcnt", c_int), ("pool_off", c_int64), ("ts", _pair_ts), ("data", union_villas_pair_value * 0),
    ]


class struct_villas_pair_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("queuelen", c_int), ("samplelen", c_int), ("polling", c_int), ("flags", c_uint), ("spin", c_int),
        ("mode", c_uint), ("group", c_uint), ("timeout", POINTER(struct_timespec)), ("stop", POINTER(c_int)),
    ]


def VILLAS_PAIR_OPTIONS_INIT() -> struct_villas_pair_options:
    """The defaults, for :c:func:`villas_pair_open`."""
    size = ctypes.sizeof(struct_villas_pair_options)
    return struct_villas_pair_options(size, 512, 64, 0, 0, -1, 0o600, 0xFFFFFFFF)


def sample_data(sample: Any) -> Any:
    """The values of a :class:`struct_sample` or :class:`struct_villas_pair_sample`, or of a pointer to one: an array of
    ``length`` unions in the sample's memory."""
    s = sample.contents if hasattr(sample, "contents") else sample
    kind = union_sample_data if isinstance(s, struct_sample) else union_villas_pair_value
    return (kind * s.length).from_address(ctypes.addressof(s) + type(s).data.offset)


class struct_log(Structure):
    _fields_ = [
        ("state", c_int), ("epoch", struct_timespec), ("level", c_int), ("facilities", c_long), ("path", c_char_p),
        ("file", c_void_p),
    ]


class struct_list(Structure):
    _fields_ = [
        ("array", POINTER(c_void_p)), ("capacity", c_size_t), ("length", c_size_t), ("lock", pthread_mutex_t), ("state", c_int),
    ]


class struct_version(Structure):
    _fields_ = [("major", c_int), ("minor", c_int)]


class struct_shmem(Structure):
    """The settings of VILLASnode's shmem node-type (``<villas/nodes/shmem.h>``)."""

    _fields_ = [
        ("name", c_char_p), ("samplelen", c_int), ("queuelen", c_int), ("polling", c_int), ("exec", POINTER(c_char_p)),
        ("manager", POINTER(struct_memtype)), ("fd", c_int), ("base", c_void_p), ("shared", POINTER(struct_shmem_shared)),
    ]


dtor_cb_t = CFUNCTYPE(c_int, c_void_p)
cmp_cb_t = CFUNCTYPE(c_int, c_void_p, c_void_p)
signals_cb_t = CFUNCTYPE(None, c_int, c_void_p, c_void_p)

Prototype = Tuple[Any, List[Any]]  #: Result and arguments. Variadic functions take more than are listed.

_mem, _queue, _qs, _pool = POINTER(struct_memtype), POINTER(struct_queue), POINTER(struct_queue_signalled), POINTER(struct_pool)
_sample, _shm, _node, _ts = POINTER(struct_sample), POINTER(struct_shmem_shared), POINTER(struct_shmem_node), POINTER(struct_timespec)
_samples, _pointers = POINTER(_sample), POINTER(c_void_p)
_pair, _pair_sample = POINTER(struct_villas_pair), POINTER(struct_villas_pair_sample)
_pair_samples = POINTER(_pair_sample)
_log, _list, _version, _set = POINTER(struct_log), POINTER(struct_list), POINTER(struct_version), POINTER(cpu_set_t)

#: Functions of both the original and ours, and ours alone (``shmem_node_*``, ``*_timeout``, ``villas_pair_*``, ...), by name.
FUNCTIONS: Dict[str, Prototype] = {
    "sample_alloc": (c_int, [_pool, _samples, c_int]),
    "sample_free": (None, [_samples, c_int]),
    "sample_get": (c_int, [_sample]),
    "sample_put": (c_int, [_sample]),
    "sample_get_many": (c_int, [_samples, c_int]),
    "sample_put_many": (c_int, [_samples, c_int]),
    "sample_copy": (c_int, [_sample, _sample]),
    "sample_copy_many": (c_int, [_samples, _samples, c_int]),
    "sample_set_data_format": (c_int, [_sample, c_int, c_int]),
    "sample_get_data_format": (c_int, [_sample, c_int]),
    "queue_init": (c_int, [_queue, c_size_t, _mem]),
    "queue_destroy": (c_int, [_queue]),
    "queue_available": (c_size_t, [_queue]),
    "queue_push": (c_int, [_queue, c_void_p]),
    "queue_pull": (c_int, [_queue, _pointers]),
    "queue_push_many": (c_int, [_queue, _pointers, c_size_t]),
    "queue_pull_many": (c_int, [_queue, _pointers, c_size_t]),
    "queue_signalled_init": (c_int, [_qs, c_size_t, _mem]),
    "queue_signalled_destroy": (c_int, [_qs]),
    "queue_signalled_push": (c_int, [_qs, c_void_p]),
    "queue_signalled_pull": (c_int, [_qs, _pointers]),
    "queue_signalled_push_many": (c_int, [_qs, _pointers, c_size_t]),
    "queue_signalled_pull_many": (c_int, [_qs, _pointers, c_size_t]),
    "pool_init": (c_int, [_pool, c_size_t, c_size_t, _mem]),
    "pool_destroy": (c_int, [_pool]),
    "memory_init": (c_int, [c_int]),
    "memory_alloc": (c_void_p, [_mem, c_size_t]),
    "memory_alloc_aligned": (c_void_p, [_mem, c_size_t, c_size_t]),
    "memory_free": (c_int, [_mem, c_void_p, c_size_t]),
    "memtype_managed_init": (_mem, [c_void_p, c_size_t]),
    "memory_managed_alloc": (c_void_p, [_mem, c_size_t, c_size_t]),
    "memory_managed_free": (c_int, [_mem, c_void_p, c_size_t]),
    "memory_heap_free": (c_int, [_mem, c_void_p, c_size_t]),
    "shmem_total_size": (c_size_t, [c_int, c_int, c_int]),
    "shmem_shared_open": (_shm, [c_char_p, _pointers]),
    "shmem_shared_close": (c_int, [_shm, c_void_p]),
    "shmem_shared_read": (c_int, [_shm, _samples, c_uint]),
    "shmem_shared_write": (c_int, [_shm, _samples, c_uint]),
    "shmem_shared_open_timeout": (_shm, [c_char_p, _pointers, _ts]),
    "shmem_shared_open_options": (_shm, [c_char_p, _pointers, POINTER(struct_shmem_open_options)]),
    "shmem_shared_read_timeout": (c_int, [_shm, _samples, c_uint, _ts]),
    "shmem_shared_write_timeout": (c_int, [_shm, _samples, c_uint, _ts]),
    "shmem_shared_blocks": (c_int, [_shm, POINTER(struct_shmem_blocks)]),
    "shmem_shared_strerror": (c_char_p, [c_int]),
    "shmem_node_create": (_node, [c_char_p, POINTER(struct_shmem_node_options)]),
    "shmem_node_accept": (c_int, [_node, _ts]),
    "shmem_node_command": (c_int, [_node, c_int]),
    "shmem_node_pool": (_pool, [_node]),
    "shmem_node_shared": (_shm, [_node]),
    "shmem_node_read": (c_int, [_node, _samples, c_uint]),
    "shmem_node_read_timeout": (c_int, [_node, _samples, c_uint, _ts]),
    "shmem_node_write": (c_int, [_node, _samples, c_uint]),
    "shmem_node_write_timeout": (c_int, [_node, _samples, c_uint, _ts]),
    "shmem_node_close": (c_int, [_node]),
    "villas_pair_open": (_pair, [c_char_p, c_char_p, POINTER(struct_villas_pair_options)]),
    "villas_pair_alloc": (c_int, [_pair, _pair_samples, c_uint]),
    "villas_pair_read": (c_int, [_pair, _pair_samples, c_uint]),
    "villas_pair_read_timeout": (c_int, [_pair, _pair_samples, c_uint, _ts]),
    "villas_pair_write": (c_int, [_pair, _pair_samples, c_uint]),
    "villas_pair_write_timeout": (c_int, [_pair, _pair_samples, c_uint, _ts]),
    "villas_pair_get": (c_int, [_pair_sample]),
    "villas_pair_put": (c_int, [_pair_sample]),
    "villas_pair_put_many": (c_int, [_pair_samples, c_uint]),
    "villas_pair_copy": (c_int, [_pair_sample, _pair_sample]),
    "villas_pair_blocks": (c_int, [_pair, POINTER(struct_shmem_blocks), POINTER(struct_shmem_blocks)]),
    "villas_pair_ours": (c_int, [_pair]),
    "villas_pair_close": (c_int, [_pair]),
    "villas_pair_strerror": (c_char_p, [c_int]),
}

#: The original's helper functions. The library exports each as ``villas_NAME`` and, for old binaries only, as NAME: a
#: version that is not the default one, which dlsym(3) does not find. :func:`library` has both names.
HELPERS: Dict[str, Prototype] = {
    "log_init": (c_int, [_log, c_int, c_long]),
    "log_start": (c_int, [_log]),
    "log_stop": (c_int, [_log]),
    "log_destroy": (c_int, [_log]),
    "log_indent": (c_int, [c_int]),
    "log_outdent": (None, [POINTER(c_int)]),
    "log_set_facility_expression": (c_int, [_log, c_char_p]),
    "log_print": (None, [_log, c_char_p, c_char_p]),
    "log_vprint": (None, [_log, c_char_p, c_char_p, c_void_p]),
    "debug": (None, [c_long, c_char_p]),
    "info": (None, [c_char_p]),
    "warn": (None, [c_char_p]),
    "stats": (None, [c_char_p]),
    "error": (None, [c_char_p]),
    "serror": (None, [c_char_p]),
    "line": (None, []),
    "alloc": (c_void_p, [c_size_t]),
    "memdup": (c_void_p, [c_void_p, c_size_t]),
    "die": (None, []),
    "strcatf": (c_void_p, [POINTER(c_char_p), c_char_p]),  # the pointer to be freed, so not c_char_p
    "vstrcatf": (c_void_p, [POINTER(c_char_p), c_char_p, c_void_p]),
    "randf": (c_double, []),
    "box_muller": (c_double, [c_float, c_float]),
    "read_random": (c_ssize_t, [c_char_p, c_size_t]),
    "cpuset_to_integer": (None, [_set, POINTER(c_uintmax)]),
    "cpuset_from_integer": (None, [c_uintmax, _set]),
    "cpulist_parse": (c_int, [c_char_p, _set, c_int]),
    "cpulist_create": (c_char_p, [c_char_p, c_size_t, _set]),
    "version_cmp": (c_int, [_version, _version]),
    "version_parse": (c_int, [c_char_p, _version]),
    "signals_init": (None, [signals_cb_t]),
    "spawn": (c_int, [c_char_p, POINTER(c_char_p)]),
    "rdtsc_sleep": (None, [c_uint64, c_uint64]),
    "print_copyright": (None, []),
    "list_init": (None, [_list]),
    "list_destroy": (c_int, [_list, dtor_cb_t, c_bool]),
    "list_push": (None, [_list, c_void_p]),
    "list_remove": (None, [_list, c_void_p]),
    "list_lookup": (c_void_p, [_list, c_char_p]),
    "list_search": (c_void_p, [_list, cmp_cb_t, c_void_p]),
    "list_count": (c_int, [_list, cmp_cb_t, c_void_p]),
    "list_contains": (c_int, [_list, c_void_p]),
    "list_sort": (None, [_list, cmp_cb_t]),
    "time_now": (struct_timespec, []),
    "time_add": (struct_timespec, [_ts, _ts]),
    "time_diff": (struct_timespec, [_ts, _ts]),
    "time_delta": (c_double, [_ts, _ts]),
    "time_from_double": (struct_timespec, [c_double]),
    "time_to_double": (c_double, [_ts]),
    "timerfd_create_rate": (c_int, [c_double]),
    "timerfd_wait": (c_uint64, [c_int]),
    "timerfd_wait_until": (c_uint64, [c_int, _ts]),
    "kernel_get_cacheline_size": (c_int, []),
    "kernel_get_page_size": (c_int, []),
    "kernel_get_hugepage_size": (c_int, []),
    "kernel_get_nr_hugepages": (c_int, []),
    "kernel_set_nr_hugepages": (c_int, [c_int]),
    "kernel_get_version": (c_int, [_version]),
    "kernel_get_cmdline_param": (c_int, [c_char_p, c_char_p, c_size_t]),
    "kernel_module_loaded": (c_int, [c_char_p]),
    "kernel_module_load": (c_int, [c_char_p]),
    "kernel_module_set_param": (c_int, [c_char_p, c_char_p, c_char_p]),
    "kernel_irq_setaffinity": (c_int, [c_uint, c_uintmax, POINTER(c_uintmax)]),
}

#: Variables. ``library().memtype_heap`` is the structure in the library's memory.
DATA: Dict[str, Any] = {
    "memtype_heap": struct_memtype,
    "memtype_hugepage": struct_memtype,
    "default_log": struct_log,
    "global_log": _log,
}

_libraries: Dict[str, Any] = {}


def library(path: str | None = None) -> Any:
    """The library as a :class:`ctypes.CDLL` with prototypes, variables, and errno kept for :func:`ctypes.get_errno`.

    It is the one that the package uses; ``path`` is that of :func:`villas_ext.load`.
    """
    lib = _library.load(path)
    bound = _libraries.get(lib._name)
    if bound is None:
        bound = _libraries[lib._name] = _bind(ctypes.CDLL(lib._name, handle=lib._handle, use_errno=True))
    return bound


def _bind(lib: Any) -> Any:
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    dlvsym = ctypes.CDLL(None).dlvsym
    dlvsym.restype, dlvsym.argtypes = c_void_p, [c_void_p, c_char_p, c_char_p]
    for name, (result, arguments) in HELPERS.items():
        function = getattr(lib, "villas_" + name)
        function.restype, function.argtypes = result, arguments
        address = dlvsym(lib._handle, name.encode(), b"VILLAS_EXT_0.3")
        setattr(lib, name, CFUNCTYPE(result, *arguments, use_errno=True)(address))
    for name, kind in DATA.items():
        setattr(lib, name, kind.in_dll(lib, name))
    return lib
