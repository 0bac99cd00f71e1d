/* relay: a bad wire between two nodes. It passes TCP connections on and does to what passes what it is told, one thing at a time.
 *
 *   relay LISTEN TO SEED      addresses as HOST:PORT, IPv4
 *
 * What is to be done comes on stdin, a word a line; each is done once, to a record of one or the other direction that passes soon after.
 * Where it happens within the record comes from SEED. What was done is said on stdout, a line each. The end of stdin ends the relay.
 *
 *   flip       one bit of the record is inverted        length     one bit of its length is
 *   drop       the record is left out                   swap       it comes after the one that follows it
 *   replay     it comes twice                           old        one that passed before comes again
 *   truncate   it ends early, and the connection there  cut        the connection ends before it
 *   insert     bytes come between it and the next       delay      it and what follows it waits for a second
 *   slow       it passes at 100 bytes a second
 *
 * A record here is what a link carries behind a length of two bytes: messages of the handshake and, after it, records. The relay cannot
 * read them, and needs no key: whoever owns a router on the way can do as much. Whatever passes unharmed is cut into pieces of any size.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX 16
#define RECORD_BYTES_MAX (2 + 65535)
#define OUT_BYTES_MAX (1 << 20) /* nothing more is read from a side whose other side takes nothing */
#define PIECE_BYTES_MAX 1500
#define DELAY_MS 1000
#define SLOW_BYTES_PER_S 100
#define PATIENCE 4 /* a thing is done to one of the next so many records */

/* One direction of a connection. */
struct pipe {
	int from, to;
	uint8_t record[RECORD_BYTES_MAX]; /* being read */
	size_t record_count;
	uint8_t kept[RECORD_BYTES_MAX];   /* swap: passes after the next one; otherwise the last that passed */
	size_t kept_count;
	bool is_swapping;
	uint8_t *out;
	size_t out_count, out_max;
	uint64_t wait_until_ms; /* nothing passes before */
	size_t slow_count;      /* so many bytes pass slowly */
	bool ends;              /* when all is out */
	uint64_t records;
};

struct pair {
	bool is_used;
	unsigned number;
	struct pipe pipes[2]; /* from the dialler, to the dialler */
};

static struct pair pairs[PAIRS_MAX];
static struct sockaddr_in target;
static uint64_t random_state;
static char word[32]; /* to be done; empty: nothing */
static unsigned countdown, pairs_count;

