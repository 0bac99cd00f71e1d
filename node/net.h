/* Links: TCP by libuv, bytes in and out. It knows addresses and connections and nothing of what is said on them.
 *
 * Each link has at most one uv_write outstanding; what is given to send meanwhile waits behind it. TCP_NODELAY, and TCP_NOTSENT_LOWAT of
 * 16 KiB, so that what has not left the machine stays in the engine, where a FLASH can still overtake it.
 */
#ifndef PL_NODE_NET_H
#define PL_NODE_NET_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "crypto/err.h"
#include "proto/limits.h"

struct pl_net;

struct pl_net_callbacks {
	void *ctx;
	/* Accepted (peer is PL_NODE_NONE) or dialled. */
	void (*up)(void *ctx, uint32_t link, uint16_t peer, uint64_t address_hash);
	/* Gone, not by pl_net_close(). A dial that failed: link is PL_LINK_NONE. */
	void (*down)(void *ctx, uint32_t link, uint16_t peer, const char *why);
	/* Borrowed until it returns. The link may be closed in it. */
	void (*bytes)(void *ctx, uint32_t link, const uint8_t *bytes, size_t count);
	/* All that was given to pl_net_send() has been written. Never from within pl_net_send(). */
	void (*sent)(void *ctx, uint32_t link);
};

PL_MUST_CHECK enum pl_err pl_net_new(uv_loop_t *loop, const struct pl_net_callbacks *callbacks, struct pl_net **out);
/* why: "127.0.0.1:7100 is in use…". May be called for several addresses; port 0 takes any free one: pl_net_port(). */
PL_MUST_CHECK enum pl_err pl_net_listen(struct pl_net *net, const char *address, char *why, size_t why_max);
uint16_t pl_net_port(const struct pl_net *net, int listener);
/* Tries the addresses in turn ("host:port"), for 5 s each; borrowed until up() or down(), of which one comes. Called again while a dial to this peer is
 * under way: leaves the connection that does not come about, goes on with the next address, and tries them all, this one too. What names of hosts
 * were found to be is kept and tried first. member: who chose the names, of whose one is looked up at a time. */
void pl_net_dial(struct pl_net *net, uint16_t peer, uint16_t member, const char *const *addresses, size_t addresses_count);
void pl_net_send(struct pl_net *net, uint32_t link, const uint8_t *bytes, size_t count); /* copied */
/* Closes when what was sent has been written, or after a second. No down() follows. */
void pl_net_close(struct pl_net *net, uint32_t link);
/* The remote address, "192.0.2.7:7100"; empty if the link is gone. */
void pl_net_address(const struct pl_net *net, uint32_t link, char out[PL_ADDRESS_BYTES_MAX + 1]);
/* Closes listeners and, as pl_net_close(), all links; then run the loop out; then free. */
void pl_net_shutdown(struct pl_net *net);
void pl_net_free(struct pl_net *net);

#endif
