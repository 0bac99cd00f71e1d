/* Names of hosts, and what was found for them. Whoever is in the charter chooses the names that are looked up, and one whose servers never
 * answer takes a thread for ten seconds and more each time. So:
 *
 *   - what a name was found to be is kept, and dialled at once: no link waits for a name that has been found before;
 *   - of the names of one member one is looked up at a time, and those of all members in turn;
 *   - a look-up that took long is paid for: its name rests for ten times as long.
 *
 * A numeric address is found without any of this. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/net_impl.h"
#include "proto/charter.h"

/* libuv gives names two of its four threads. What waits for one waits here, where its turn can be chosen and it is known not to have begun. */
#define LOOK_UPS_MAX 2
#define REST_FACTOR 10
#define REST_MS_MIN 5000
#define REST_MS_MAX 300000

/* False: the address has no HOST:PORT. */
static bool split(const char *address, char host[PL_ADDRESS_BYTES_MAX + 1], uint16_t *port)
{
	return pl_address_split(address, host, PL_ADDRESS_BYTES_MAX + 1, port) == PL_OK;
}

struct name *pl_name_of(struct pl_net *net, uint16_t member, const char *address)
{
	char host[PL_ADDRESS_BYTES_MAX + 1];
	uint16_t port;

	for (struct name *name = net->names; name; name = name->next) {
		if (name->member == member && strcmp(name->address, address) == 0)
			return name;
	}
	if (!split(address, host, &port))
		return NULL;
	struct name *name = calloc(1, sizeof(*name) + strlen(address) + 1);
	if (!name)
		return NULL;
	name->net = net;
	name->member = member;
	name->request.data = name;
	memcpy(name->address, address, strlen(address) + 1);
	name->is_numeric = uv_ip4_addr(host, port, &name->places[0].in) == 0 || uv_ip6_addr(host, port, &name->places[0].in6) == 0;
	name->places_count = name->is_numeric ? 1 : 0;
	name->next = net->names;
	net->names = name;
	return name;
}

bool pl_place_is_same(const union place *a, const union place *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr && a->in.sin_port == b->in.sin_port;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0 && a->in6.sin6_port == b->in6.sin6_port &&
	       a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

void pl_name_prefer(struct name *name, const union place *place)
{
	for (size_t i = 0; i < name->places_count; i++) {
		if (pl_place_is_same(&name->places[i], place)) {
			const union place preferred = name->places[i];
			name->places[i] = name->places[0];
			name->places[0] = preferred;
			return;
		}
	}
}

/* What was there before stays if there is nothing to be had. */
static bool take_places(struct name *name, const struct addrinfo *found)
{
	const union place before = name->places[0];
	size_t count = 0;

	for (; found && count < PL_NAME_PLACES_MAX; found = found->ai_next) {
		if (found->ai_family == AF_INET)
			memcpy(&name->places[count++].in, found->ai_addr, sizeof(struct sockaddr_in));
		else if (found->ai_family == AF_INET6)
			memcpy(&name->places[count++].in6, found->ai_addr, sizeof(struct sockaddr_in6));
	}
	if (count == 0)
		return false;
	const bool had_any = name->places_count > 0;
	name->places_count = count;
	if (had_any)
		pl_name_prefer(name, &before);
	return true;
}

static void look_up_next(struct pl_net *net);

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct name *name = request->data;
	struct pl_net *net = name->net;
	const uint64_t now_ms = uv_now(net->loop), rest_ms = REST_FACTOR * (now_ms - name->begun_ms);

	name->state = PL_NAME_IDLE;
	name->rests_until_ms = now_ms + (rest_ms < REST_MS_MIN ? REST_MS_MIN : rest_ms > REST_MS_MAX ? REST_MS_MAX : rest_ms);
	name->status = status;
	if (status == 0 && !take_places(name, found))
		name->status = UV_EAI_ADDRFAMILY;
	if (status == 0)
		uv_freeaddrinfo(found);
	net->look_ups--;
	if (net->shut)
		return;
	look_up_next(net);
	pl_dials_looked_up(net, name);
}

static bool member_is_looked_up(const struct pl_net *net, uint16_t member)
{
	for (const struct name *name = net->names; name; name = name->next) {
		if (name->member == member && name->state == PL_NAME_RUNS)
			return true;
	}
	return false;
}

/* Whose turn it is: who has waited longest, of the members that have none under way. */
static struct name *next_in_turn(const struct pl_net *net)
{
	struct name *next = NULL;

	for (struct name *name = net->names; name; name = name->next) {
		if (name->state == PL_NAME_WAITS && (!next || name->ticket < next->ticket) && !member_is_looked_up(net, name->member))
			next = name;
	}
	return next;
}

static int begin(struct name *name)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	char host[PL_ADDRESS_BYTES_MAX + 1], service[8];
	uint16_t port;

	if (!split(name->address, host, &port))
		return UV_EINVAL;
	snprintf(service, sizeof(service), "%u", port);
	return uv_getaddrinfo(name->net->loop, &name->request, on_looked_up, host, service, &hints);
}

static void look_up_next(struct pl_net *net)
{
	struct name *name;

	while (net->look_ups < LOOK_UPS_MAX && (name = next_in_turn(net)) != NULL) {
		name->begun_ms = uv_now(net->loop);
		name->status = begin(name);
		name->state = name->status == 0 ? PL_NAME_RUNS : PL_NAME_IDLE;
		net->look_ups += name->status == 0;
	}
}

void pl_name_ask(struct name *name)
{
	if (name->is_numeric || name->state != PL_NAME_IDLE || uv_now(name->net->loop) < name->rests_until_ms)
		return;
	name->state = PL_NAME_WAITS;
	name->ticket = name->net->next_ticket++;
	look_up_next(name->net);
}

void pl_name_why_not(const struct name *name, char *out, size_t out_max)
{
	const uint64_t for_s = (uv_now(name->net->loop) - name->begun_ms) / 1000;

	if (name->state == PL_NAME_IDLE)
		snprintf(out, out_max, "%s: %s", name->address, uv_strerror(name->status));
	else if (name->state == PL_NAME_RUNS && for_s > 0)
		snprintf(out, out_max, "%s: its name is not found within %u s", name->address, (unsigned)for_s);
	else
		snprintf(out, out_max, "%s: its name is not looked up yet, since other names take long", name->address);
}

void pl_names_end(struct pl_net *net)
{
	for (struct name *name = net->names; name; name = name->next) {
		if (name->state == PL_NAME_RUNS)
			uv_cancel((uv_req_t *)&name->request); /* where it has begun, it comes to its end by itself */
		else
			name->state = PL_NAME_IDLE;
	}
}

void pl_names_free(struct pl_net *net)
{
	while (net->names) {
		struct name *name = net->names;
		net->names = name->next;
		free(name);
	}
}
