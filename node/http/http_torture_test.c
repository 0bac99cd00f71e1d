/* Every allocation of the server, of libmicrohttpd and of the JSON library fails in turn, once alone and once with all that follow. What comes of it
 * is a whole reply or the end of the connection, never a crash, a leak or a server that does not go on. Linked with --wrap for malloc and its kin;
 * libmicrohttpd's calls are known by where they come from, but under AddressSanitizer, which has a malloc of its own. */
#include <link.h>

#include "node/http/http_fixture.h"

static struct { bool on, all_after; unsigned left, failed; } scarce;

static bool fails(void)
{
	if (!scarce.on || scarce.left-- > 0)
		return false;
	scarce.failed++;
	scarce.left = scarce.all_after && scarce.failed < 50 ? 0 : UINT32_MAX; /* there is memory again some time */
	return true;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strndup(const char *text, size_t count);
void *__wrap_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t count, size_t bytes) { return fails() ? NULL : __real_calloc(count, bytes); }
void *__wrap_realloc(void *old, size_t bytes) { return fails() ? NULL : __real_realloc(old, bytes); }
char *__wrap_strndup(const char *text, size_t count) { return fails() ? NULL : __real_strndup(text, count); }

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
static uintptr_t library_start, library_end;

static int find_library(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	for (unsigned i = 0; strstr(info->dlpi_name, "libmicrohttpd") && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
			library_start = info->dlpi_addr + part->p_vaddr;
			library_end = library_start + part->p_memsz;
		}
	}
	return 0;
}

/* Of the library's own mallocs, how many were seen. */
static unsigned library_calls;

static bool fails_for(const void *caller)
{
	if ((uintptr_t)caller < library_start || (uintptr_t)caller >= library_end)
		return false;
	library_calls++;
	return fails();
}

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *malloc(size_t bytes) { return fails_for(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes); }
void *calloc(size_t count, size_t bytes) { return fails_for(__builtin_return_address(0)) ? NULL : __libc_calloc(count, bytes); }
#endif

static void *json_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }

/* What a client does, from connecting to its last reply. It stops where the connection ends. */
struct story {
	const char *name, *request;
	unsigned replies;   /* how many there are when memory does not run out */
	const char *ending; /* or what comes in at last */
};

static const struct story stories[] = {
	{ "requests", GET("/things/a%2Fb?q=1") GET("/limited?limit=0"), 2, NULL },
	{ "errors", GET("/nowhere") GET("/failing") "PUT /hello HTTP/1.1\r\n" HOST "\r\n", 3, NULL },
	{ "json", "POST /json HTTP/1.1\r\n" HOST "Content-Length: 20\r\nContent-Type: application/json\r\n\r\n{\"a\":[1,\"b\",{}]}    ", 1, NULL },
	{ "bad json", "POST /json HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n[[", 1, NULL },
	{ "file", GET("/file?name=x") GET("/things/literal"), 2, NULL },
	{ "stream", GET("/stream"), 1, NULL },
	{ "events", GET("/events?after=1"), 0, "event: missed" },
};

/* Whether the story came to its end. */
static bool tell(const struct story *story)
{
	struct client client;
	unsigned replies = 0;
	bool over = false;
	streaming.pieces = 0;
	streaming.pieces_max = 3;
	client_connect(&client);
	client_send(&client, story->request);
	scarce.on = true;
	for (bool published = false; !over && !client.eof && !(story->ending && replies);) {
		cr_assert(still_time(), "%s does not end, with %u failures; state %d, it has %s", story->name, scarce.failed, http->conns ? (int)http->conns->state : -1, client.in ? client.in : "");
		turn(client.fd, POLLIN);
		if (http->counters.streams && !published) {
			pl_http_publish(http, "message", json_pack("{s:i}", "n", 1));
			published = true;
		}
		scarce.on = false;
		client_receive(&client);
		while (client_has_reply(&client)) {
			client_reply(&client);
			replies++;
		}
		over = story->ending ? strstr(client.in, story->ending) != NULL : replies == story->replies;
		scarce.on = true;
	}
	scarce.on = false;
	client_close(&client);
	PUMP_UNTIL(http->counters.open == 0 && !http->requests);
	cr_assert_eq(http->bodies_bytes, 0);
	cr_assert_eq(http->counters.streams, 0);
	return over;
}

TestSuite(http_torture, .init = setup, .fini = teardown);

Test(http_torture, no_allocation_that_fails_does_more_than_end_a_request)
{
	json_set_alloc_funcs(json_malloc, free);
#ifndef SANITIZED
	dl_iterate_phdr(find_library, NULL);
	cr_assert_neq(library_end, 0);
#endif
	for (size_t i = 0; i < sizeof(stories) / sizeof(*stories); i++) {
		for (int all_after = 0; all_after <= 1; all_after++) {
			unsigned n = 0;
			for (bool done = false; !done; n++) {
				cr_assert_lt(n, 2000);
				scarce.all_after = all_after;
				scarce.left = n;
				scarce.failed = 0;
				(void)tell(&stories[i]);
				done = scarce.failed == 0;
				scarce.left = UINT32_MAX;
				scarce.all_after = false;
				cr_assert(tell(&stories[i]), "after allocation %u failed, %s does not work any more", n, stories[i].name);
			}
			cr_assert_gt(n, 4, "%s: only %u allocations", stories[i].name, n);
		}
	}
#ifndef SANITIZED
	cr_assert_gt(library_calls, 1000, "the library's allocations were not seen");
#endif
	json_set_alloc_funcs(malloc, free);
}
