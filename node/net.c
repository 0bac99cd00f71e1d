#include "node/net.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/net_impl.h"
#include "proto/charter.h"
#include "proto/engine.h"

#define BACKLOG 128
#define NOTSENT_BYTES 16384
#define CLOSE_MS 1000

enum pl_err pl_net_new(uv_loop_t *loop, const struct pl_net_callbacks *callbacks, struct pl_net **out)
{
	struct pl_net *net = calloc(1, sizeof(*net));

	if (!net)
		return PL_ERR_MEMORY;
	net->loop = loop;
	net->callbacks = *callbacks;
	uv_idle_init(loop, &net->turn);
	net->turn.data = net;
	*out = net;
	return PL_OK;
}

static struct link *link_find(const struct pl_net *net, uint32_t handle)
{
	for (struct link *link = net->links; link; link = link->next) {
		if (link->handle == handle && !link->closed)
			return link;
	}
	return NULL;
}

/* --- end of a link --- */

static void link_handle_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;

	if (--link->open_handles > 0)
		return;
	for (struct link **at = &link->net->links; *at; at = &(*at)->next) {
		if (*at == link) {
			*at = link->next;
			break;
		}
	}
	free(link->out);
	free(link->writing);
	free(link);
}

static void link_destroy(struct link *link)
{
	if (link->closed)
		return;
	link->closed = true;
	uv_close((uv_handle_t *)&link->tcp, link_handle_closed);
	uv_close((uv_handle_t *)&link->linger, link_handle_closed);
}

static void link_lost(struct link *link, const char *why)
{
	const bool told = link->closing || link->closed;
	struct pl_net *net = link->net;
	const uint32_t handle = link->handle;
	const uint16_t peer = link->peer;

	link_destroy(link);
	if (!told)
		net->callbacks.down(net->callbacks.ctx, handle, peer, why);
}

struct link *pl_link_new(struct pl_net *net, uint16_t peer)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	if (uv_tcp_init(net->loop, &link->tcp) != 0 || uv_timer_init(net->loop, &link->linger) != 0) {
		free(link);
		return NULL;
	}
	link->net = net;
	link->peer = peer;
	do {
		link->handle = net->next_handle++;
	} while (link->handle == PL_LINK_NONE || link_find(net, link->handle));
	link->tcp.data = link->linger.data = link;
	link->open_handles = 2;
	link->next = net->links;
	net->links = link;
	return link;
}

/* --- reading and writing --- */

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct link *link = handle->data;

	(void)suggested;
	*out = uv_buf_init((char *)link->net->read_buffer, PL_NET_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);

static void on_turn(uv_idle_t *turn)
{
	struct pl_net *net = turn->data;

	uv_idle_stop(turn);
	for (struct link *link = net->links; link; link = link->next) {
		if (link->rests && !link->closed)
			uv_read_start((uv_stream_t *)&link->tcp, give_buffer, on_read);
		link->rests = false;
	}
}

/* Whose buffer was full has more to read, of which libuv would take up to 32 more in a row. Whoever sends as fast as it can would have this thread
 * to itself for as long as that takes to work off; so the others have their turn first. */
static void rest(struct link *link)
{
	if (link->closed || link->net->shut)
		return;
	uv_read_stop((uv_stream_t *)&link->tcp);
	link->rests = true;
	uv_idle_start(&link->net->turn, on_turn);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct link *link = stream->data;
	struct pl_net *net = link->net;

	if (count < 0)
		link_lost(link, count == UV_EOF ? "the other side closed the connection" : uv_strerror((int)count));
	else if (count > 0 && !link->closing)
		net->callbacks.bytes(net->callbacks.ctx, link->handle, (const uint8_t *)buffer->base, (size_t)count);
	if (count == PL_NET_READ_BYTES)
		rest(link);
}

static void write_next(struct link *link);

