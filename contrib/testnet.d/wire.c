/* Usage: wire SOCKET SEED <CONFIG     serves until it is ended
 *        wire --tell SOCKET WORD...   says something to it, prints the answer; 1: it was not understood, 3: nobody serves there
 *        wire --check WORD...         whether each is a fault, as "loss=2%"
 *
 * CONFIG, a line each: "link A B" after the nodes, in packet mode; "link A B LISTEN TO" in stream mode, of which A dials B through LISTEN;
 * "node A NAMESPACE ADDRESS". What can be said, of the ways of a link or, with "way" in place of "link", of that from A to B alone:
 *
 *   cut link A B    heal link A B    set link A B FAULT...    heal    list
 */
#include "contrib/testnet.d/wire.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 1024
#define WORDS_MAX 24

struct link *links;
size_t links_count;

static struct pollfd *fds;
static size_t fds_count, fds_max;
static uint64_t wake_us;

void fail(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct way *find_way(const char *from, const char *to)
{
	for (size_t i = 0; i < 2 * links_count; i++) {
		struct way *way = &links[i / 2].ways[i % 2];
		if (strcmp(way->from, from) == 0 && strcmp(way->to, to) == 0)
			return way;
	}
	return NULL;
}

size_t watch(int fd, short events)
{
	if (fds_count == fds_max) {
		fds_max = 2 * fds_max + 64;
		fds = realloc(fds, fds_max * sizeof(*fds));
		if (!fds)
			fail("memory");
	}
	fds[fds_count] = (struct pollfd){ fd, events, 0 };
	return fds_count++;
}

short watched(size_t at) { return fds[at].revents; }

void wake_at(uint64_t time_us)
{
	if (time_us < wake_us)
		wake_us = time_us;
}

static size_t split(char *line, char *words[WORDS_MAX])
{
	size_t count = 0;

	for (char *rest = line, *word; count < WORDS_MAX && (word = strtok_r(rest, " \t\n", &rest));)
		words[count++] = word;
	return count;
}

static void configure(uint64_t seed)
{
	char line[LINE_BYTES_MAX], *words[WORDS_MAX];

	links = calloc(NODES_MAX * NODES_MAX / 2, sizeof(*links));
	if (!links)
		fail("memory");
	while (fgets(line, sizeof(line), stdin)) {
		const size_t count = split(line, words);
		struct link *link = &links[links_count];
		if (count == 4 && strcmp(words[0], "node") == 0) {
			packet_add(words[1], words[2], words[3]);
		} else if ((count == 3 || count == 5) && strcmp(words[0], "link") == 0 && links_count < NODES_MAX * NODES_MAX / 2) {
			for (int k = 0; k < 2; k++) {
				snprintf(link->ways[k].from, NAME_BYTES, "%.3s", words[1 + k]);
				snprintf(link->ways[k].to, NAME_BYTES, "%.3s", words[2 - k]);
				way_seed(&link->ways[k], seed);
			}
			if (count == 5)
				stream_add(link, words[3], words[4]);
			links_count++;
		} else {
			fprintf(stderr, "wire: what is \"%s\", with %zu words, in the configuration?\n", count > 0 ? words[0] : "", count);
			exit(2);
		}
	}
}

static void list(FILE *answer)
{
	char faults[FAULT_TEXT_MAX];

	for (size_t i = 0; i < 2 * links_count; i++) {
		const struct way *way = &links[i / 2].ways[i % 2];
		way_print(way, faults);
		fprintf(answer, "%s %s %s %llu %llu %llu %llu %llu %s\n", way->from, way->to, way->is_cut ? "cut" : "open", (unsigned long long)way->passed,
			(unsigned long long)way->lost, (unsigned long long)way->duplicated, (unsigned long long)way->reordered,
			(unsigned long long)way->flipped, faults);
	}
}

/* Does what was said. The answer begins with "ok" or with "error: ". */
static void obey(char *line, FILE *answer)
{
	char *words[WORDS_MAX];
	const size_t count = split(line, words);
	struct way *ways[2] = { NULL, NULL };

	if (count == 1 && strcmp(words[0], "heal") == 0) {
		for (size_t i = 0; i < 2 * links_count; i++)
			way_heal(&links[i / 2].ways[i % 2]);
		fputs("ok\n", answer);
		return;
	}
	if (count == 1 && strcmp(words[0], "list") == 0) {
		fputs("ok\n", answer);
		list(answer);
		return;
	}
	if (count < 4 || (strcmp(words[1], "link") != 0 && strcmp(words[1], "way") != 0)) {
		fputs("error: not understood\n", answer);
		return;
	}
	ways[0] = find_way(words[2], words[3]);
	if (!ways[0]) {
		fprintf(answer, "error: %s and %s have no link\n", words[2], words[3]);
		return;
	}
	if (strcmp(words[1], "link") == 0)
		ways[1] = find_way(words[3], words[2]);
	for (int k = 0; k < 2 && ways[k]; k++) {
		if (strcmp(words[0], "cut") == 0) {
			ways[k]->is_cut = true;
		} else if (strcmp(words[0], "heal") == 0) {
			way_heal(ways[k]);
		} else if (strcmp(words[0], "set") == 0) {
			struct way changed = *ways[k];
			for (size_t i = 4; i < count; i++) {
				const char *wrong = way_set(&changed, words[i]);
				if (wrong) {
					fprintf(answer, "error: %s\n", wrong);
					return;
				}
			}
			*ways[k] = changed;
		} else {
			fputs("error: not understood\n", answer);
			return;
		}
	}
	fputs("ok\n", answer);
}

static void answer_one(int listener)
{
	const struct timeval patience = { .tv_sec = 1 };
	char line[LINE_BYTES_MAX];
	const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0)
		return;
	setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	const ssize_t read = recv(client, line, sizeof(line) - 1, 0); /* short enough to come in one piece */
	FILE *answer = fdopen(client, "w");
	if (!answer)
		fail("memory");
	line[read > 0 ? read : 0] = '\0';
	obey(line, answer);
	fclose(answer);
}

