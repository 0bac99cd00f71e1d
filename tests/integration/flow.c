/* flow: how messages fare from one node's API to another's, sent at an even pace whatever becomes of them: in `make bench`, and beside hostile members.
 *
 *   flow FROM_SOCKET TO_SOCKET CODE COUNT GAP_MS FLASH_EVERY
 *
 * Sends COUNT messages to the member CODE, one every GAP_MS: each FLASH_EVERYth FLASH (0: none), the others routine, priority and immediate in
 * turn. With SIGTERM it sends no more. Counts from when each was to be sent until the other node's API says that it is there, decrypted; what is not there PATIENCE_MS after
 * the last was sent is lost. Prints "n N lost N p50 MS p99 MS max MS streams N"; exit code 1 if the API refuses one.
 *
 * What has arrived it hears by the stream of events. A stream that is ended (there was more to say at once than a client may be behind) is
 * followed anew, and what may have been missed is looked up in the inbox; streams counts how often.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 100000
#define PATIENCE_MS 30000
#define LOOK_MS 5000 /* after the last: is what was not heard of in the inbox? */
#define TEXT_BYTES 512

static double due_ms[COUNT_MAX], took_ms[COUNT_MAX];
static int count, gap_ms, flash_every, sent, arrived, streams;

static volatile sig_atomic_t has_to_end;

static void on_term(int number)
{
	(void)number;
	has_to_end = 1;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "flow: %s %s\n", what, detail);
	exit(1);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail("cannot connect to", path);
	return fd;
}

struct reader {
	int fd;
	char bytes[65536];
	size_t count;
};

/* Takes what has come. Returns false when the other side has hung up. */
static bool read_some(struct reader *r)
{
	if (r->count > sizeof(r->bytes) / 2) { /* keep the tail: what is looked for may be cut in two */
		memmove(r->bytes, r->bytes + r->count - 256, 256);
		r->count = 256;
	}
	const ssize_t n = read(r->fd, r->bytes + r->count, sizeof(r->bytes) - 1 - r->count);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	r->count += (size_t)n;
	r->bytes[r->count] = '\0';
	return true;
}

/* Drops everything up to the end of text, if that is there. */
static bool skip_past(struct reader *r, const char *text)
{
	char *found = strstr(r->bytes, text);

	if (!found)
		return false;
	found += strlen(text);
	r->count -= (size_t)(found - r->bytes);
	memmove(r->bytes, found, r->count + 1);
	return true;
}

static void send_one(int fd, const char *code)
{
	static const char *const others[] = { "routine", "priority", "immediate" };
	/* Its mark stands there twice: one may be cut in two by the chunks of HTTP. */
	static char text[TEXT_BYTES + 1], body[2048], request[4096];
	const bool is_flash = flash_every > 0 && sent % flash_every == flash_every - 1;

	memset(text, 'x', TEXT_BYTES);
	const int body_bytes = snprintf(body, sizeof(body), "{\"to\":[\"%s\"],\"precedence\":\"%s\",\"operator\":\"flow-%d-%d-\",\"subject\":\"flow-%d-%d-\",\"text\":\"%s\"}",
	                                code, is_flash ? "flash" : others[sent % 3], (int)getpid(), sent, (int)getpid(), sent, text);
	const int bytes = snprintf(request, sizeof(request),
	                           "POST /v1/messages HTTP/1.1\r\nHost: parley\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
	                           body_bytes, body);
	if (write(fd, request, (size_t)bytes) != bytes)
		fail("cannot send", "");
}

static void note_arrivals(struct reader *to)
{
	char mark[32];

	snprintf(mark, sizeof(mark), "flow-%d-", (int)getpid());
	while (skip_past(to, mark)) {
		char *end;
		const long i = strtol(to->bytes, &end, 10);
		if (end == to->bytes || *end != '-') { /* the rest of it is still to come */
			memmove(to->bytes + strlen(mark), to->bytes, to->count + 1);
			memcpy(to->bytes, mark, strlen(mark));
			to->count += strlen(mark);
			return;
		}
		if (i < 0 || i >= count || took_ms[i] != 0)
			continue;
		took_ms[i] = now_ms() - due_ms[i];
		arrived++;
	}
}

