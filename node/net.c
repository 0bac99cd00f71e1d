#include "node/net.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/conf.h"
#include "proto/charter.h"
#include "proto/engine.h"

#define READ_BYTES 65536
#define BACKLOG 128
#define NOTSENT_BYTES 16384
#define CLOSE_MS 1000

struct link {
	struct link *next;
	struct pl_net *net;
	uint32_t handle;
	uint16_t peer;
	uv_tcp_t tcp;
	uv_timer_t linger;
	uv_write_t write;
	uint8_t *out;              /* given to send and not yet with libuv */
	size_t out_count, out_max;
	uint8_t *writing;          /* with libuv */
	bool busy, closing, closed;
	uint8_t open_handles;      /* tcp and timer still known to the loop */
};

struct dial {
	struct pl_net *net;
	struct dial *next;
	uint16_t peer;
	const char *const *addresses;
	size_t count, at;
	struct link *link;         /* under way */
	struct addrinfo *found, *next_found;
	uv_getaddrinfo_t resolve;
	uv_connect_t connect;
	bool abandoned;
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
	bool shut;
	uint8_t read_buffer[READ_BYTES]; /* one for all: what is read is worked off before the next read */
};

enum pl_err pl_net_new(uv_loop_t *loop, const struct pl_net_callbacks *callbacks, struct pl_net **out)
{
	struct pl_net *net = calloc(1, sizeof *net);

