/* The HTTP server on what a client sends. Input: a pattern byte, then the bytes of the connection. They go to the server once in one piece and
 * once in pieces whose sizes follow the pattern; what must hold:
 *   - what comes back is whole replies one after the other (the last may be a stream that is still open);
 *   - both times they are the same;
 *   - the server goes to sleep, and nothing of the requests is left when the connection is closed. */
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "node/http/http_impl.h"
#include "node/log.h"

#define OUT_MAX 262144

static uv_loop_t loop;
static struct pl_http *http;

static void show(struct pl_request *request, void *ctx)
{
	uint64_t n = 0;
	(void)ctx;
	const char *id = pl_request_param(request, "id"), *q = pl_request_query(request, "q");
	PL_FUZZ_CHECK(id && *id);
	if (pl_request_query_u64(request, "n", 1, 99, &n))
		pl_reply_json(request, 200, json_pack("{s:s, s:s*, s:I}", "id", id, "q", q, "n", (json_int_t)n));
}

static void echo_json(struct pl_request *request, void *ctx)
{
	(void)ctx;
	json_t *body = pl_request_json(request);
	if (body)
		pl_reply_json(request, 201, json_incref(body));
}

static void count_body(struct pl_request *request, void *ctx)
{
	size_t count;
	(void)ctx;
	const uint8_t *body = pl_request_body(request, &count);
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum = sum * 31 + body[i];
	PL_FUZZ_CHECK(count <= 3000);
	pl_reply_json(request, 200, json_pack("{s:I, s:I}", "bytes", (json_int_t)count, "sum", (json_int_t)(sum & 0xffffff)));
}

static void file(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_bytes(request, 200, pl_request_query(request, "type"), pl_request_param(request, "name"), NULL, 0);
}

static void events(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_events(request);
}

static void more(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_stream_end(request);
}
static void gone(struct pl_request *request, void *ctx)
{
	(void)request;
	(void)ctx;
}

static void stream(struct pl_request *request, void *ctx)
{
	static const struct pl_stream calls = { .more = more, .gone = gone };
	(void)ctx;
	pl_reply_stream_begin(request, 200, "text/plain", &calls);
	pl_reply_stream_write(request, "stream", 6);
}

static const struct pl_route routes[] = {
	{ "GET", "/things/{id}", 0, show },   { "DELETE", "/things/{id}", 10, show }, { "POST", "/json", 3000, echo_json },
	{ "POST", "/body", 3000, count_body }, { "GET", "/files/{name}", 0, file },    { "GET", "/events", 0, events },
	{ "GET", "/stream", 0, stream },
};

struct output {
	char bytes[OUT_MAX];
	size_t count;
};

/* Runs the server until it has nothing to do, and takes what it has written. */
static void settle(int fd, struct output *out)
{
	for (unsigned idle = 0; idle < 2; idle++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		if (uv_backend_timeout(&loop) == 0)
			idle = 0; /* it has more to do */
		ssize_t count;
		while ((count = recv(fd, out->bytes + out->count, OUT_MAX - out->count, MSG_DONTWAIT)) > 0) {
			out->count += (size_t)count;
			idle = 0;
		}
		PL_FUZZ_CHECK(out->count < OUT_MAX);
	}
}

/* Takes out what differs from run to run: dates, and the leave to send a body, which depends on whether it is there already. */
static void normalize(struct output *out)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n", date[] = "Date: ";
	char *to = out->bytes;
	for (char *at = out->bytes, *end = at + out->count; at < end;) {
		char *line_end = memchr(at, '\n', (size_t)(end - at));
		size_t count = line_end ? (size_t)(line_end + 1 - at) : (size_t)(end - at);
		if ((size_t)(end - at) >= sizeof(go_on) - 1 && memcmp(at, go_on, sizeof(go_on) - 1) == 0) {
			at += sizeof(go_on) - 1;
			continue;
		}
		if (count < sizeof(date) - 1 || memcmp(at, date, sizeof(date) - 1) != 0) {
			memmove(to, at, count);
			to += count;
		}
		at += count;
	}
	out->count = (size_t)(to - out->bytes);
	out->bytes[out->count] = '\0';
}

static void check_replies(const struct output *out, bool heads_only)
{
	const char *at = out->bytes, *end = at + out->count;
	while (at < end) {
		PL_FUZZ_CHECK(strncmp(at, "HTTP/1.1 ", 9) == 0 && at[9] >= '2' && at[9] <= '5' && at[12] == ' ');
		const char *head_end = strstr(at, "\r\n\r\n");
		PL_FUZZ_CHECK(head_end);
		const char *length = strstr(at, "Content-Length: "), *type = strstr(at, "Content-Type: ");
		if (at[9] >= '4' && (!type || type > head_end))
			return; /* the library's own, to what is not HTTP: it is the last */
		if (!length || length > head_end) {
			if (strncmp(at + 9, "204", 3) != 0)
				return; /* a stream; what follows it is not looked at */
			at = head_end + 4;
			continue;
		}
		at = head_end + 4;
		if (!heads_only)
			at += strtoul(length + 16, NULL, 10);
		PL_FUZZ_CHECK(at <= end);
	}
}

static void run(const uint8_t *bytes, size_t count, uint8_t pattern, struct output *out)
{
	int fds[2], size = 1 << 20;
	PL_FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	PL_FUZZ_CHECK(pl_http_adopt(http, fds[0]));
	out->count = 0;
	for (size_t done = 0, n = 0; done < count; n++) {
		size_t piece = pattern ? 1 + (pattern * (n + 1) * 37) % (1 + pattern * 4) : count;
		if (piece > count - done)
			piece = count - done;
		if (send(fds[1], bytes + done, piece, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)piece)
			break; /* closed, or it reads no further */
		done += piece;
		settle(fds[1], out);
	}
	settle(fds[1], out);
	if (http->conns)
		pl_http_conn_end(http->conns);
	while (http->conns)
		uv_run(&loop, UV_RUN_NOWAIT);
	close(fds[1]);
	PL_FUZZ_CHECK(!http->requests && http->bodies_bytes == 0 && http->counters.streams == 0 && http->counters.open == 0);
	normalize(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct output whole, pieces;
	struct pl_fuzz_input input = { data, size };
	if (!http) {
		pl_log_open(STDERR_FILENO, PL_LOG_ERROR, false);
		uv_loop_init(&loop);
		http = pl_http_new(&loop);
		PL_FUZZ_CHECK(http && pl_http_add_routes(http, routes, sizeof(routes) / sizeof(*routes), NULL) == PL_OK);
		http->first_event = http->next_event = 1000;
		pl_http_publish(http, "message", json_pack("{s:i}", "n", 1));
	}
	uint8_t pattern = (uint8_t)(pl_fuzz_u8(&input) | 1);
	if (input.left > 60000)
		return 0;
	run(input.at, input.left, 0, &whole);
	run(input.at, input.left, pattern, &pieces);
	PL_FUZZ_CHECK(whole.count == pieces.count && memcmp(whole.bytes, pieces.bytes, whole.count) == 0);
	if (!memmem(input.at, input.left, "HEAD", 4))
		check_replies(&whole, false);
	return 0;
}
