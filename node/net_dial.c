/* Dialling: a peer's addresses in turn, each looked up by name and then connected to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/net_impl.h"
#include "proto/charter.h"
#include "proto/engine.h"

/* To find an address by its name, and to connect to it. TCP asks at once, after 1 s and after 3 s; who has not answered a third time is away, or
 * something on the way swallows what we send, and the kernel would go on asking for two minutes, for which the next address must not wait. */
#define DIAL_MS_MAX 5000

/* A name that is being looked up. That cannot be stopped, and so it outlives a dial that has no more time for it. */
struct look_up {
	uv_getaddrinfo_t request;
	struct dial *dial; /* NULL: nobody waits for it any more */
};

static void dial_step(struct dial *dial);

static void dial_closed(uv_handle_t *timer)
{
	free(timer->data);
}

/* Leaves what is under way; nothing more is heard of it. */
static void dial_leave(struct dial *dial)
{
	uv_timer_stop(&dial->timer);
	if (dial->look_up) {
		dial->look_up->dial = NULL;
		uv_cancel((uv_req_t *)&dial->look_up->request); /* where it has begun, it comes to its end by itself */
		dial->look_up = NULL;
	}
	if (dial->link) {
		struct link *link = dial->link;
		dial->link = NULL;
		link->dial = NULL;
		pl_link_drop(link); /* its connect is cancelled */
	}
}

static void dial_forget_found(struct dial *dial)
{
	if (dial->found)
		uv_freeaddrinfo(dial->found);
	dial->found = dial->next_found = NULL;
}

static void dial_end(struct dial *dial)
{
	for (struct dial **at = &dial->net->dials; *at; at = &(*at)->next) {
		if (*at == dial) {
			*at = dial->next;
			break;
		}
	}
	dial_leave(dial);
	dial_forget_found(dial);
	uv_close((uv_handle_t *)&dial->timer, dial_closed);
}

static void dial_next_address(struct dial *dial)
{
	dial_forget_found(dial);
	dial->at = (dial->at + 1) % dial->count;
	dial->left--;
}

static void dial_says(struct dial *dial, const char *why)
{
	snprintf(dial->why, sizeof(dial->why), "%s: %s", dial->addresses[dial->at], why);
}

static void on_dial_slow(uv_timer_t *timer)
{
	struct dial *dial = timer->data;
	const bool was_name = dial->look_up;

	dial_says(dial, was_name ? "its name is not found within 5 s" : "no answer within 5 s");
	dial_leave(dial);
	if (was_name)
		dial_next_address(dial);
	dial_step(dial);
}

static void on_connected(uv_connect_t *request, int status)
{
	struct link *link = request->data;
	struct dial *dial = link->dial;
	uint64_t hash;

	if (!dial)
		return; /* and the link is being closed */
	link->dial = NULL;
	dial->link = NULL;
	uv_timer_stop(&dial->timer);
	if (status != 0 || !pl_link_open(link, &hash)) {
		dial_says(dial, status != 0 ? uv_strerror(status) : "the connection did not hold");
		pl_link_drop(link);
		dial_step(dial);
		return;
	}
	dial_end(dial);
	link->net->callbacks.up(link->net->callbacks.ctx, link->handle, link->peer, hash);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct look_up *look_up = request->data;
	struct dial *dial = look_up->dial;

	free(look_up);
	if (!dial) {
		if (status == 0)
			uv_freeaddrinfo(found);
		return;
	}
	dial->look_up = NULL;
	uv_timer_stop(&dial->timer);
	if (status != 0)
		dial_says(dial, uv_strerror(status));
	dial->found = dial->next_found = status == 0 ? found : NULL;
	if (!dial->found)
		dial_next_address(dial);
	dial_step(dial);
}

static bool connect_to(struct dial *dial, const struct sockaddr *address)
{
	struct link *link = pl_link_new(dial->net, dial->peer);

	if (!link)
		return false;
	link->connect.data = link;
	const int status = uv_tcp_connect(&link->connect, &link->tcp, address, on_connected);
	if (status != 0) {
		dial_says(dial, uv_strerror(status));
		pl_link_drop(link);
		return false;
	}
	link->dial = dial;
	dial->link = link;
	return true;
}

static bool look_up(struct dial *dial)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	char host[PL_ADDRESS_BYTES_MAX + 1], service[8];
	uint16_t port;

	if (pl_address_split(dial->addresses[dial->at], host, sizeof(host), &port) != PL_OK)
		return false;
	snprintf(service, sizeof(service), "%u", port);
	struct look_up *look_up = calloc(1, sizeof(*look_up));
	if (!look_up)
		return false;
	look_up->request.data = look_up;
	if (uv_getaddrinfo(dial->net->loop, &look_up->request, on_resolved, host, service, &hints) != 0) {
		free(look_up);
		return false;
	}
	look_up->dial = dial;
	dial->look_up = look_up;
	return true;
}

/* The next thing to try: another result of this name, or the next address. */
static void dial_step(struct dial *dial)
{
	while (dial->left > 0) {
		bool begun;
		if (dial->found && !dial->next_found) {
			dial_next_address(dial);
			continue;
		}
		if (dial->found) {
			const struct sockaddr *address = dial->next_found->ai_addr;
			dial->next_found = dial->next_found->ai_next;
			begun = connect_to(dial, address);
		} else {
			begun = look_up(dial);
			if (!begun)
				dial_next_address(dial);
		}
		if (begun) {
			uv_timer_start(&dial->timer, on_dial_slow, DIAL_MS_MAX, 0);
			return;
		}
	}
	struct pl_net *net = dial->net;
	const uint16_t peer = dial->peer;
	char why[sizeof(dial->why)];
	memcpy(why, dial->why, sizeof(why));
	dial_end(dial);
	net->callbacks.down(net->callbacks.ctx, PL_LINK_NONE, peer, why);
}

static struct dial *dial_find(const struct pl_net *net, uint16_t peer)
{
	for (struct dial *dial = net->dials; dial; dial = dial->next) {
		if (dial->peer == peer)
			return dial;
	}
	return NULL;
}

void pl_net_dial(struct pl_net *net, uint16_t peer, const char *const *addresses, size_t addresses_count)
{
	struct dial *dial = dial_find(net, peer);

	if (dial) {
		/* Not from the first address, so that each has its turn however often this is called. A name that is being looked up comes no sooner for
		 * being asked for again. */
		dial->left = dial->link ? dial->count + 1 : dial->count;
		if (dial->link) {
			dial_leave(dial);
			dial_step(dial);
		}
		return;
	}
	dial = calloc(1, sizeof(*dial));
	if (!dial) {
		net->callbacks.down(net->callbacks.ctx, PL_LINK_NONE, peer, "out of memory");
		return;
	}
	dial->net = net;
	dial->peer = peer;
	dial->addresses = addresses;
	dial->count = dial->left = addresses_count;
	snprintf(dial->why, sizeof(dial->why), "no address");
	uv_timer_init(net->loop, &dial->timer);
	dial->timer.data = dial;
	dial->next = net->dials;
	net->dials = dial;
	dial_step(dial);
}

void pl_dials_end(struct pl_net *net)
{
	while (net->dials)
		dial_end(net->dials);
}
