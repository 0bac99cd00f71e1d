/* Inside the fixture of the application: what its files share. app_fixture.h says which does what. */
#ifndef PL_NODE_APP_FIXTURE_IMPL_H
#define PL_NODE_APP_FIXTURE_IMPL_H

#include <criterion/criterion.h>

#include "node/app_fixture.h"
#include "node/thread.h"

#define FIX_GIVE_UP_MS 20000

struct submission {
	struct submission *next;
	uint8_t lane;
	uint64_t seq;
	pl_submit_done done;
	void *ctx;
};

/* A copy of an entry, waiting for its turn. */
struct parcel {
	struct parcel *next;
	struct pl_store_entry entry;
	uint8_t body[];
};

struct lane {
	struct parcel *first, *last; /* for the application */
	struct parcel *in_hand;      /* what it has, while busy */
	bool busy;
	uint64_t applied;
};

struct pl_core {
	struct fix *fix;
	uint16_t self;
	bool running, deliver;
	enum pl_err refuse;
	char dir[70], store_path[80], socket_path[80];
	struct pl_store *store;
	struct pl_http *http;
	struct pl_engine *engine;
	void *engine_memory;
	struct pl_app *app;
	struct pl_conf conf;
	struct pl_node_keys keys;
	struct submission *submissions;
	struct lane lanes[PL_NODES_MAX][PL_LANES];
	uint64_t heads[PL_NODES_MAX][PL_LANES]; /* appended to the store */
	uint8_t *courier[PL_NODES_MAX];
	unsigned store_failures, store_damaged;
	uint64_t room_bytes; /* that bulk may take at once */
	uint8_t lanes_with_room;
};

/* What an author has written in a lane. */
struct log {
	struct parcel **parcels;
	size_t count, room;
};

struct fix {
	uv_loop_t loop;
	uv_thread_t loop_thread;
	char dir[64];
	struct pl_fixture *net;
	struct pl_core *cores[FIX_NODES_MAX];
	uint64_t ahead_ms; /* of the loop's own clock */
	uint64_t begun_ms, wall_off_ms;
	struct log logs[FIX_NODES_MAX][PL_LANES];
	bool blocked[FIX_NODES_MAX][PL_LANES][FIX_NODES_MAX]; /* author, lane, to */
	uint64_t busy; /* counts everything that happens */
	unsigned barriers;
	uint8_t cek[PL_CEK_BYTES];
};

/* --- app_core_fixture.c --- */

/* The engine takes an event, now. */
void fix_step(struct pl_core *core, struct pl_event *event);
/* An entry for the application, in its turn. */
void fix_offer(struct pl_core *core, const struct pl_store_entry *entry);
/* Gives the application what waits for it. */
void fix_pump(struct pl_core *core, uint16_t node, uint8_t lane);
/* Gives a node's store what an author has written and it lacks. */
void fix_catch_up(struct fix *fix, uint16_t author, uint8_t lane, uint16_t to);
extern const struct pl_store_callbacks fix_store_callbacks; /* ctx is the core */

/* --- app_fixture.c --- */

/* As fix_until(), or until it is quiet if until is NULL. */
void fix_turn(struct fix *fix, bool (*until)(void *ctx), void *ctx);

#endif
