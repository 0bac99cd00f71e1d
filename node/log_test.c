#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/log.h"

static uint64_t now_ms;
static uint64_t test_wall_ms(void) { return 1795521600123 + now_ms; } /* 2026-11-24T12:00:00.123Z */
static uint64_t test_monotonic_ms(void) { return 5000 + now_ms; }

/* The log goes to a file, which take() hands over and empties. */
static FILE *file;

static void open_log(enum pl_log_level level, bool json)
{
	unsetenv("JOURNAL_STREAM");
	now_ms = 0;
	file = tmpfile();
	cr_assert(file);
	pl_log_set_clock(test_wall_ms, test_monotonic_ms);
	pl_log_open(fileno(file), level, json);
}

static const char *take(void)
{
	static char text[1 << 16];
	ssize_t count = pread(fileno(file), text, sizeof(text) - 1, 0);
	cr_assert(count >= 0);
	text[count] = '\0';
	cr_assert(ftruncate(fileno(file), 0) == 0);
	cr_assert(lseek(fileno(file), 0, SEEK_SET) == 0);
	return text;
}

static unsigned lines(const char *text)
{
	unsigned count = 0;
	for (; *text; text++)
		count += *text == '\n';
	return count;
}

Test(log, what_lasts_is_said_once_a_minute)
{
	uint64_t told_ms = 0;
	cr_assert(pl_log_again(&told_ms, 0), "the first time, whatever the clock");
	cr_assert(!pl_log_again(&told_ms, 1000));
	cr_assert(!pl_log_again(&told_ms, 60000));
	cr_assert(pl_log_again(&told_ms, 60001));
	cr_assert(!pl_log_again(&told_ms, 120000));
	told_ms = 0; /* it was over, and is back */
	cr_assert(pl_log_again(&told_ms, 120001));
	cr_assert(!pl_log_again_in(&told_ms, 180001, 600000), "or less often");
	cr_assert(pl_log_again_in(&told_ms, 720001, 600000));
}

Test(log, a_line_has_time_level_component_message_and_fields)
{
	open_log(PL_LOG_INFO, false);
	PL_LOG(PL_LOG_INFO, "net", "link lost", PL_F_STR("peer", "CHE"), PL_F_U64("rtt_ms", 12), PL_F_I64("skew", -3), PL_F_BOOL("live", true),
	       PL_F_HEX("id", ((const uint8_t[]){ 0xde, 0xad }), 2), PL_F_STR("why", "timed out"), PL_F_STR("none", NULL), PL_F_ERR(PL_ERR_IO));
	cr_assert_str_eq(take(), "2026-11-24T12:00:00.123Z info    net: link lost peer=CHE rtt_ms=12 skew=-3 live=true id=dead why=\"timed out\" none=- "
	                         "error=\"input or output failed\"\n");
	PL_LOG(PL_LOG_WARNING, "net", "bare");
	cr_assert_str_eq(take(), "2026-11-24T12:00:00.123Z warning net: bare\n");
}

Test(log, a_json_line_parses_and_gives_the_values_back)
{
	open_log(PL_LOG_INFO, true);
	static const char odd[] = "a\"b\\c\n\x1b[31m\xe2\x80\xae\xf3\xa0\x80\x81ä";
	PL_LOG(PL_LOG_ERROR, "net", "link lost", PL_F_STR("peer", odd), PL_F_U64("n", 12), PL_F_BOOL("b", false));
	const char *text = take();
	cr_assert_eq(lines(text), 1);
	for (const char *at = text; at[1]; at++)
		cr_assert((unsigned char)*at >= 0x20, "a raw control character in %s", text);
	cr_assert_null(strstr(text, "\xe2\x80\xae"));
	json_t *root = json_loads(text, 0, NULL);
	cr_assert(root);
	cr_assert_str_eq(json_string_value(json_object_get(root, "time")), "2026-11-24T12:00:00.123Z");
	cr_assert_str_eq(json_string_value(json_object_get(root, "level")), "error");
	cr_assert_str_eq(json_string_value(json_object_get(root, "component")), "net");
	cr_assert_str_eq(json_string_value(json_object_get(root, "message")), "link lost");
	cr_assert_str_eq(json_string_value(json_object_get(root, "peer")), odd);
	cr_assert_eq(json_integer_value(json_object_get(root, "n")), 12);
	cr_assert(json_is_false(json_object_get(root, "b")));
	json_decref(root);
}