static void on_written(uv_write_t *request, int status)
{
	struct link *link = request->data;
	struct pl_net *net = link->net;

	free(link->writing);
	link->writing = NULL;
	link->busy = false;
	if (link->closed)
		return;
	if (status < 0) {
		link_lost(link, uv_strerror(status));
		return;
	}
	if (link->out_count > 0)
		write_next(link);
	else if (link->closing)
		link_destroy(link);
	else
		net->callbacks.sent(net->callbacks.ctx, link->handle);
}

static void write_next(struct link *link)
{
	const uv_buf_t buffer = uv_buf_init((char *)link->out, (unsigned)link->out_count);

	link->writing = link->out;
	link->out = NULL;
	link->out_count = link->out_max = 0;
	link->busy = true;
	link->write.data = link;
	/* A failure that is known at once is told like one that shows later: by the read that fails too, or by the linger timer. */
	if (uv_write(&link->write, (uv_stream_t *)&link->tcp, &buffer, 1, on_written) != 0) {
		link->busy = false;
		free(link->writing);
		link->writing = NULL;
	}
}

void pl_net_send(struct pl_net *net, uint32_t handle, const uint8_t *bytes, size_t count)
{
	struct link *link = link_find(net, handle);

	if (!link || link->closing)
		return;
	if (link->out_max - link->out_count < count) {
		uint8_t *more = realloc(link->out, link->out_count + count);
		if (!more)
			return; /* the peer will notice, and so shall we: the hold timer ends the link */
		link->out = more;
		link->out_max = link->out_count + count;
	}
	memcpy(link->out + link->out_count, bytes, count);
	link->out_count += count;
	if (!link->busy)
		write_next(link);
}

static void on_linger(uv_timer_t *timer)
{
	link_destroy(timer->data);
}

void pl_net_close(struct pl_net *net, uint32_t handle)
{
	struct link *link = link_find(net, handle);

	if (!link || link->closing)
		return;
	link->closing = true;
	if (!link->busy)
		link_destroy(link);
	else
		uv_timer_start(&link->linger, on_linger, CLOSE_MS, 0);
}