static void fail(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* splitmix64 */
static uint64_t draw(uint64_t below)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (x ^ (x >> 31)) % below;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void put(struct pipe *pipe, const uint8_t *bytes, size_t count)
{
	if (pipe->out_max - pipe->out_count < count) {
		pipe->out_max = pipe->out_count + count + PIECE_BYTES_MAX;
		pipe->out = realloc(pipe->out, pipe->out_max);
		if (!pipe->out)
			fail("memory");
	}
	memcpy(pipe->out + pipe->out_count, bytes, count);
	pipe->out_count += count;
}

/* Does the word to a record. Returns false if this record does not lend itself to it. */
static bool harm(struct pipe *pipe, uint8_t *record, size_t count)
{
	const size_t body = count - 2;

	if (body == 0)
		return false;
	if (strcmp(word, "flip") == 0) {
		record[2 + draw(body)] ^= (uint8_t)(1u << draw(8));
		put(pipe, record, count);
	} else if (strcmp(word, "length") == 0) {
		record[draw(2)] ^= (uint8_t)(1u << draw(8));
		put(pipe, record, count);
	} else if (strcmp(word, "replay") == 0) {
		put(pipe, record, count);
		put(pipe, record, count);
	} else if (strcmp(word, "old") == 0) {
		if (pipe->kept_count == 0 || pipe->is_swapping)
			return false;
		put(pipe, pipe->kept, pipe->kept_count);
		put(pipe, record, count);
	} else if (strcmp(word, "swap") == 0) {
		memcpy(pipe->kept, record, count);
		pipe->kept_count = count;
		pipe->is_swapping = true;
	} else if (strcmp(word, "truncate") == 0) {
		put(pipe, record, draw(count));
		pipe->ends = true;
	} else if (strcmp(word, "cut") == 0) {
		pipe->ends = true;
	} else if (strcmp(word, "insert") == 0) {
		uint8_t bytes[64];
		const size_t bytes_count = 1 + draw(sizeof(bytes));
		for (size_t i = 0; i < bytes_count; i++)
			bytes[i] = (uint8_t)draw(256);
		put(pipe, record, count);
		put(pipe, bytes, bytes_count);
	} else if (strcmp(word, "delay") == 0) {
		pipe->wait_until_ms = now_ms() + DELAY_MS;
		put(pipe, record, count);
	} else if (strcmp(word, "slow") == 0) {
		put(pipe, record, count);
		pipe->slow_count = pipe->out_count;
	} else if (strcmp(word, "drop") != 0) {
		fprintf(stderr, "relay: what is %s?\n", word);
		exit(2);
	}
	return true;
}

static void pass(struct pair *pair, struct pipe *pipe)
{
	uint8_t *record = pipe->record;
	const size_t count = pipe->record_count;
	const bool was_swapping = pipe->is_swapping;

	pipe->record_count = 0;
	pipe->records++;
	if (word[0] && (countdown == 0 || --countdown == 0) && !was_swapping && harm(pipe, record, count)) {
		printf("%s: record %llu %s the dialler, of %zu bytes, in connection %u\n", word, (unsigned long long)pipe->records,
		       pipe == &pair->pipes[0] ? "of" : "to", count, pair->number);
		fflush(stdout);
		word[0] = '\0';
		return;
	}
	put(pipe, record, count);
	if (was_swapping)
		put(pipe, pipe->kept, pipe->kept_count);
	memcpy(pipe->kept, record, count);
	pipe->kept_count = count;
	pipe->is_swapping = false;
}

static void take(struct pair *pair, struct pipe *pipe, const uint8_t *bytes, size_t count)
{
	while (count > 0 && !pipe->ends) {
		const size_t whole = pipe->record_count < 2 ? 2 : 2 + ((size_t)pipe->record[0] << 8 | pipe->record[1]);
		size_t some = whole - pipe->record_count;
		if (some > count)
			some = count;
		memcpy(pipe->record + pipe->record_count, bytes, some);
		pipe->record_count += some;
		bytes += some;
		count -= some;
		if (pipe->record_count >= 2 && pipe->record_count == 2 + ((size_t)pipe->record[0] << 8 | pipe->record[1]))
			pass(pair, pipe);
	}
}

static void pair_close(struct pair *pair)
{
	close(pair->pipes[0].from);
	close(pair->pipes[0].to);
	free(pair->pipes[0].out);
	free(pair->pipes[1].out);
	memset(pair, 0, sizeof(*pair));
}

static void accept_one(int listener)
{
	const int from = accept(listener, NULL, NULL), one = 1;
	struct pair *pair = NULL;

	if (from < 0)
		return;
	for (int i = 0; i < PAIRS_MAX; i++) {
		if (!pairs[i].is_used)
			pair = &pairs[i];
	}
	const int to = socket(AF_INET, SOCK_STREAM, 0);
	if (!pair || to < 0 || connect(to, (struct sockaddr *)&target, sizeof(target)) != 0) {
		close(from);
		if (to >= 0)
			close(to);
		return;
	}
	fcntl(from, F_SETFL, O_NONBLOCK);
	fcntl(to, F_SETFL, O_NONBLOCK);
	setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	pair->is_used = true;
	pair->number = ++pairs_count;
	pair->pipes[0].from = pair->pipes[1].to = from;
	pair->pipes[0].to = pair->pipes[1].from = to;
}

/* When the pipe may write next, 0: now. */
static uint64_t due_ms(const struct pipe *pipe)
{
	return pipe->wait_until_ms > now_ms() ? pipe->wait_until_ms : 0;
}

/* false: the connection is over. */
static bool write_some(struct pipe *pipe)
{
	size_t count = pipe->out_count;

	if (count > 0 && due_ms(pipe) == 0) {
		const size_t piece = pipe->slow_count > 0 ? 1 : 1 + draw(PIECE_BYTES_MAX);
		if (count > piece)
			count = piece;
		const ssize_t written = send(pipe->to, pipe->out, count, MSG_NOSIGNAL);
		if (written < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (written > 0) {
			memmove(pipe->out, pipe->out + written, pipe->out_count - (size_t)written);
			pipe->out_count -= (size_t)written;
		}
		if (written > 0 && pipe->slow_count > 0) {
			pipe->slow_count--;
			pipe->wait_until_ms = now_ms() + 1000 / SLOW_BYTES_PER_S;
		}
	}
	return !(pipe->ends && pipe->out_count == 0);
}

static bool read_some(struct pair *pair, struct pipe *pipe)
{
	uint8_t bytes[65536];
	const ssize_t count = recv(pipe->from, bytes, sizeof(bytes), 0);

	if (count > 0)
		take(pair, pipe, bytes, (size_t)count);
	else if (count == 0)
		pipe->ends = true; /* what has come still passes; then both sides end */
	else if (errno != EAGAIN && errno != EINTR)
		return false;
	return true;
}

static void read_word(void)
{
	static char line[sizeof(word)];
	static size_t line_count;
	char next;

	while (!word[0]) {
		const ssize_t count = read(STDIN_FILENO, &next, 1);
		if (count == 0)
			exit(0);
		if (count < 0)
			return;
		if (next != '\n' && line_count < sizeof(line) - 1) {
			line[line_count++] = next;
			continue;
		}
		memcpy(word, line, line_count);
		word[line_count] = '\0';
		line_count = 0;
		countdown = 1 + (unsigned)draw(PATIENCE);
	}
}

static struct sockaddr_in parse(const char *address)
{
	struct sockaddr_in out = { .sin_family = AF_INET };
	const char *colon = strrchr(address, ':');
	char host[64];

	if (!colon || (size_t)(colon - address) >= sizeof(host))
		goto bad;
	memcpy(host, address, (size_t)(colon - address));
	host[colon - address] = '\0';
	out.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, host, &out.sin_addr) == 1)
		return out;
bad:
	fprintf(stderr, "relay: %s is not HOST:PORT\n", address);
	exit(2);
}