Test(log, what_a_peer_sends_cannot_forge_a_line_or_drive_a_terminal)
{
	open_log(PL_LOG_INFO, false);
	static const char nasty[] = "x\n2026 error: all lost\x1b]0;t\x07 \xe2\x80\xaegnp.exe \xff\xc0\xaf \xc2\x9b";
	PL_LOG(PL_LOG_INFO, "net", "name", PL_F_STRN("peer", nasty, sizeof(nasty) - 1));
	cr_assert_str_eq(take(), "2026-11-24T12:00:00.123Z info    net: name peer=\"x\\n2026 error: all lost\\x1b]0;t\\x07 \\u{202e}gnp.exe "
	                         "\\xff\\xc0\\xaf \\u{009b}\"\n");
	PL_LOG(PL_LOG_INFO, "net", "quotes", PL_F_STR("a", "say \"hi\""), PL_F_STR("b", ""), PL_F_STR("c", "k=v"), PL_F_STR("d", "Zürich"));
	cr_assert_str_eq(take(), "2026-11-24T12:00:00.123Z info    net: quotes a=\"say \\\"hi\\\"\" b=\"\" c=\"k=v\" d=Zürich\n");
}

Test(log, levels_over_the_set_one_are_silent)
{
	open_log(PL_LOG_WARNING, false);
	PL_LOG(PL_LOG_INFO, "net", "quiet");
	PL_LOG(PL_LOG_DEBUG, "net", "quieter");
	cr_assert_str_eq(take(), "");
	cr_assert(pl_log_enabled(PL_LOG_ERROR));
	cr_assert(!pl_log_enabled(PL_LOG_INFO));
}

static void noisy(unsigned n)
{
	PL_LOG(PL_LOG_WARNING, "net", "refused", PL_F_U64("n", n));
}

Test(log, a_call_site_over_its_budget_is_counted_and_the_count_comes_later)
{
	open_log(PL_LOG_INFO, false);
	for (unsigned n = 0; n < 1000; n++)
		noisy(n);
	cr_assert_eq(lines(take()), PL_LOG_BURST);
	PL_LOG(PL_LOG_INFO, "net", "another site is not affected");
	cr_assert_eq(lines(take()), 1);

	now_ms += 1000; /* budget again, and any line brings the count out */
	PL_LOG(PL_LOG_INFO, "net", "later");
	const char *text = take();
	cr_assert_eq(lines(text), 2, "%s", text);
	cr_assert(strstr(text, "warning net: more lines were suppressed of=refused count=990\n"), "%s", text);

	now_ms += 60000;
	for (unsigned n = 0; n < 11; n++)
		noisy(n);
	take();
	pl_log_flush(); /* due at exit, whatever the budget */
	cr_assert(strstr(take(), "of=refused count=1\n"));
	pl_log_flush();
	cr_assert_str_eq(take(), "");
}

static void lost(const char *peer)
{
	PL_LOG(PL_LOG_INFO, "link", "link lost", PL_F_STR("peer", peer));
}

Test(log, what_one_peer_makes_of_lines_drowns_no_other)
{
	open_log(PL_LOG_INFO, false);
	for (unsigned n = 0; n < 1000; n++)
		lost("EST");
	cr_assert_eq(lines(take()), PL_LOG_BURST);
	lost("SGP");
	cr_assert_not_null(strstr(take(), "link lost peer=SGP\n"));

	now_ms += PL_LOG_PEER_MS - 1;
	lost("EST");
	cr_assert_str_eq(take(), "");
	now_ms += 1;
	lost("SGP");
	const char *text = take();
	cr_assert_eq(lines(text), 2, "%s", text);
	cr_assert(strstr(text, "info    link: more lines were suppressed of=\"link lost\" count=991 peer=EST\n"), "%s", text);
	lost("EST");
	cr_assert_str_eq(take() + PL_LOG_TIME_BYTES - 1, " info    link: link lost peer=EST\n", "one goes with each count");
	lost("EST");
	cr_assert_str_eq(take(), "");
}

