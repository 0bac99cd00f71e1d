#include "contrib/testnet.d/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD_BYTES_MAX (2 + 65535)

struct door {
	struct link *link;
	int listener;
	size_t watched;
	struct sockaddr_in to;
};

/* One direction of a connection. What goes out was taken out of the queue when it was due. */
struct pipe {
	struct way *way;
	int from, to;
	size_t from_watched, to_watched;
	uint8_t record[RECORD_BYTES_MAX]; /* being read */
	size_t record_count;
	struct queue queue;
	struct unit *out;
	size_t out_count; /* of it, written */
	bool ends;        /* when all is out */
};
struct pair {
	struct pair *next;
	struct pipe pipes[2];
};

static struct door *doors;
static size_t doors_count;
static struct pair *pairs;

static struct sockaddr_in parse(const char *address)
{
	struct sockaddr_in out = { .sin_family = AF_INET };
	const char *colon = strrchr(address, ':');
	char host[INET_ADDRSTRLEN] = "";

	if (colon && (size_t)(colon - address) < sizeof(host))
		memcpy(host, address, (size_t)(colon - address));
	if (!colon || inet_pton(AF_INET, host, &out.sin_addr) != 1) {
		fprintf(stderr, "wire: %s is not HOST:PORT\n", address);
		exit(2);
	}
	out.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	return out;
}

void stream_add(struct link *link, const char *listen_at, const char *to)
{
	const struct sockaddr_in local = parse(listen_at);
	/* Little: what waits in a socket is behind the queue, whose length is what the wire is about. */
	const int one = 1, receive_bytes = QUEUE_BYTES_MIN, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes)) != 0 ||
	    bind(listener, (const struct sockaddr *)&local, sizeof(local)) != 0 || listen(listener, 16) != 0)
		fail(listen_at);
	doors = realloc(doors, (doors_count + 1) * sizeof(*doors));
	if (!doors)
		fail("memory");
	doors[doors_count++] = (struct door){ .link = link, .listener = listener, .to = parse(to) };
	link->ways[0].is_stream = link->ways[1].is_stream = true;
}

static void accept_one(const struct door *door)
{
	const int from = accept4(door->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
	struct pair *pair;

	if (from < 0)
		return;
	const int to = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), receive_bytes = QUEUE_BYTES_MIN;
	if (to >= 0)
		setsockopt(to, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	if (to < 0 || (connect(to, (const struct sockaddr *)&door->to, sizeof(door->to)) != 0 && errno != EINPROGRESS)) {
		close(from);
		if (to >= 0)
			close(to);
		return;
	}
	setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	pair = calloc(1, sizeof(*pair));
	if (!pair)
		fail("memory");
	for (int k = 0; k < 2; k++)
		pair->pipes[k].way = &door->link->ways[k];
	pair->pipes[0].from = pair->pipes[1].to = from;
	pair->pipes[0].to = pair->pipes[1].from = to;
	pair->next = pairs;
	pairs = pair;
}

/* What is due goes out. A way that is cut keeps what it has, as TCP does, and passes it on if it heals before the nodes give up. */
void stream_watch(void)
{
	for (size_t i = 0; i < doors_count; i++) {
		const bool is_cut = doors[i].link->ways[0].is_cut || doors[i].link->ways[1].is_cut;
		doors[i].watched = watch(is_cut ? -1 : doors[i].listener, POLLIN);
	}
	for (struct pair *pair = pairs; pair; pair = pair->next) {
		for (int k = 0; k < 2; k++) {
			struct pipe *pipe = &pair->pipes[k];
			const bool is_cut = pipe->way->is_cut, is_full = queue_is_full(&pipe->queue, pipe->way);
			if (!pipe->out && !is_cut) {
				pipe->out = queue_take_due(&pipe->queue, pipe->way);
				pipe->out_count = 0;
			}
			pipe->from_watched = watch(is_cut || is_full || pipe->ends ? -1 : pipe->from, POLLIN);
			pipe->to_watched = watch(is_cut || !(pipe->out || (pipe->ends && !pipe->queue.first)) ? -1 : pipe->to, POLLOUT);
		}
	}
}

static void take(struct pipe *pipe, const uint8_t *bytes, size_t count)
{
	while (count > 0) {
		const size_t whole = pipe->record_count < 2 ? 2 : 2 + ((size_t)pipe->record[0] << 8 | pipe->record[1]);
		size_t some = whole - pipe->record_count;
		if (some > count)
			some = count;
		memcpy(pipe->record + pipe->record_count, bytes, some);
		pipe->record_count += some;
		bytes += some;
		count -= some;
		if (pipe->record_count >= 2 && pipe->record_count == 2 + ((size_t)pipe->record[0] << 8 | pipe->record[1])) {
			way_pass(pipe->way, &pipe->queue, pipe->record, pipe->record_count);
			pipe->record_count = 0;
		}
	}
}

/* false: the connection is over. */
static bool read_some(struct pipe *pipe)
{
	uint8_t bytes[65536];
	const ssize_t count = recv(pipe->from, bytes, sizeof(bytes), 0);

	if (count > 0)
		take(pipe, bytes, (size_t)count);
	else if (count == 0)
		pipe->ends = true; /* what has come still passes; then both sides end */
	else if (errno != EAGAIN && errno != EINTR)
		return false;
	return true;
}

static bool write_some(struct pipe *pipe)
{
	if (pipe->out) {
		const ssize_t count = send(pipe->to, pipe->out->bytes + pipe->out_count, pipe->out->count - pipe->out_count, MSG_NOSIGNAL);
		if (count < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (count > 0)
			pipe->out_count += (size_t)count;
		if (pipe->out_count == pipe->out->count) {
			free(pipe->out);
			pipe->out = NULL;
		}
	}
	return !(pipe->ends && !pipe->out && !pipe->queue.first);
}

void stream_serve(void)
{
	for (struct pair **at = &pairs; *at;) {
		struct pair *pair = *at;
		bool goes_on = true;
		for (int k = 0; k < 2 && goes_on; k++) {
			struct pipe *pipe = &pair->pipes[k];
			goes_on = (!watched(pipe->from_watched) || read_some(pipe)) && (!watched(pipe->to_watched) || write_some(pipe));
		}
		if (goes_on) {
			at = &pair->next;
			continue;
		}
		*at = pair->next;
		close(pair->pipes[0].from);
		close(pair->pipes[0].to);
		for (int k = 0; k < 2; k++) {
			queue_clear(&pair->pipes[k].queue);
			free(pair->pipes[k].out);
		}
		free(pair);
	}
	for (size_t i = 0; i < doors_count; i++) {
		if (watched(doors[i].watched))
			accept_one(&doors[i]);
	}
}
