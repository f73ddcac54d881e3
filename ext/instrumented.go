// SPDX-License-Identifier: Apache-2.0

//go:build race || msan || asan

package main

// Instrumentation puts calls into the runtime of a sanitizer into every load and
// store: leaves would be none. Build without -race, -msan and -asan.
var _ = ext_cannot_be_built_with_race_msan_or_asan
