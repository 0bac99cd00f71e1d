/* What net.c (links), net_dial.c (how they come about from this side) and net_name.c (what hosts' names mean) share. */
#ifndef PL_NODE_NET_IMPL_H
#define PL_NODE_NET_IMPL_H

#include "node/conf.h"
#include "node/net.h"

#define PL_NET_READ_BYTES 16384 /* of a link in one turn of the loop */

struct dial;

/* Where a link can be made to. */
union place {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

#define PL_NAME_PLACES_MAX 8

/* An address of a member, as the charter or a peer line has it. They live as long as the net; there are as many as these have addresses. */
struct name {
	struct name *next;
	struct pl_net *net;
	uint16_t member;
	bool is_numeric;
	enum { PL_NAME_IDLE, PL_NAME_WAITS, PL_NAME_RUNS } state; /* of its look-up */
	uint64_t ticket;                                        /* WAITS: the lowest is next */
	uint64_t begun_ms, rests_until_ms;                      /* of the last look-up */
	int status;                                             /* of the last look-up: libuv's */
	uv_getaddrinfo_t request;
	size_t places_count;
	union place places[PL_NAME_PLACES_MAX];                 /* as last found; first the one that a link was made to last */
	char address[];
};

struct link {
	struct link *next;
	struct pl_net *net;
	uint32_t handle;
	uint16_t peer;
	uv_tcp_t tcp;
	uv_timer_t linger;
	uv_connect_t connect;
	struct dial *dial;         /* waits for it to connect; NULL: none, or none any more */
	uv_write_t write;
	uint8_t *out;              /* given to send and not yet with libuv */
	size_t out_count, out_max;
	uint8_t *writing;          /* with libuv */
	bool busy, closing, closed;
	bool rests;                /* reads on when the others have had their turn */
	uint8_t open_handles;      /* tcp and timer still known to the loop */
};

/* Either a name is waited for, or a link is being made, and timer runs. */
struct dial {
	struct pl_net *net;
	struct dial *next;
	uint16_t peer, member;
	const char *const *addresses;
	size_t count, at, left;    /* left: addresses to be tried, the one at hand too */
	uv_timer_t timer;
	struct link *link;
	struct name *name;         /* of the address at hand; NULL: not begun with it */
	bool waits;                /* for its look-up */
	size_t tried_count;
	union place tried[2 * PL_NAME_PLACES_MAX]; /* of the address at hand: of before the look-up, and what it found */
	char why[128];
};

struct listener {
	struct pl_net *net;
	uv_tcp_t tcp;
};

struct pl_net {
	uv_loop_t *loop;
	struct pl_net_callbacks callbacks;
	struct listener listeners[PL_LISTEN_MAX];
	int listeners_count;
	struct link *links;
	struct dial *dials;
	struct name *names;
	unsigned look_ups;         /* that run */
	uint64_t next_ticket;
	uint32_t next_handle;
	uv_idle_t turn;            /* active: some link rests */
	bool shut;
	uint8_t read_buffer[PL_NET_READ_BYTES]; /* one for all: what is read is worked off before the next read */
};

/* --- net.c --- */
struct link *pl_link_new(struct pl_net *net, uint16_t peer); /* NULL: out of memory */
/* Begins to read. False: the connection is gone already. */
bool pl_link_open(struct link *link, uint64_t *address_hash);
void pl_link_drop(struct link *link); /* one that nobody has been told of */

/* --- net_dial.c --- */
void pl_dials_end(struct pl_net *net); /* nobody is told */
void pl_dials_looked_up(struct pl_net *net, const struct name *name); /* its look-up has come to an end */

/* --- net_name.c --- */
struct name *pl_name_of(struct pl_net *net, uint16_t member, const char *address); /* NULL: it is no HOST:PORT, or out of memory */
/* Has it looked up, unless that is under way, was so lately, or is not needed. */
void pl_name_ask(struct name *name);
bool pl_place_is_same(const union place *a, const union place *b);
void pl_name_prefer(struct name *name, const union place *place); /* a link was made there */
void pl_name_why_not(const struct name *name, char *out, size_t out_max); /* nothing is known of where it is */
void pl_names_end(struct pl_net *net);
void pl_names_free(struct pl_net *net);

#endif