static void set_options(struct link *link)
{
	uv_os_fd_t fd;
	const int lowat = NOTSENT_BYTES;

	uv_tcp_nodelay(&link->tcp, 1);
	if (uv_fileno((uv_handle_t *)&link->tcp, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
}

static uint64_t address_hash(const struct sockaddr_storage *address)
{
	const uint8_t *bytes;
	size_t count;
	uint64_t hash = 14695981039346656037ull; /* FNV-1a: only to count connections of one host, of which an attacker has many anyway */

	if (address->ss_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
		const bool is_v4 = IN6_IS_ADDR_V4MAPPED(in6); /* as they come to a socket that listens on [::] */
		bytes = (const uint8_t *)in6 + (is_v4 ? 12 : 0);
		count = is_v4 ? 4 : 8; /* a host has a /64 */
	} else {
		bytes = (const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr;
		count = 4;
	}
	for (size_t i = 0; i < count; i++)
		hash = (hash ^ bytes[i]) * 1099511628211ull;
	return hash;
}

bool pl_link_open(struct link *link, uint64_t *hash)
{
	struct sockaddr_storage remote = { 0 };
	int remote_bytes = sizeof(remote);

	set_options(link);
	if (uv_tcp_getpeername(&link->tcp, (struct sockaddr *)&remote, &remote_bytes) != 0 ||
	    uv_read_start((uv_stream_t *)&link->tcp, give_buffer, on_read) != 0)
		return false;
	*hash = address_hash(&remote);
	return true;
}

/* One that nobody has been told of. */
void pl_link_drop(struct link *link)
{
	link->closing = true;
	link_destroy(link);
}

/* --- listening --- */

static void on_connection(uv_stream_t *server, int status)
{
	struct listener *listener = server->data;

	if (status < 0)
		return; /* out of descriptors: libuv has taken and dropped it */
	struct pl_net *net = listener->net;
	struct link *link = pl_link_new(net, PL_NODE_NONE);
	uint64_t hash;
	if (!link)
		return;
	if (uv_accept(server, (uv_stream_t *)&link->tcp) != 0 || !pl_link_open(link, &hash))
		pl_link_drop(link);
	else
		net->callbacks.up(net->callbacks.ctx, link->handle, PL_NODE_NONE, hash);
}

static enum pl_err parse(const char *address, struct sockaddr_storage *out, char *why, size_t why_max)
{
	char host[PL_ADDRESS_BYTES_MAX + 1];
	uint16_t port;

	if (pl_address_split(address, host, sizeof(host), &port) != PL_OK) {
		snprintf(why, why_max, "%s is not an address; expected HOST:PORT, or [IPV6]:PORT", address);
		return PL_ERR_FORMAT;
	}
	if (uv_ip4_addr(host, port, (struct sockaddr_in *)out) == 0 || uv_ip6_addr(host, port, (struct sockaddr_in6 *)out) == 0)
		return PL_OK;
	snprintf(why, why_max, "%s is not a numeric address of this machine; listening needs one, such as 0.0.0.0:7100", address);
	return PL_ERR_FORMAT;
}

enum pl_err pl_net_listen(struct pl_net *net, const char *address, char *why, size_t why_max)
{
	struct sockaddr_storage addr = { 0 };
	enum pl_err err = parse(address, &addr, why, why_max);

	if (err != PL_OK)
		return err;
	if (net->listeners_count == PL_LISTEN_MAX)
		return PL_ERR_LIMIT;
	struct listener *listener = &net->listeners[net->listeners_count];
	listener->net = net;
	int status = uv_tcp_init(net->loop, &listener->tcp);
	if (status != 0)
		goto failed;
	net->listeners_count++;
	listener->tcp.data = listener;
	status = uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&addr, 0);
	if (status == 0)
		status = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
	if (status == 0)
		return PL_OK;
failed:
	if (status == UV_EADDRINUSE)
		snprintf(why, why_max, "cannot listen on %s: the port is in use; stop what uses it or choose another (listen = in parley.conf)", address);
	else
		snprintf(why, why_max, "cannot listen on %s: %s", address, uv_strerror(status));
	return status == UV_EADDRINUSE ? PL_ERR_EXISTS : PL_ERR_IO;
}

uint16_t pl_net_port(const struct pl_net *net, int listener)
{
	struct sockaddr_storage local = { 0 };
	int local_bytes = sizeof(local);

	if (listener >= net->listeners_count || uv_tcp_getsockname(&net->listeners[listener].tcp, (struct sockaddr *)&local, &local_bytes) != 0)
		return 0;
	return ntohs(local.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&local)->sin6_port : ((struct sockaddr_in *)&local)->sin_port);
}

void pl_net_address(const struct pl_net *net, uint32_t handle, char out[PL_ADDRESS_BYTES_MAX + 1])
{
	const struct link *link = link_find(net, handle);
	struct sockaddr_storage remote = { 0 };
	int remote_bytes = sizeof(remote);
	char host[64] = "";

	out[0] = '\0';
	if (!link || uv_tcp_getpeername(&link->tcp, (struct sockaddr *)&remote, &remote_bytes) != 0)
		return;
	if (remote.ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&remote;
		uv_ip6_name(a, host, sizeof(host));
		snprintf(out, PL_ADDRESS_BYTES_MAX + 1, "[%s]:%u", host, ntohs(a->sin6_port));
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)&remote;
		uv_ip4_name(a, host, sizeof(host));
		snprintf(out, PL_ADDRESS_BYTES_MAX + 1, "%s:%u", host, ntohs(a->sin_port));
	}
}

void pl_net_shutdown(struct pl_net *net)
{
	if (net->shut)
		return;
	net->shut = true;
	for (int i = 0; i < net->listeners_count; i++)
		uv_close((uv_handle_t *)&net->listeners[i].tcp, NULL);
	uv_close((uv_handle_t *)&net->turn, NULL);
	pl_dials_end(net);
	pl_names_end(net);
	for (struct link *link = net->links; link; link = link->next) {
		if (!link->closing)
			pl_net_close(net, link->handle);
	}
}

void pl_net_free(struct pl_net *net)
{
	pl_names_free(net);
	free(net);
}