int main(int argc, char **argv)
{
	const int one = 1;

	if (argc != 4) {
		fputs("usage: relay LISTEN TO SEED\n", stderr);
		return 2;
	}
	const struct sockaddr_in local = parse(argv[1]);
	target = parse(argv[2]);
	random_state = strtoull(argv[3], NULL, 10);
	const int listener = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(listener, (const struct sockaddr *)&local, sizeof(local)) != 0 || listen(listener, 16) != 0)
		fail(argv[1]);
	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct pollfd fds[2 + 4 * PAIRS_MAX] = { { listener, POLLIN, 0 }, { word[0] ? -1 : STDIN_FILENO, POLLIN, 0 } };
		struct pipe *pipes[2 + 4 * PAIRS_MAX];
		struct pair *owners[2 + 4 * PAIRS_MAX];
		int count = 2;
		uint64_t wake_ms = UINT64_MAX;

		for (int i = 0; i < PAIRS_MAX; i++) {
			for (int k = 0; pairs[i].is_used && k < 2; k++) {
				struct pipe *pipe = &pairs[i].pipes[k];
				const uint64_t due = due_ms(pipe);
				if (due != 0 && due < wake_ms)
					wake_ms = due;
				pipes[count] = pipe;
				owners[count] = &pairs[i];
				fds[count++] = (struct pollfd){ pipe->ends || pipe->out_count > OUT_BYTES_MAX ? -1 : pipe->from, POLLIN, 0 };
				pipes[count] = pipe;
				owners[count] = &pairs[i];
				fds[count++] = (struct pollfd){ (pipe->out_count > 0 || pipe->ends) && due == 0 ? pipe->to : -1, POLLOUT, 0 };
			}
		}
		const uint64_t now = now_ms();
		const int timeout = wake_ms == UINT64_MAX ? -1 : wake_ms > now ? (int)(wake_ms - now) : 0;
		if (poll(fds, (nfds_t)count, timeout) < 0 && errno != EINTR)
			fail("poll");
		if (fds[1].revents)
			read_word();
		for (int i = 2; i < count; i++) {
			if (!owners[i]->is_used || !fds[i].revents)
				continue;
			if (!(i % 2 == 0 ? read_some(owners[i], pipes[i]) : write_some(pipes[i])))
				pair_close(owners[i]);
		}
		if (fds[0].revents)
			accept_one(listener);
	}
}
