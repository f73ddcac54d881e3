// SPDX-License-Identifier: Apache-2.0

// Package shmem exchanges samples between a VILLASnode node and an external
// program on the same host, through a region of POSIX shared memory.
//
// The node creates the region ([Create]) and waits for a program
// ([Node.Accept]); the program opens it ([Open]). Both then allocate samples from
// the region's pool, write them to the other side and read what it sent. Nothing
// is copied, and in polling mode no system call is made. The same regions serve
// programs in C, C++ and Python, and those built with the original library.
//
//	prog, err := shmem.Open(ctx, "/villas1", shmem.OpenOptions{})
//	...
//	for smp, err := range prog.Samples(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(smp.Sequence(), smp.Values())
//	}
//
// # Trust
//
// The other side is another program. Whatever it writes into the region, in
// polling mode or while both sides are this library, it can give wrong values but
// never make this side touch memory outside of the region, loop for ever or
// crash: geometry is checked once and kept private, every offset pulled from a
// queue must be a block of the pool, lengths are clamped, no pointer is followed. A
// peer built with the original works on glibc's mutex and condition variable in
// the region, and glibc follows what it finds there: such a peer is trusted, or
// refused (NoLegacy). Truncating the object of a live region ends in SIGBUS.
//
// # Looking
//
// [Inspect] and [Inspector] show what is in a region without taking part: no
// sample is taken, nobody is woken, and the object is not mapped.
//
// # Forks
//
// A Go program that forks without exec must not use the region in the child.
package shmem
