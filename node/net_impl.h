/* What net.c (links) and net_dial.c (how they come about from this side) share. */
#ifndef PL_NODE_NET_IMPL_H
#define PL_NODE_NET_IMPL_H

#include "node/conf.h"
#include "node/net.h"

#define PL_NET_READ_BYTES 16384 /* of a link in one turn of the loop */

struct dial;
struct look_up;

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

/* Either a name is being looked up, or a link is being made, and timer runs. */
struct dial {
	struct pl_net *net;
	struct dial *next;
	uint16_t peer;
	const char *const *addresses;
	size_t count, at, left;    /* left: addresses to be tried, the one at hand too */
	uv_timer_t timer;
	struct look_up *look_up;
	struct link *link;
	struct addrinfo *found, *next_found; /* of the address at hand; NULL: not looked up */
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

#endif