	if (!net)
		return PL_ERR_MEMORY;
	net->loop = loop;
	net->callbacks = *callbacks;
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

static struct link *link_new(struct pl_net *net, uint16_t peer)
{
	struct link *link = calloc(1, sizeof *link);

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
	*out = uv_buf_init((char *)link->net->read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct link *link = stream->data;
	struct pl_net *net = link->net;

	if (count < 0)
		link_lost(link, count == UV_EOF ? "the other side closed the connection" : uv_strerror((int)count));
	else if (count > 0 && !link->closing)
		net->callbacks.bytes(net->callbacks.ctx, link->handle, (const uint8_t *)buffer->base, (size_t)count);
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
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
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

static bool link_open(struct link *link)
{
	struct sockaddr_storage remote = { 0 };
	int remote_bytes = sizeof remote;

	set_options(link);
	if (uv_tcp_getpeername(&link->tcp, (struct sockaddr *)&remote, &remote_bytes) != 0 ||
	    uv_read_start((uv_stream_t *)&link->tcp, give_buffer, on_read) != 0)
		return false;
	link->net->callbacks.up(link->net->callbacks.ctx, link->handle, link->peer, address_hash(&remote));
	return true;
}

/* --- listening --- */

static void on_connection(uv_stream_t *server, int status)
{
	struct listener *listener = server->data;

	if (status < 0)
		return; /* out of descriptors: libuv has taken and dropped it */
	struct link *link = link_new(listener->net, PL_NODE_NONE);
	if (!link)
		return;
	if (uv_accept(server, (uv_stream_t *)&link->tcp) != 0 || !link_open(link)) {
		link->closing = true;
		link_destroy(link);
	}
}

static enum pl_err parse(const char *address, struct sockaddr_storage *out, char *why, size_t why_max)
{
	char host[PL_ADDRESS_BYTES_MAX + 1];
	uint16_t port;

	if (pl_address_split(address, host, sizeof host, &port) != PL_OK) {
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
	int local_bytes = sizeof local;

	if (listener >= net->listeners_count || uv_tcp_getsockname(&net->listeners[listener].tcp, (struct sockaddr *)&local, &local_bytes) != 0)
		return 0;
	return ntohs(local.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&local)->sin6_port : ((struct sockaddr_in *)&local)->sin_port);
}

/* --- dialling --- */

static void dial_step(struct dial *dial);

static void dial_end(struct dial *dial)
{
	for (struct dial **at = &dial->net->dials; *at; at = &(*at)->next) {
		if (*at == dial) {
			*at = dial->next;
			break;
		}
	}
	if (dial->found)
		uv_freeaddrinfo(dial->found);
	free(dial);
}

static void on_connected(uv_connect_t *request, int status)
{
	struct dial *dial = request->data;
	struct link *link = dial->link;

	dial->link = NULL;
	if (dial->abandoned || status != 0 || link->closed) {
		if (status != 0)
			snprintf(dial->why, sizeof dial->why, "%s: %s", dial->addresses[dial->at], uv_strerror(status));
		link->closing = true;
		link_destroy(link);
		dial_step(dial);
		return;
	}
	dial_end(dial);
	if (!link_open(link))
		link_lost(link, "the connection did not hold");
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct dial *dial = request->data;

	if (status != 0)
		snprintf(dial->why, sizeof dial->why, "%s: %s", dial->addresses[dial->at], uv_strerror(status));
	dial->found = dial->next_found = status == 0 ? found : NULL;
	if (!dial->found)
		dial->at++;
	dial_step(dial);
}

static bool connect_to(struct dial *dial, const struct sockaddr *address)
{
	struct link *link = link_new(dial->net, dial->peer);

	if (!link)
		return false;
	dial->link = link;
	dial->connect.data = dial;
	const int status = uv_tcp_connect(&dial->connect, &link->tcp, address, on_connected);
	if (status == 0)
		return true;
	snprintf(dial->why, sizeof dial->why, "%s: %s", dial->addresses[dial->at], uv_strerror(status));
	dial->link = NULL;
	link->closing = true;
	link_destroy(link);
	return false;
}

/* The next thing to try: another result of this name, or the next address. */
static void dial_step(struct dial *dial)
{
	struct pl_net *net = dial->net;

	while (!dial->abandoned && dial->at < dial->count) {
		if (dial->found) {
			const struct addrinfo *info = dial->next_found;
			if (!info) {
				uv_freeaddrinfo(dial->found);
				dial->found = NULL;
				dial->at++;
				continue;
			}
			dial->next_found = info->ai_next;
			if (connect_to(dial, info->ai_addr))
				return;
			continue;
		}
		char host[PL_ADDRESS_BYTES_MAX + 1], service[8];
		uint16_t port;
		if (pl_address_split(dial->addresses[dial->at], host, sizeof host, &port) != PL_OK) {
			dial->at++;
			continue;
		}
		const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
		snprintf(service, sizeof service, "%u", port);
		dial->resolve.data = dial;
		if (uv_getaddrinfo(net->loop, &dial->resolve, on_resolved, host, service, &hints) == 0)
			return;
		dial->at++;
	}
	const uint16_t peer = dial->peer;
	const bool tell = !dial->abandoned;
	char why[sizeof dial->why];
	memcpy(why, dial->why, sizeof why);
	dial_end(dial);
	if (tell)
		net->callbacks.down(net->callbacks.ctx, PL_LINK_NONE, peer, why);
}

void pl_net_dial(struct pl_net *net, uint16_t peer, const char *const *addresses, size_t addresses_count)
{
	struct dial *dial = calloc(1, sizeof *dial);

	if (!dial) {
		net->callbacks.down(net->callbacks.ctx, PL_LINK_NONE, peer, "out of memory");
		return;
	}
	dial->net = net;
	dial->peer = peer;
	dial->addresses = addresses;
	dial->count = addresses_count;
	snprintf(dial->why, sizeof dial->why, "no address");
	dial->next = net->dials;
	net->dials = dial;
	dial_step(dial);
}

void pl_net_address(const struct pl_net *net, uint32_t handle, char out[PL_ADDRESS_BYTES_MAX + 1])
{
	const struct link *link = link_find(net, handle);
	struct sockaddr_storage remote = { 0 };
	int remote_bytes = sizeof remote;
	char host[64] = "";

	out[0] = '\0';
	if (!link || uv_tcp_getpeername(&link->tcp, (struct sockaddr *)&remote, &remote_bytes) != 0)
		return;
	if (remote.ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&remote;
		uv_ip6_name(a, host, sizeof host);
		snprintf(out, PL_ADDRESS_BYTES_MAX + 1, "[%s]:%u", host, ntohs(a->sin6_port));
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)&remote;
		uv_ip4_name(a, host, sizeof host);
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
	for (struct dial *dial = net->dials; dial; dial = dial->next) {
		dial->abandoned = true;
		if (dial->link) {
			dial->link->closing = true;
			link_destroy(dial->link); /* its connect is cancelled */
		} else {
			uv_cancel((uv_req_t *)&dial->resolve);
		}
	}
	for (struct link *link = net->links; link; link = link->next) {
		if (!link->closing)
			pl_net_close(net, link->handle);
	}
}

void pl_net_free(struct pl_net *net)
{
	free(net);
}