Test(log, however_many_peers_there_are_the_lines_are_bounded_and_counted)
{
	unsigned counted = 0, said = 0;
	char peer[16];

	open_log(PL_LOG_INFO, false);
	for (unsigned round = 0; round < 2 * PL_LOG_BURST; round++) {
		for (unsigned n = 0; n < 2000; n++) {
			snprintf(peer, sizeof(peer), "P%u", n);
			lost(peer);
		}
		said += lines(take());
	}
	cr_assert_lt(said, 5000);
	pl_log_flush();
	for (const char *at = take(); (at = strstr(at, "count=")) != NULL; at++)
		counted += (unsigned)atoi(at + 6);
	cr_assert_eq(said + counted, 2 * PL_LOG_BURST * 2000);
}

Test(log, debug_lines_have_no_budget)
{
	open_log(PL_LOG_DEBUG, false);
	for (unsigned n = 0; n < 50; n++)
		PL_LOG(PL_LOG_DEBUG, "net", "chatter");
	cr_assert_eq(lines(take()), 50);
}

Test(log, long_values_are_cut_and_lines_stay_within_their_limit)
{
	char value[5000];
	memset(value, '\x01', sizeof(value));
	for (int json = 0; json <= 1; json++) {
		open_log(PL_LOG_INFO, json);
		struct pl_log_field field = PL_F_STRN("v", value, sizeof(value));
		PL_LOG(PL_LOG_INFO, "net", "long", field, field, field, PL_F_U64("tail", 1));
		const char *text = take();
		cr_assert_eq(lines(text), 1);
		cr_assert(strlen(text) <= PL_LOG_LINE_BYTES_MAX);
		cr_assert(strstr(text, json ? "\"cut\":true}" : " …\n"), "%s", text + strlen(text) - 40);
		if (json) {
			json_t *root = json_loads(text, 0, NULL);
			cr_assert(root);
			cr_assert_eq(json_string_length(json_object_get(root, "v")), 1200);
			json_decref(root);
		}
	}
}

Test(log, under_systemd_a_line_starts_with_its_priority)
{
	open_log(PL_LOG_INFO, false);
	struct stat about;
	cr_assert(fstat(fileno(file), &about) == 0);
	char stream[64];
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)about.st_dev, (uintmax_t)about.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	pl_log_open(fileno(file), PL_LOG_INFO, false);
	PL_LOG(PL_LOG_WARNING, "net", "bare");
	cr_assert_str_eq(take(), "<4>2026-11-24T12:00:00.123Z warning net: bare\n");
	setenv("JOURNAL_STREAM", "1:1", 1); /* standard error was sent elsewhere */
	pl_log_open(fileno(file), PL_LOG_INFO, false);
	PL_LOG(PL_LOG_ERROR, "net", "bare");
	cr_assert_str_eq(take(), "2026-11-24T12:00:00.123Z error   net: bare\n");
}

static void *write_lines(void *unused)
{
	(void)unused;
	for (unsigned n = 0; n < 200; n++)
		PL_LOG(PL_LOG_DEBUG, "net", "from a thread", PL_F_STR("tail", "end"));
	return NULL;
}

Test(log, threads_do_not_mix_their_lines)
{
	open_log(PL_LOG_DEBUG, false);
	pthread_t threads[4];
	for (unsigned i = 0; i < 4; i++)
		cr_assert(pthread_create(&threads[i], NULL, write_lines, NULL) == 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	static char expected[] = "2026-11-24T12:00:00.123Z debug   net: from a thread tail=end\n";
	const char *text = take();
	unsigned count = 0;
	for (; strncmp(text, expected, sizeof(expected) - 1) == 0; text += sizeof(expected) - 1)
		count++;
	cr_assert_str_eq(text, "");
	cr_assert_eq(count, 800);
}

Test(log, a_file_that_takes_no_more_does_not_stop_anybody)
{
	int full = open("/dev/full", O_WRONLY);
	cr_assert(full >= 0);
	pl_log_open(full, PL_LOG_INFO, false);
	PL_LOG(PL_LOG_ERROR, "store", "disk full");
	close(full);
	PL_LOG(PL_LOG_ERROR, "store", "and closed");
}

Test(log, times_are_rfc_3339)
{
	char text[PL_LOG_TIME_BYTES];
	pl_log_time(0, text);
	cr_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
	pl_log_time(951782400999, text);
	cr_assert_str_eq(text, "2000-02-29T00:00:00.999Z");
	pl_log_time(UINT64_MAX, text);
	cr_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
}
