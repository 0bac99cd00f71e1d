/* For tests of the store: a directory of one's own, and a loop that counts what the store reports. */
#ifndef PL_NODE_STORE_FIXTURE_H
#define PL_NODE_STORE_FIXTURE_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/store/store.h"
#include "node/store/store_sample.h"

struct fixture {
	char dir[64], path[96], why[256];
	uv_loop_t loop;
	struct pl_store *store;
	struct pl_store_callbacks callbacks;
	size_t stored, failed, ready, loaded, loaded_entries, damaged, repaired;
	uint64_t damaged_seq;
	uint8_t damaged_id[PL_ID_BYTES];
	uint64_t order[4096]; /* (node << 56 | lane << 48 | seq) in the order reported */
	enum pl_err failure, load_err;
	char failure_why[256];
};

static inline void fixture_stored(void *ctx, const struct pl_store_entry *entries, size_t count)
{
	struct fixture *f = ctx;

	for (size_t i = 0; i < count; i++, f->stored++)
		if (f->stored < sizeof(f->order) / sizeof(f->order[0]))
			f->order[f->stored] = (uint64_t)entries[i].node << 56 | (uint64_t)entries[i].lane << 48 | entries[i].seq;
}

static inline void fixture_failed(void *ctx, enum pl_err err, const char *why)
{
	struct fixture *f = ctx;

	f->failed++;
	f->failure = err;
	snprintf(f->failure_why, sizeof(f->failure_why), "%s", why);
}

static inline void fixture_ready(void *ctx)
{
	((struct fixture *)ctx)->ready++;
}

static inline void fixture_loaded(void *ctx, uint32_t token, enum pl_err err, const struct pl_stored_entry *entries, size_t count)
{
	struct fixture *f = ctx;

	(void)token;
	(void)entries;
	f->loaded++;
	f->load_err = err;
	f->loaded_entries += count;
}

static inline void fixture_damaged(void *ctx, uint16_t node, uint8_t lane, uint64_t seq, const uint8_t id[PL_ID_BYTES])
{
	struct fixture *f = ctx;

	(void)node;
	(void)lane;
	f->damaged++;
	f->damaged_seq = seq;
	memcpy(f->damaged_id, id, PL_ID_BYTES);
}

static inline void fixture_repaired(void *ctx, uint16_t node, uint8_t lane, uint64_t seq)
{
	(void)node;
	(void)lane;
	(void)seq;
	((struct fixture *)ctx)->repaired++;
}

static inline void fixture_init(struct fixture *f, const char *base)
{
	memset(f, 0, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "%s/parley-store-XXXXXX", base);
	cr_assert_not_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/store.db", f->dir);
	f->callbacks = (struct pl_store_callbacks){f, fixture_stored, fixture_failed, fixture_ready, fixture_loaded, fixture_damaged,
	                                          fixture_repaired};
	cr_assert_eq(uv_loop_init(&f->loop), 0);
}

static inline enum pl_err fixture_open(struct fixture *f)
{
	return pl_store_open(f->path, sample_network, sample_self, &f->store, f->why, sizeof(f->why));
}

static inline void fixture_start(struct fixture *f)
{
	enum pl_err err = fixture_open(f);

	cr_assert_eq(err, PL_OK, "%s: %s", pl_err_str(err), f->why);
	cr_assert_eq(pl_store_start(f->store, &f->loop, &f->callbacks), PL_OK);
}

static inline void fixture_close(struct fixture *f)
{
	pl_store_close(f->store);
	f->store = NULL;
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

/* Turns the loop until *count reaches this. */
static inline void fixture_await(struct fixture *f, const size_t *count, size_t target)
{
	while (*count < target)
		uv_run(&f->loop, UV_RUN_ONCE);
}

static inline enum pl_err fixture_append(struct fixture *f, uint16_t node, uint8_t lane, uint64_t seq, uint32_t body_bytes, bool urgent)
{
	struct pl_store_entry entry;
	uint8_t *body = malloc(body_bytes + 1);
	enum pl_err err;

	cr_assert_not_null(body);
	sample_entry(&entry, body, body_bytes, node, lane, seq);
	entry.urgent = urgent;
	err = pl_store_append(f->store, &entry);
	free(body);
	return err;
}

static inline void fixture_dispose(struct fixture *f)
{
	char name[512];
	struct dirent *item;
	DIR *dir;

	if (f->store)
		fixture_close(f);
	uv_loop_close(&f->loop);
	dir = opendir(f->dir);
	while (dir && (item = readdir(dir))) {
		snprintf(name, sizeof(name), "%s/%s", f->dir, item->d_name);
		unlink(name);
	}
	if (dir)
		closedir(dir);
	rmdir(f->dir);
}

#endif
