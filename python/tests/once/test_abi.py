# SPDX-License-Identifier: Apache-2.0

"""villas_ext.abi is the contract: sizes, offsets, constants, prototypes."""

from __future__ import annotations

import ctypes
import json
import pathlib
import re
import subprocess
from typing import Any, Dict, Iterator, Tuple

import pytest
from conftest import BUILD, ROOT
from villas_ext import abi

CONTRACT = json.loads((ROOT / "internal/layout/testdata/layout-a.json").read_text())
INCLUDE = ROOT / "include"

# How C writes what ctypes has, without names and const.
TYPES: Dict[str, Any] = {
    "void": None, "int": ctypes.c_int, "unsigned int": ctypes.c_uint, "long int": ctypes.c_long, "long": ctypes.c_long,
    "size_t": ctypes.c_size_t, "ssize_t": ctypes.c_ssize_t, "pid_t": ctypes.c_int, "float": ctypes.c_float,
    "double": ctypes.c_double, "_Bool": ctypes.c_bool, "uint64_t": ctypes.c_uint64, "uintmax_t": ctypes.c_uint64,
    "enum sample_data_format": ctypes.c_int, "char *": ctypes.c_char_p, "void *": ctypes.c_void_p,
    "__va_list_tag *": ctypes.c_void_p, "struct __va_list_tag *": ctypes.c_void_p, "dtor_cb_t": abi.dtor_cb_t, "cmp_cb_t": abi.cmp_cb_t, "cpu_set_t": abi.cpu_set_t,
    "void (*) (int, siginfo_t *, void *)": abi.signals_cb_t,
}


def ctype(text: str) -> Any:
    text = re.sub(r"\b(const|extern)\b", "", text)
    text = re.sub(r"\s+", " ", text).strip()
    if text in TYPES:
        return TYPES[text]
    if text.endswith("*"):
        return ctypes.POINTER(ctype(text[:-1]))
    if match := re.fullmatch(r"struct (\w+)", text):
        return getattr(abi, f"struct_{match[1]}")
    raise KeyError(text)


def arguments(text: str) -> Iterator[str]:
    depth, part = 0, ""
    for c in text:
        depth += {"(": 1, ")": -1}.get(c, 0)
        if c == "," and not depth:
            yield part
            part = ""
        else:
            part += c
    yield part


def prototype(text: str) -> Tuple[str, Any]:
    match = re.match(r"(.*?)\b(\w+) \((.*)\)$", re.sub(r"/\*.*?\*/", "", text).strip())
    assert match, text
    result, name, inside = match.groups()
    inside = inside.replace("void (*)(int, siginfo_t *, void *)", "void (*) (int, siginfo_t *, void *)")
    kinds = [a for a in arguments(inside) if a.strip() not in ("", "void", "...")]
    # Names of parameters are in the contract's prototypes of some functions only.
    kinds = [re.sub(r"(?<=[*\s])(m|ptr|len|alignment)$", "", a.strip()) for a in kinds]
    return name, (ctype(result), [ctype(a) for a in kinds])


def same(ours: Any, theirs: Any, name: str) -> None:
    if name in ("strcatf", "vstrcatf"):  # the pointer is to be freed
        assert theirs[0] is ctypes.c_char_p and ours[0] is ctypes.c_void_p
        ours = (ctypes.c_char_p, ours[1])
    assert ours == theirs, name


def contract_prototypes() -> Dict[str, Any]:
    found = {}
    for line in (ROOT / "internal/layout/testdata/symbols.tsv").read_text().splitlines():
        fields = line.split("\t")
        if len(fields) > 3 and fields[2] == "T":
            name, proto = prototype(fields[3])
            assert name == fields[1]
            found[name] = proto
    return found


def fields_are(have: Any, fields: Any, value: Any) -> None:
    """Every field is where the contract has it, and there is no other."""
    direct = set()
    for path, field in fields.items():
        path = path.replace("data[0]", "data").replace("data[]", "data")
        offset, kind = 0, have
        for part in path.split("."):
            offset += getattr(kind, part).offset
            kind = dict(kind._fields_)[part]
        direct.add(path.split(".")[0])
        size = ctypes.sizeof(value if path == "data" else kind)
        assert (offset, size) == (field["offset"], field["size"]), path
    assert direct == {field[0] for field in have._fields_}


