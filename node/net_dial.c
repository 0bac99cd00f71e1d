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

/* Where what was known of a name has led nowhere, its look-up may show within this time that the host has moved. Otherwise the next dial sees. */
#define REFRESH_MS_MAX 1000

static void dial_step(struct dial *dial);

static void dial_closed(uv_handle_t *timer)
{
	free(timer->data);
}

/* Leaves what is under way; nothing more is heard of it. */
static void dial_leave(struct dial *dial)
{
	uv_timer_stop(&dial->timer);
	dial->waits = false;
	if (dial->link) {
		struct link *link = dial->link;
		dial->link = NULL;
		link->dial = NULL;
		pl_link_drop(link); /* its connect is cancelled */
	}
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
	uv_close((uv_handle_t *)&dial->timer, dial_closed);
}

static void dial_next_address(struct dial *dial)
{
	dial->name = NULL;
	dial->tried_count = 0;
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
	const bool was_name = dial->waits;

	if (!was_name)
		dial_says(dial, "no answer within 5 s");
	else if (dial->tried_count == 0)
		pl_name_why_not(dial->name, dial->why, sizeof(dial->why));
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
	pl_name_prefer(dial->name, &dial->tried[dial->tried_count - 1]);
	dial_end(dial);
	link->net->callbacks.up(link->net->callbacks.ctx, link->handle, link->peer, hash);
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

/* One of the places of the address at hand that has not been tried; NULL: none. */
static const union place *next_place(const struct dial *dial)
{
	const struct name *name = dial->name;

	for (size_t i = 0; i < name->places_count; i++) {
		bool is_tried = dial->tried_count == sizeof(dial->tried) / sizeof(dial->tried[0]);
		for (size_t k = 0; k < dial->tried_count && !is_tried; k++)
			is_tried = pl_place_is_same(&dial->tried[k], &name->places[i]);
		if (!is_tried)
			return &name->places[i];
	}
	return NULL;
}

static void dial_begin_name(struct dial *dial)
{
	dial->name = pl_name_of(dial->net, dial->member, dial->addresses[dial->at]);
	if (dial->name)
		pl_name_ask(dial->name);
}

/* The next thing to try: another place of this name, or the next address. */
static void dial_step(struct dial *dial)
{
	while (dial->left > 0) {
		if (!dial->name)
			dial_begin_name(dial);
		const union place *place = dial->name ? next_place(dial) : NULL;
		if (place) {
			dial->tried[dial->tried_count++] = *place;
			if (!connect_to(dial, &place->any))
				continue;
			uv_timer_start(&dial->timer, on_dial_slow, DIAL_MS_MAX, 0);
			return;
		}
		if (dial->name && dial->name->state != PL_NAME_IDLE) {
			dial->waits = true;
			uv_timer_start(&dial->timer, on_dial_slow, dial->tried_count > 0 ? REFRESH_MS_MAX : DIAL_MS_MAX, 0);
			return;
		}
		if (dial->name && dial->tried_count == 0)
			pl_name_why_not(dial->name, dial->why, sizeof(dial->why));
		dial_next_address(dial);
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

void pl_dials_looked_up(struct pl_net *net, const struct name *name)
{
	for (struct dial *dial = net->dials; dial;) {
		if (!dial->waits || dial->name != name) {
			dial = dial->next;
			continue;
		}
		dial_leave(dial);
		dial_step(dial);
		dial = net->dials; /* whoever is told may have begun or ended some */
	}
}

void pl_net_dial(struct pl_net *net, uint16_t peer, uint16_t member, const char *const *addresses, size_t addresses_count)
{
	struct dial *dial = dial_find(net, peer);

	if (dial) {
		/* Not from the first address, so that each has its turn however often this is called. A name that is waited for comes no sooner for being
		 * asked for again. */
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
	dial->member = member;
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
