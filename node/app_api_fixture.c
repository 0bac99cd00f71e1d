#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/app_fixture.h"
#include "tests/schema.h"

#define GIVE_UP_MS 20000

/* --- calling the API --- */

/* A client's connection; the loop turns while it waits. */
struct client {
	int fd;
	char *request, *reply;
	size_t request_bytes, sent, room, got;
	bool ended;
};

static void client_open(struct client *client, const char *socket_path, const char *method, const char *path, const void *body,
                        size_t body_bytes)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, socket_path);
	*client = (struct client){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), .room = 1 << 16 };
	cr_assert_geq(client->fd, 0);
	cr_assert_eq(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	client->request = malloc(body_bytes + 600);
	client->reply = malloc(client->room + 1);
	int head = snprintf(client->request, 600, "%s %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n", method, path, body_bytes);
	cr_assert_lt(head, 600);
	if (body_bytes > 0)
		memcpy(client->request + head, body, body_bytes);
	client->request_bytes = (size_t)head + body_bytes;
}

/* Whether anything moved. */
static bool client_turn(struct client *client)
{
	size_t rest = client->request_bytes - client->sent;
	ssize_t wrote = rest > 0 ? write(client->fd, client->request + client->sent, rest) : 0;
	client->sent += wrote > 0 ? (size_t)wrote : 0;
	if (client->got == client->room)
		client->reply = realloc(client->reply, (client->room *= 2) + 1);
	ssize_t read_bytes = read(client->fd, client->reply + client->got, client->room - client->got);
	client->got += read_bytes > 0 ? (size_t)read_bytes : 0;
	client->ended = read_bytes == 0;
	return wrote > 0 || read_bytes >= 0;
}

/* The status; 0 without a reply. *out is malloc'd. */
static int client_close(struct client *client, uint8_t **out, size_t *count)
{
	int status = 0;
	close(client->fd);
	client->reply[client->got] = '\0';
	char *end = strstr(client->reply, "\r\n\r\n");
	if (sscanf(client->reply, "HTTP/1.%*d %d", &status) == 1 && end) {
		*count = client->got - (size_t)(end + 4 - client->reply);
		*out = malloc(*count + 1);
		memcpy(*out, end + 4, *count + 1);
	}
	free(client->request);
	free(client->reply);
	return status;
}

void fix_call_together(struct fix *fix, uint16_t node, struct fix_together *calls, size_t calls_count)
{
	struct client clients[FIX_TOGETHER_MAX];
	cr_assert_leq(calls_count, FIX_TOGETHER_MAX);
	for (size_t i = 0; i < calls_count; i++)
		client_open(&clients[i], fix_socket(fix, node), calls[i].method, calls[i].path, calls[i].body, calls[i].body_bytes);
	size_t ended = 0;
	for (unsigned idle = 0; ended < calls_count;) {
		bool moved = false;
		ended = 0;
		for (size_t i = 0; i < calls_count; i++) {
			moved |= !clients[i].ended && client_turn(&clients[i]);
			ended += clients[i].ended;
		}
		uv_run(fix_loop(fix), UV_RUN_NOWAIT);
		if (!moved) {
			usleep(200);
			idle++;
		}
		cr_assert_lt(idle, GIVE_UP_MS * 5u, "%s %s gets no reply", calls[0].method, calls[0].path);
	}
	for (size_t i = 0; i < calls_count; i++) {
		calls[i].status = client_close(&clients[i], &calls[i].reply, &calls[i].reply_bytes);
		cr_assert_neq(calls[i].status, 0, "%s %s gets no reply", calls[i].method, calls[i].path);
	}
}

int fix_call_bytes(struct fix *fix, uint16_t node, const char *method, const char *path, const void *body, size_t body_bytes, uint8_t **out,
                   size_t *count)
{
	struct fix_together call = { .method = method, .path = path, .body = body, .body_bytes = body_bytes };
	fix_call_together(fix, node, &call, 1);
	*out = call.reply;
	*count = call.reply_bytes;
	return call.status;
}

