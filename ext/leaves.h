/* SPDX-License-Identifier: Apache-2.0 */

/* The list of leaves: Go functions that C calls without the Go runtime. The stubs (stubs_*.S), their
 * prototypes (leaf.h) and the hand-over table (leaves.go) all come from this one list.
 *
 * PUBLIC(name, kind): the exported function is the stub itself. kind is RAW where the result goes to the caller as it is,
 * INT where a negative one is a negated errno value, to be turned into -1 and errno, and ELSE_n where a negative one and
 * the first n arguments go to vx_else_<name>, which has the last word.
 * LEAF(name): for the C in this folder only, as vx_leaf_<name>. Every PUBLIC one has such a stub, too. */
#define VX_LEAVES(PUBLIC, LEAF) \
	PUBLIC(queue_push, ELSE_2) \
	PUBLIC(queue_pull, INT) \
	PUBLIC(queue_push_many, INT) \
	PUBLIC(queue_pull_many, INT) \
	PUBLIC(queue_available, RAW) \
	PUBLIC(sample_alloc, ELSE_0) \
	PUBLIC(sample_get, INT) \
	PUBLIC(sample_put, ELSE_1) \
	PUBLIC(sample_get_many, INT) \
	PUBLIC(sample_set_data_format, INT) \
	PUBLIC(sample_get_data_format, INT) \
	PUBLIC(shmem_total_size, RAW) \
	PUBLIC(shmem_shared_blocks, INT) \
	PUBLIC(shmem_shared_read, ELSE_3) \
	PUBLIC(shmem_shared_write, ELSE_3) \
	PUBLIC(villas_pair_get, INT) \
	PUBLIC(villas_pair_put, ELSE_1) \
	LEAF(sample_release_many) \
	LEAF(sample_release) \
	LEAF(sample_stash) \
	LEAF(sample_stash_rest) \
	LEAF(sample_bring_home) \
	LEAF(queue_cells) \
	LEAF(queue_init) \
	LEAF(queue_destroy) \
	LEAF(queue_empty) \
	LEAF(pool_init) \
	LEAF(pool_destroy) \
	LEAF(pool_note_held) \
	LEAF(pool_holds) \
	LEAF(managed_init) \
	LEAF(managed_alloc) \
	LEAF(managed_free) \
	LEAF(region_format) \
	LEAF(region_attach) \
	LEAF(region_detach) \
	LEAF(region_enter) \
	LEAF(region_entered) \
	LEAF(region_enter_legacy) \
	LEAF(region_retire) \
	LEAF(region_program) \
	LEAF(pair_size) \
	LEAF(pair_format) \
	LEAF(pair_attach) \
	LEAF(pair_join) \
	LEAF(pair_alloc) \
	LEAF(pair_copy) \
	LEAF(channel_read) \
	LEAF(channel_write) \
	LEAF(channel_empty) \
	LEAF(channel_claimed) \
	LEAF(channel_skip)