static void ask(int fd, const char *request)
{
	if (write(fd, request, strlen(request)) != (ssize_t)strlen(request))
		fail("cannot ask:", request);
}

static void follow(struct reader *to, const char *path)
{
	if (to->fd > 0)
		close(to->fd);
	to->fd = connect_to(path);
	to->count = 0;
	ask(to->fd, "GET /v1/events HTTP/1.1\r\nHost: parley\r\nAccept: text/event-stream\r\n\r\n");
	while (!skip_past(to, "\r\n\r\n")) {
		if (!read_some(to))
			fail("no stream of events at", path);
	}
	streams++;
}

/* The inbox, newest first; what is there already is not counted again. */
static void look_up(const char *path)
{
	static struct reader list;

	list.fd = connect_to(path);
	list.count = 0;
	ask(list.fd, "GET /v1/messages?box=in&limit=1000 HTTP/1.1\r\nHost: parley\r\nConnection: close\r\n\r\n");
	while (read_some(&list))
		note_arrivals(&list);
	close(list.fd);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	static struct reader from, to;
	bool awaits_answer = false, has_looked = false;

	if (argc != 7)
		fail("usage: flow FROM_SOCKET TO_SOCKET CODE COUNT GAP_MS FLASH_EVERY", "");
	count = atoi(argv[4]);
	gap_ms = atoi(argv[5]);
	flash_every = atoi(argv[6]);
	if (count < 1 || count > COUNT_MAX)
		fail("COUNT is from 1 to", "100000");
	from.fd = connect_to(argv[1]);
	signal(SIGTERM, on_term);
	follow(&to, argv[2]);
	const double begun_ms = now_ms();
	double last_ms = begun_ms;
	for (int i = 0; i < count; i++)
		due_ms[i] = begun_ms + (double)i * gap_ms;
	while (arrived < count && !(sent == count && now_ms() > last_ms + PATIENCE_MS)) {
		struct pollfd fds[2] = { { from.fd, POLLIN, 0 }, { to.fd, POLLIN, 0 } };
		struct timespec wait = { 1, 0 };
		if (has_to_end)
			count = sent;
		/* One request at a time: the API answers when the message is durable. What is late counts as late. */
		if (sent < count && !awaits_answer) {
			const double left_ms = due_ms[sent] - now_ms();
			wait.tv_sec = left_ms > 0 ? (time_t)(left_ms / 1e3) : 0;
			wait.tv_nsec = left_ms > 0 ? (long)((left_ms - (double)wait.tv_sec * 1e3) * 1e6) : 0;
			if (left_ms <= 0) {
				send_one(from.fd, argv[3]);
				last_ms = now_ms();
				sent++;
				awaits_answer = true;
			}
		}
		if (ppoll(fds, 2, &wait, NULL) < 0 && errno != EINTR)
			fail("ppoll", strerror(errno));
		if (fds[0].revents && !read_some(&from)) {
			if (sent < count || awaits_answer)
				fail("hung up:", argv[1]);
			from.fd = -1; /* nothing more is asked of it */
		}
		if (strstr(from.bytes, "HTTP/1.1 4") || strstr(from.bytes, "HTTP/1.1 5"))
			fail("refused:", from.bytes);
		if (skip_past(&from, "HTTP/1.1 201"))
			awaits_answer = false;
		if (fds[1].revents && !read_some(&to)) {
			note_arrivals(&to);
			follow(&to, argv[2]);
			look_up(argv[2]);
		}
		note_arrivals(&to);
		if (sent == count && arrived < count && now_ms() > last_ms + LOOK_MS && !has_looked) {
			has_looked = true;
			look_up(argv[2]);
		}
	}
	int n = 0;
	for (int i = 0; i < count; i++) {
		if (took_ms[i] != 0)
			took_ms[n++] = took_ms[i];
	}
	qsort(took_ms, (size_t)n, sizeof(*took_ms), compare);
	printf("n %d lost %d p50 %.2f p99 %.2f max %.2f streams %d\n", count, count - arrived, n ? took_ms[n / 2] : 0, n ? took_ms[n * 99 / 100] : 0,
	       n ? took_ms[n - 1] : 0, streams);
	return 0;
}
