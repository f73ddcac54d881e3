// SPDX-License-Identifier: Apache-2.0

// Package main is libvillas-ext.so.1: the C ABI and nothing else.
//
// C reaches Go here by leaf calls only. A leaf is a Go function that loads,
// stores, uses sync/atomic and calls other leaves, and nothing more: no
// allocation, no panic, no write barrier, no growing stack, no look at the
// current goroutine. It can run on any thread without the Go runtime. The stubs
// (stubs_*.S) bridge the two calling conventions; leaves.go hands the leaves'
// addresses to them once, when the runtime comes up. After that the runtime
// has nothing to do: the library starts no goroutine and allocates nothing.
//
// What cannot be a leaf (system calls, waits, variadic functions) is C in this
// folder.
//
// The Go runtime would also keep the cgroup's files open and look at them every
// now and then, to adapt GOMAXPROCS: a guest does neither.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

// The exported symbols are in libvillas-ext.map; version and visibility come
// from there.

// #cgo CFLAGS: -std=gnu11 -O2 -g -Wall -Wextra -Wno-unused-parameter -fvisibility=hidden -fexceptions -I${SRCDIR}/../include
// #cgo faults CFLAGS: -DVX_FAULTS
// #cgo bounds CFLAGS: -DVX_BOUNDS
// #cgo LDFLAGS: -pthread -lm
// #include "leaf.h"
import "C"

func main() {}
