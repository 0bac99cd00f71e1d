/* How long a FLASH takes: from handing it to one node's API until another node's API says that it is there, decrypted.
 *
 *   flash FROM_SOCKET TO_SOCKET CODE COUNT GAP_MS
 *
 * Sends COUNT messages of 512 bytes to the member CODE, one after the other, GAP_MS apart (an author may send ten a minute unless its nodes are
 * configured otherwise), and prints the median and the 99th percentile in ms. Blocking sockets, nothing else at work in this process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 10000
#define TEXT_BYTES 512

static double ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "flash: %s %s\n", what, detail);
	exit(1);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval limit = { .tv_sec = 20 };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail("cannot connect to", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

struct reader {
	int fd;
	char bytes[65536];
	size_t count;
};

/* Reads until text stands in what has come, and drops everything up to its end. */
static void read_until(struct reader *r, const char *text)
{
	for (;;) {
		r->bytes[r->count] = '\0';
		char *found = strstr(r->bytes, text);
		if (found) {
			found += strlen(text);
			r->count -= (size_t)(found - r->bytes);
			memmove(r->bytes, found, r->count);
			return;
		}
		/* Keep the tail: the text may be cut in two. */
		if (r->count > sizeof(r->bytes) / 2) {
			memmove(r->bytes, r->bytes + r->count - 256, 256);
			r->count = 256;
		}
		const ssize_t n = read(r->fd, r->bytes + r->count, sizeof(r->bytes) - 1 - r->count);
		if (n <= 0)
			fail("nothing came while waiting for", text);
		r->count += (size_t)n;
	}
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	static struct reader from, to;
	static double took[COUNT_MAX];
	static char text[TEXT_BYTES + 1], body[2048], request[4096];

	if (argc != 6)
		fail("usage: flash FROM_SOCKET TO_SOCKET CODE COUNT GAP_MS", "");
	const int count = atoi(argv[4]), gap_ms = atoi(argv[5]);
	if (count < 1 || count > COUNT_MAX)
		fail("COUNT is from 1 to", "10000");
	memset(text, 'x', TEXT_BYTES);
	from.fd = connect_to(argv[1]);
	to.fd = connect_to(argv[2]);
	const char subscribe[] = "GET /v1/events HTTP/1.1\r\nHost: parley\r\nAccept: text/event-stream\r\n\r\n";
	if (write(to.fd, subscribe, sizeof(subscribe) - 1) < 0)
		fail("cannot subscribe at", argv[2]);
	read_until(&to, "\r\n\r\n");
	for (int i = 0; i < count; i++) {
		char mark[64], wanted[80];
		snprintf(mark, sizeof(mark), "bench-%d-%d", (int)getpid(), i);
		const int body_bytes = snprintf(body, sizeof(body), "{\"to\":[\"%s\"],\"precedence\":\"flash\",\"subject\":\"%s\",\"text\":\"%s\"}", argv[3],
		                                mark, text);
		const int bytes = snprintf(request, sizeof(request),
		                           "POST /v1/messages HTTP/1.1\r\nHost: parley\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		                           body_bytes, body);
		const double start = ms();
		if (write(from.fd, request, (size_t)bytes) != bytes)
			fail("cannot send to", argv[1]);
		snprintf(wanted, sizeof(wanted), "%s", mark);
		read_until(&to, wanted);
		took[i] = ms() - start;
		read_until(&from, "HTTP/1.1 201");
		const struct timespec gap = { gap_ms / 1000, gap_ms % 1000 * 1000000L };
		nanosleep(&gap, NULL);
	}
	qsort(took, (size_t)count, sizeof(*took), compare);
	printf("p50 %.2f ms p99 %.2f ms max %.2f ms of %d\n", took[count / 2], took[count * 99 / 100], took[count - 1], count);
	return 0;
}
