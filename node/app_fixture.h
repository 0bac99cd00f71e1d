/* For tests of the application: several nodes in one process, each with its own store on disk, its own API socket and the whole
 * application, on one loop. The network between them is the test's: an entry goes from one node to another when the test says so, in lane
 * order.
 *
 * The core is a small one of our own: clocks that the test moves, lanes that it holds back, submissions that it makes fail. What the real
 * core adds (links, catch-up, draining) is not here; core_test.c and tests/integration have it.
 *
 *   app_fixture.c        the nodes' lives, what a test turns, and waiting
 *   app_core_fixture.c   the core and the network
 *   app_store_fixture.c  looking into a node's store
 *   app_api_fixture.c    calls of the API, events, and the check against openapi.json
 */
#ifndef PL_NODE_APP_FIXTURE_H
#define PL_NODE_APP_FIXTURE_H

#include <jansson.h>

#include "node/app_parts.h"
#include "tests/fixture.h"

#define FIX_NODES_MAX 80

struct fix;

/* members of one node each (or more). Nothing runs before fix_start(). */
struct fix *fix_new(unsigned members, unsigned nodes_per_member);
void fix_free(struct fix *fix);
void fix_start(struct fix *fix, uint16_t node);
void fix_start_all(struct fix *fix, unsigned nodes); /* and waits until they know each other's keys */
void fix_stop(struct fix *fix, uint16_t node);       /* in order */
bool fix_start_fails(struct fix *fix, uint16_t node, const char *why); /* with another store key: the application refuses, and says this */
uv_loop_t *fix_loop(struct fix *fix);
const char *fix_socket(struct fix *fix, uint16_t node);
struct pl_core *fix_core(struct fix *fix, uint16_t node);
struct pl_app *fix_app(struct fix *fix, uint16_t node);
const struct pl_charter *fix_charter(struct fix *fix);

/* Clocks, of all nodes: both go on by ms at once. */
void fix_advance(struct fix *fix, uint64_t ms);
void fix_wall_jump(struct fix *fix, int64_t ms); /* the wall clock alone */
uint64_t fix_wall(const struct fix *fix);

/* Whether entries of this author and lane reach this node from now on (and those held back until now). At first all do. */
void fix_pass(struct fix *fix, uint16_t author, uint8_t lane, uint16_t to, bool pass);
/* Whether this node's application gets entries at all: off as if it were killed after the store's commit. */
void fix_deliver(struct fix *fix, uint16_t node, bool deliver);
/* Submissions of this node fail at once with this error. */
void fix_refuse(struct fix *fix, uint16_t node, enum pl_err err);
/* How much bulk may take of the disk at once, 0: it waits; as much as it likes from the start. */
void fix_room(struct fix *fix, uint16_t node, uint64_t bytes);
/* How much of each lane of one member the node's engine takes. */
void fix_share(struct fix *fix, uint16_t node, uint64_t lane_bytes_max);
void fix_lanes(struct fix *fix, uint16_t node, uint8_t lanes); /* for how many lanes there is said to be room */
/* The courier key that two nodes share. */
void fix_courier(struct fix *fix, uint16_t a, uint16_t b, const uint8_t key[32]);
void fix_courier_one(struct fix *fix, uint16_t at, uint16_t with, const uint8_t key[32]); /* at one end only */
/* An entry as a faulty or hostile author would write it: any body of any kind, signed in this node's name. */
void fix_forge(struct fix *fix, uint16_t author, uint8_t lane, uint8_t kind, uint8_t flags, const void *body, size_t body_bytes);

/* The same with an envelope to these nodes. Returns the entry's seq in its lane. */
uint64_t fix_forge_sealed(struct fix *fix, uint16_t author, uint8_t lane, uint8_t kind, uint8_t flags, const uint16_t *nodes,
                          uint16_t nodes_count,
                          const void *plain, size_t plain_bytes);

const uint8_t *fix_last_cek(const struct fix *fix); /* of the last one */

/* Runs the loop until nothing is under way between nodes and nothing is left to do in a moment, or until until() says so; fails the test
 * after 20 s. */
void fix_settle(struct fix *fix);
void fix_until(struct fix *fix, bool (*until)(void *ctx), void *ctx);

/* One call of the API, to its end. body: JSON taken over, or NULL. Fails the test unless the status is this one. The reply's JSON;
 * json_decref(). */
json_t *fix_call(struct fix *fix, uint16_t node, const char *method, const char *path, json_t *body, int status);
/* The same with any bytes; *out is malloc'd. Returns the status. */
int fix_call_bytes(struct fix *fix, uint16_t node, const char *method, const char *path, const void *body, size_t body_bytes, uint8_t **out,
                   size_t *count);
/* Calls whose requests are all there before the first reply. Fills in the replies; free() each. */
#define FIX_TOGETHER_MAX 8
struct fix_together {
	const char *method, *path;
	const void *body;
	size_t body_bytes;
	int status;
	uint8_t *reply; /* with a NUL behind it */
	size_t reply_bytes;
};
void fix_call_together(struct fix *fix, uint16_t node, struct fix_together *calls, size_t calls_count);
/* Posts, runs until the node has submitted something, and stops the node; the status of the reply, 0 if there came none. */
int fix_post_and_stop(struct fix *fix, uint16_t node, const char *path, const char *body);
/* A client of GET /v1/events: what it has heard so far, since it began. */
struct fix_stream;
struct fix_stream *fix_follow(struct fix *fix, uint16_t node);
const char *fix_heard(struct fix *fix, struct fix_stream *stream);
void fix_unfollow(struct fix_stream *stream);
/* Asserts that json at "a.b.0.c" is this string (or number in digits, true, false, null). */
void fix_expect(const json_t *json, const char *where, const char *value);
const char *fix_string(const json_t *json, const char *where);

/* What keeps json from being what this schema of openapi.json describes, with the place; NULL if it is. free(). */
char *fix_fault(const json_t *openapi, const char *schema, const json_t *json);
/* A value of the store, by SQL, read while the node is stopped or running. -1 without a row. */
int64_t fix_sql(struct fix *fix, uint16_t node, const char *sql);
void fix_await(struct fix *fix, uint16_t node, const char *sql, int64_t value); /* settles, and goes on until it has become this */
void fix_blob(struct fix *fix, uint16_t node, const char *sql, void *out, size_t count);
unsigned fix_failures(struct fix *fix, uint16_t node); /* how often the store has said that it is full */
unsigned fix_damaged(struct fix *fix, uint16_t node);  /* how often that the disk has changed an entry */
/* Whether bytes occur in the node's store files. */
bool fix_on_disk(struct fix *fix, uint16_t node, const void *bytes, size_t count);

#endif