@pytest.mark.parametrize("name", [n for n in CONTRACT["structs"]])
def test_structures_have_the_contracts_sizes_and_offsets(name: str) -> None:
    want, have = CONTRACT["structs"][name], getattr(abi, name.replace(" ", "_"))
    assert (ctypes.sizeof(have), ctypes.alignment(have)) == (want["sizeof"], want["alignof"])
    fields_are(have, want["fields"], abi.union_sample_data)


def test_a_pairs_sample_has_the_contracts_size_and_offsets() -> None:
    want = json.loads((ROOT / "internal/layout/testdata/layout-g.json").read_text())["layout"]["sample"]
    assert ctypes.sizeof(abi.struct_villas_pair_sample) == want["sizeof"]
    fields_are(abi.struct_villas_pair_sample, want["fields"], abi.union_villas_pair_value)


def test_offsets_within_shmem_shared() -> None:
    for path, offset in CONTRACT["absolute_offsets_in_shmem_shared"].items():
        total, kind = 0, abi.struct_shmem_shared
        for part in path.split("."):
            total += getattr(kind, part).offset
            kind = dict(kind._fields_)[part]
        assert total == offset, path


def test_constants() -> None:
    seen = 0
    for name, value in CONTRACT["constants"].items():
        if re.fullmatch(r"[A-Z_]{2,}", name):
            assert getattr(abi, name) == value, name
            seen += 1
    assert seen > 45


def test_prototypes_of_the_original_are_the_contracts() -> None:
    contract = contract_prototypes()
    assert len(contract) == 101
    for name, proto in contract.items():
        same((abi.FUNCTIONS.get(name) or abi.HELPERS[name]), proto, name)


def test_prototypes_are_the_headers(tmp_path: pathlib.Path) -> None:
    """gcc tells what the headers declare; all of that is here, and nothing else."""
    source = tmp_path / "all.c"
    headers = sorted(p.relative_to(INCLUDE) for p in INCLUDE.rglob("*.h"))
    source.write_text("#define _GNU_SOURCE\n#include <sched.h>\n#include <signal.h>\n" + "".join(f"#include <{h}>\n" for h in headers))
    subprocess.run(["gcc", "-std=gnu17", "-fsyntax-only", "-aux-info", tmp_path / "protos", "-I", INCLUDE, source], check=True)
    declared = {}
    for line in (tmp_path / "protos").read_text().splitlines():
        match = re.match(rf"/\* {re.escape(str(INCLUDE))}/\S+ \*/ extern (.*);", line)
        if match:
            name, proto = prototype(match[1])
            declared[name] = proto
    ours = {**abi.FUNCTIONS, **abi.HELPERS}
    assert set(declared) == set(ours)
    for name, proto in ours.items():
        same(proto, declared[name], name)


def test_our_own_structures_and_constants_are_the_headers(tmp_path: pathlib.Path) -> None:
    claims = []
    for name in ("shmem_blocks", "shmem_open_options", "shmem_node_options", "villas_pair_options", "villas_pair_sample"):
        have = getattr(abi, f"struct_{name}")
        claims.append(f"sizeof(struct {name}) == {ctypes.sizeof(have)}")
        for field, kind in have._fields_:
            claims.append(f"offsetof(struct {name}, {field}) == {getattr(have, field).offset}")
            if field != "data":
                claims.append(f"sizeof(((struct {name} *) 0)->{field}) == {ctypes.sizeof(kind)}")
    claims.append(f"sizeof(union villas_pair_value) == {ctypes.sizeof(abi.union_villas_pair_value)}")
    constants = [name for name in dir(abi) if re.match("SHMEM_[A-Z]|VILLAS_PAIR_", name) and isinstance(getattr(abi, name), int)]
    assert len(constants) == 15
    claims += [f"{name} == {getattr(abi, name)}" for name in constants]
    for kind, initial in (("shmem_node_options", abi.SHMEM_NODE_OPTIONS_INIT()), ("villas_pair_options", abi.VILLAS_PAIR_OPTIONS_INIT())):
        for field, _ in initial._fields_:
            value = getattr(initial, field)
            same = f"!o.{field}" if not value else f"o.{field} == (__typeof__(o.{field})) {value}"
            claims.append(f"({{ struct {kind} o = {kind.upper()}_INIT; {same}; }})")
    source = tmp_path / "own.c"
    source.write_text("#include <stddef.h>\n#include <stdio.h>\n#include <villas/shmem_node.h>\n#include <villas/pair.h>\nint main(void)\n{\n" +
                      "".join(f"\tif (!({claim}))\n\t\tputs({json.dumps(claim)});\n" for claim in claims) + "}\n")
    subprocess.run(["gcc", "-I", INCLUDE, source, "-o", tmp_path / "own"], check=True)
    assert subprocess.run([tmp_path / "own"], capture_output=True, text=True, check=True).stdout == ""