static int socket_at(const char *path, bool is_server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct sockaddr *generic = (const struct sockaddr *)&address;
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(stderr, "wire: %s: too long a path for a Unix socket\n", path);
		exit(2);
	}
	memcpy(address.sun_path, path, strlen(path));
	if (fd < 0 || (is_server ? bind(fd, generic, sizeof(address)) || listen(fd, 16) : connect(fd, generic, sizeof(address))) != 0) {
		fprintf(stderr, "wire: %s: %s\n", path, strerror(errno));
		exit(3);
	}
	return fd;
}

static int tell(const char *path, int count, char **words)
{
	char line[LINE_BYTES_MAX] = "", answer[LINE_BYTES_MAX];
	const int fd = socket_at(path, false);
	size_t at = 0;
	FILE *stream = fdopen(fd, "r+");

	for (int i = 0; i < count && at < sizeof(line); i++)
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s", words[i], i + 1 < count ? " " : "\n");
	if (at >= sizeof(line) || !stream) {
		fputs("wire: too many words\n", stderr);
		return 2;
	}
	fputs(line, stream);
	fflush(stream);
	int code = 0;
	if (!fgets(answer, sizeof(answer), stream)) {
		fprintf(stderr, "wire: %s: no answer\n", path);
		code = 3;
	} else if (strcmp(answer, "ok\n") != 0) {
		fputs(answer + (strncmp(answer, "error: ", 7) == 0 ? 7 : 0), stderr);
		code = 1;
	} else {
		while (fgets(answer, sizeof(answer), stream))
			fputs(answer, stdout);
	}
	fclose(stream);
	return code;
}

static int check(int count, char **words)
{
	struct way way = { 0 };

	for (int i = 0; i < count; i++) {
		const char *wrong = way_set(&way, words[i]);
		if (wrong) {
			fprintf(stderr, "%s\n", wrong);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit files;

	if (argc > 3 && strcmp(argv[1], "--tell") == 0)
		return tell(argv[2], argc - 3, argv + 3);
	if (argc > 1 && strcmp(argv[1], "--check") == 0)
		return check(argc - 2, argv + 2);
	if (argc != 3) {
		fputs("usage: wire SOCKET SEED <CONFIG\n       wire --tell SOCKET WORD...\n       wire --check WORD...\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	configure(strtoull(argv[2], NULL, 10));
	const int listener = socket_at(argv[1], true);
	for (;;) {
		fds_count = 0;
		wake_us = UINT64_MAX;
		const size_t listener_watched = watch(listener, POLLIN);
		stream_watch();
		packet_watch();
		const uint64_t now = now_us(), wait_us = wake_us == UINT64_MAX ? 0 : wake_us > now ? wake_us - now : 0;
		const struct timespec wait = { .tv_sec = (time_t)(wait_us / 1000000), .tv_nsec = (long)(wait_us % 1000000) * 1000 };
		if (ppoll(fds, fds_count, wake_us == UINT64_MAX ? NULL : &wait, NULL) < 0) {
			if (errno == EINTR)
				continue;
			fail("poll");
		}
		stream_serve();
		packet_serve();
		if (watched(listener_watched))
			answer_one(listener);
	}
}