int fix_post_and_stop(struct fix *fix, uint16_t node, const char *path, const char *body)
{
	struct client client;
	struct pl_lane_info before[PL_LANES], now[PL_LANES];
	client_open(&client, fix_socket(fix, node), "POST", path, body, strlen(body));
	for (uint8_t lane = 0; lane < PL_LANES; lane++)
		pl_engine_lane(pl_core_engine(fix_core(fix, node)), node, lane, &before[lane]);
	bool submitted = false;
	for (unsigned turns = 0; !submitted; turns++) {
		uv_run(fix_loop(fix), UV_RUN_NOWAIT);
		client_turn(&client);
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			pl_engine_lane(pl_core_engine(fix_core(fix, node)), node, lane, &now[lane]);
			submitted |= now[lane].have_seq > before[lane].have_seq;
		}
		usleep(100);
		cr_assert_lt(turns, 50000u);
	}
	fix_settle(fix); /* to the other nodes */
	fix_stop(fix, node);
	while (client_turn(&client) && !client.ended)
		;
	uint8_t *out = NULL;
	size_t count;
	int status = client_close(&client, &out, &count);
	free(out);
	return status;
}

struct fix_stream {
	struct client client;
};

struct fix_stream *fix_follow(struct fix *fix, uint16_t node)
{
	struct fix_stream *stream = calloc(1, sizeof(*stream));
	client_open(&stream->client, fix_socket(fix, node), "GET", "/v1/events", NULL, 0);
	while (!strstr(fix_heard(fix, stream), "\r\n\r\n"))
		usleep(200);
	return stream;
}

const char *fix_heard(struct fix *fix, struct fix_stream *stream)
{
	uv_run(fix_loop(fix), UV_RUN_NOWAIT);
	while (client_turn(&stream->client))
		uv_run(fix_loop(fix), UV_RUN_NOWAIT);
	stream->client.reply[stream->client.got] = '\0';
	return stream->client.reply;
}

void fix_unfollow(struct fix_stream *stream)
{
	close(stream->client.fd);
	free(stream->client.request);
	free(stream->client.reply);
	free(stream);
}

json_t *fix_call(struct fix *fix, uint16_t node, const char *method, const char *path, json_t *body, int status)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	uint8_t *reply;
	size_t reply_bytes;
	json_error_t error;
	json_decref(body);
	int got = fix_call_bytes(fix, node, method, path, text, text ? strlen(text) : 0, &reply, &reply_bytes);
	json_t *json = json_loadb((char *)reply, reply_bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
	cr_assert_eq(got, status, "%s %s: %d instead of %d: %s", method, path, got, status, (char *)reply);
	cr_assert_not_null(json, "%s %s: %s: %s", method, path, error.text, (char *)reply);
	free(reply);
	free(text);
	return json;
}

static const json_t *at(const json_t *json, const char *where)
{
	char name[80];
	while (json && *where) {
		size_t length = strcspn(where, ".");
		cr_assert_lt(length, sizeof(name));
		memcpy(name, where, length);
		name[length] = '\0';
		where += length + (where[length] == '.');
		json = json_is_array(json) ? json_array_get(json, strtoul(name, NULL, 10)) : json_object_get(json, name);
	}
	return json;
}

const char *fix_string(const json_t *json, const char *where)
{
	const char *value = json_string_value(at(json, where));
	cr_assert_not_null(value, "no string at %s in %s", where, json_dumps(json, JSON_ENCODE_ANY));
	return value;
}

void fix_expect(const json_t *json, const char *where, const char *value)
{
	const json_t *found = at(json, where);
	char number[32];
	const char *text = "absent";
	if (json_is_string(found))
		text = json_string_value(found);
	else if (json_is_integer(found))
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(found)), text = number;
	else if (found)
		text = json_is_true(found) ? "true" : json_is_false(found) ? "false" : json_is_null(found) ? "null" : "a list or an object";
	cr_assert_str_eq(text, value, "%s is %s, not %s, in %s", where, text, value, json_dumps(json, JSON_ENCODE_ANY));
}

char *fix_fault(const json_t *openapi, const char *schema, const json_t *json)
{
	char fault[SCHEMA_FAULT_BYTES];
	const json_t *described = json_object_get(json_object_get(json_object_get(openapi, "components"), "schemas"), schema);
	cr_assert_not_null(described, "openapi.json has no schema %s", schema);
	return schema_fits(openapi, described, json, schema, fault) ? NULL : strdup(fault);
}