def test_every_exported_symbol_is_there() -> None:
    out = subprocess.run(["nm", "-D", "--defined-only", BUILD / "libvillas-ext.so.1"], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[2] for line in out.splitlines() if line.split()[1] != "A"}
    ours = {f"{n}@@VILLAS_EXT_0.3" for n in abi.DATA} | {f"{n}@VILLAS_EXT_0.3" for n in abi.HELPERS}
    ours |= {f"villas_{n}@@VILLAS_EXT_1.0" for n in abi.HELPERS}
    contract = contract_prototypes()
    ours |= {f"{n}@@VILLAS_EXT_{'0.3' if n in contract else '1.1' if n.startswith('villas_pair_') else '1.0'}" for n in abi.FUNCTIONS}
    assert exported == ours


def test_raw_calls_work(region: str) -> None:
    lib = abi.library()
    assert lib is abi.library() and lib.shmem_total_size(32, 32, 4) == CONTRACT["shmem_total_size"]["32,32,4"]
    options = abi.SHMEM_NODE_OPTIONS_INIT()
    options.queuelen, options.samplelen = 16, 4
    node = lib.shmem_node_create(region.encode(), ctypes.byref(options))
    base = ctypes.c_void_p()
    shm = lib.shmem_shared_open(region.encode(), ctypes.byref(base))
    assert node and shm and ctypes.addressof(shm.contents) == base.value + 80
    smps = (ctypes.POINTER(abi.struct_sample) * 4)()
    assert lib.sample_alloc(lib.shmem_node_pool(node), smps, 4) == 4
    for i, smp in enumerate(smps):
        smp.contents.sequence, smp.contents.length = i, 2
        data = abi.sample_data(smp)
        data[0].f, data[1].i = i / 2, i
    assert lib.shmem_node_write(node, smps, 4) == 4
    got = (ctypes.POINTER(abi.struct_sample) * 8)()
    assert lib.shmem_shared_read(shm, got, 8) == 4
    assert [(s.contents.sequence, abi.sample_data(s)[0].f, abi.sample_data(s)[1].i) for s in got[:4]] == [
        (i, i / 2, i) for i in range(4)]
    assert lib.sample_put_many(got, 4) == 4
    moment = abi.struct_timespec(0, 1000)
    assert lib.shmem_shared_read_timeout(shm, got, 8, ctypes.byref(moment)) == -1
    assert lib.shmem_shared_strerror(ctypes.get_errno()) == b"the time is over"
    assert lib.shmem_shared_close(shm, None) == 0 and lib.shmem_node_close(node) == 0
    assert not lib.shmem_shared_open(region.encode(), None)


def test_helpers_have_both_names(capfd: Any) -> None:
    lib = abi.library()
    for time_add in (lib.time_add, lib.villas_time_add):
        total = time_add(ctypes.byref(abi.struct_timespec(1, 999_999_999)), ctypes.byref(abi.struct_timespec(2, 2)))
        assert (total.tv_sec, total.tv_nsec) == (4, 1)
    lib.info(b"%d and %s", 5, b"text")
    lib.villas_warn(b"%d", 6)
    said = capfd.readouterr().err
    assert "5 and text" in said and "6" in said
    version = abi.struct_version()
    assert lib.version_parse(b"4.7", ctypes.byref(version)) == 0 and (version.major, version.minor) == (4, 7)
    assert lib.memtype_heap.name == b"heap" and lib.default_log.level == 2
    found = lib.alloc(8)
    assert found
    ctypes.CDLL(None).free(ctypes.c_void_p(found))
