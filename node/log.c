#include "node/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/visible.h"
#include "proto/text.h"

#define TOLD_EVERY_MS 60000

static uint64_t clock_ms(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
static uint64_t machine_wall_ms(void) { return clock_ms(CLOCK_REALTIME); }
static uint64_t machine_monotonic_ms(void) { return clock_ms(CLOCK_MONOTONIC); }

static struct {
	pthread_mutex_t lock;
	int fd;
	_Atomic int level; /* enum pl_log_level; read without the lock */
	bool json, journal;
	struct pl_log_site *due; /* sites with suppressed lines */
	uint64_t (*wall_ms)(void), (*monotonic_ms)(void);
} log_state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.fd = STDERR_FILENO,
	.level = PL_LOG_INFO,
	.wall_ms = machine_wall_ms,
	.monotonic_ms = machine_monotonic_ms,
};

const char *pl_log_level_name(enum pl_log_level level)
{
	switch (level) {
	case PL_LOG_ERROR: return "error";
	case PL_LOG_WARNING: return "warning";
	case PL_LOG_INFO: return "info";
	case PL_LOG_DEBUG: return "debug";
	}
	return "unknown";
}

bool pl_log_again_in(uint64_t *told_ms, uint64_t now_ms, uint64_t every_ms)
{
	if (*told_ms != 0 && now_ms - *told_ms < every_ms)
		return false;
	*told_ms = now_ms ? now_ms : 1;
	return true;
}

bool pl_log_again(uint64_t *told_ms, uint64_t now_ms)
{
	return pl_log_again_in(told_ms, now_ms, TOLD_EVERY_MS);
}

void pl_log_time(uint64_t unix_ms, char out[PL_LOG_TIME_BYTES])
{
	static const uint64_t last_ms = 253402300799999; /* 9999-12-31T23:59:59.999Z */
	if (unix_ms > last_ms)
		unix_ms = last_ms;
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	char text[96]; /* what the compiler thinks that the fields could need */
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
	         utc.tm_min, utc.tm_sec, (unsigned)(unix_ms % 1000));
	memcpy(out, text, PL_LOG_TIME_BYTES - 1);
	out[PL_LOG_TIME_BYTES - 1] = '\0';
}

struct pl_log_field pl_log_field_str(const char *name, const char *text)
{
	return (struct pl_log_field){ .name = name, .type = PL_LOG_FIELD_STR, .count = text ? strlen(text) : 1, .str = text ? text : "-" };
}

/* systemd names the journal's socket by device and inode; standard error is it only if they agree. */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat about;
	return stream && sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) == 2 && fstat(fd, &about) == 0 &&
	       about.st_dev == device && about.st_ino == inode;
}

void pl_log_open(int fd, enum pl_log_level level, bool json)
{
	pthread_mutex_lock(&log_state.lock);
	log_state.fd = fd;
	atomic_store_explicit(&log_state.level, (int)level, memory_order_relaxed);
	log_state.json = json;
	log_state.journal = is_journal(fd);
	pthread_mutex_unlock(&log_state.lock);
}

void pl_log_set_clock(uint64_t (*wall_ms)(void), uint64_t (*monotonic_ms)(void))
{
	pthread_mutex_lock(&log_state.lock);
	log_state.wall_ms = wall_ms ? wall_ms : machine_wall_ms;
	log_state.monotonic_ms = monotonic_ms ? monotonic_ms : machine_monotonic_ms;
	pthread_mutex_unlock(&log_state.lock);
}

bool pl_log_enabled(enum pl_log_level level)
{
	return (int)level <= atomic_load_explicit(&log_state.level, memory_order_relaxed);
}

/* A line under construction. Room for the closing brace and the line break is kept back. */
struct line {
	char text[PL_LOG_LINE_BYTES_MAX];
	size_t length;
	bool cut; /* a piece did not fit: the rest of the fields is left out */
};
#define LINE_TAIL_BYTES 24 /* ,"cut":true}\n */
#define VALUE_BYTES_MAX 1200

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->text) - LINE_TAIL_BYTES - line->length;
	va_list args;
	va_start(args, format);
	int count = line->cut ? 0 : vsnprintf(line->text + line->length, room, format, args);
	va_end(args);
	if (count < 0 || (size_t)count >= room)
		line->cut = true;
	else
		line->length += (size_t)count;
}

static void add_hex(struct line *line, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add(line, "%02x", bytes[i]);
}

/* Quoted where a reader, or a program that splits at spaces, could take it for something else. */
static void add_text_value(struct line *line, const char *text, size_t count)
{
	char shown[VALUE_BYTES_MAX * 4 + 1];
	size_t shown_bytes = pl_visible(text, count, shown, sizeof(shown));
	bool plain = shown_bytes > 0 && strcspn(shown, " =\"\\") == shown_bytes;
	if (!plain)
		add(line, "\"");
	for (const char *at = shown; *at;) {
		size_t run = strcspn(at, "\"");
		add(line, "%.*s", (int)run, at);
		at += run;
		if (*at == '"') {
			add(line, "\\\"");
			at++;
		}
	}
	if (!plain)
		add(line, "\"");
}

static void add_json_string(struct line *line, const char *text, size_t count)
{
	add(line, "\"");
	while (count > 0 && !line->cut) {
		uint32_t c;
		size_t length = pl_utf8_decode(text, count, &c);
		if (length == 0) {
			add(line, "\\\\x%02x", (unsigned)(uint8_t)text[0]);
			length = 1;
		} else if (c == '"' || c == '\\') {
			add(line, "\\%c", (char)c);
		} else if (pl_char_is_hidden(c)) {
			if (c < 0x10000)
				add(line, "\\u%04x", (unsigned)c);
			else
				add(line, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (c >> 10)), (unsigned)(0xdc00 | (c & 0x3ff)));
		} else {
			add(line, "%.*s", (int)length, text);
		}
		text += length;
		count -= length;
	}
	add(line, "\"");
}

/* As much of a value as a line takes; ends at a character if it is UTF-8. */
static size_t value_bytes(const char *text, size_t count)
{
	if (count <= VALUE_BYTES_MAX)
		return count;
	count = VALUE_BYTES_MAX;
	while (count > VALUE_BYTES_MAX - 4 && ((uint8_t)text[count] & 0xc0) == 0x80)
		count--;
	return count;
}

static void add_field(struct line *line, const struct pl_log_field *field, bool json)
{
	size_t start = line->length;
	add(line, json ? ",\"%s\":" : " %s=", field->name);
	switch (field->type) {
	case PL_LOG_FIELD_STR:
		if (json)
			add_json_string(line, field->str, value_bytes(field->str, field->count));
		else
			add_text_value(line, field->str, value_bytes(field->str, field->count));
		break;
	case PL_LOG_FIELD_U64: add(line, "%" PRIu64, field->u64); break;
	case PL_LOG_FIELD_I64: add(line, "%" PRId64, field->i64); break;
	case PL_LOG_FIELD_BOOL: add(line, "%s", field->boolean ? "true" : "false"); break;
	case PL_LOG_FIELD_HEX:
		add(line, json ? "\"" : "");
		add_hex(line, field->bytes, field->count);
		add(line, json ? "\"" : "");
		break;
	}
	if (line->cut)
		line->length = start; /* whole fields only */
}

static void emit(enum pl_log_level level, const char *component, const char *message, const struct pl_log_field *fields, size_t fields_count)
{
	static const char priority[] = { [PL_LOG_ERROR] = '3', [PL_LOG_WARNING] = '4', [PL_LOG_INFO] = '6', [PL_LOG_DEBUG] = '7' };
	struct line line = { .length = 0 };
	char time[PL_LOG_TIME_BYTES];
	pl_log_time(log_state.wall_ms(), time);
	if (log_state.journal)
		add(&line, "<%c>", priority[level]);
	if (log_state.json) {
		add(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"message\":", time, pl_log_level_name(level), component);
		add_json_string(&line, message, strlen(message));
	} else {
		add(&line, "%s %-7s %s: %s", time, pl_log_level_name(level), component, message);
	}
	for (size_t i = 0; i < fields_count && !line.cut; i++)
		add_field(&line, &fields[i], log_state.json);
	if (line.cut) {
		line.cut = false;
		line.length += (size_t)sprintf(line.text + line.length, log_state.json ? ",\"cut\":true" : " …");
	}
	line.length += (size_t)sprintf(line.text + line.length, log_state.json ? "}\n" : "\n");

	for (size_t written = 0; written < line.length;) {
		ssize_t count = write(log_state.fd, line.text + written, line.length - written);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		written += (size_t)count;
	}
}

static void emit_suppressed(struct pl_log_site *site)
{
	const struct pl_log_field about[] = { PL_F_STR("of", site->message), PL_F_U64("count", site->suppressed), PL_F_STR("peer", site->peer) };
	emit(site->level, site->component, "more lines were suppressed", about, site->peer ? 3 : 2);
	site->suppressed = 0;
}

static uint32_t line_ms(const struct pl_log_site *site)
{
	return site->peer ? PL_LOG_PEER_MS : 1000 / PL_LOG_PER_SECOND;
}

static void refill(struct pl_log_site *site, uint64_t now_ms)
{
	uint64_t earned = now_ms - site->refilled_ms;
	site->spent = earned >= site->spent ? 0 : site->spent - (uint32_t)earned;
	site->refilled_ms = now_ms;
}

static bool can_spend(struct pl_log_site *site, uint64_t now_ms)
{
	refill(site, now_ms);
	return site->spent + line_ms(site) <= PL_LOG_BURST * line_ms(site);
}

/* Pays for one line, if there is budget. */
static bool spend(struct pl_log_site *site, uint64_t now_ms)
{
	if (!can_spend(site, now_ms))
		return false;
	site->spent += line_ms(site);
	return true;
}

/* What each peer has spent at a call site, in sets of a few. One that has all its budget is as one that is not here. */
#define PEER_SETS 32
#define PEERS_IN_SET 8
#define PEER_BYTES 16
static struct peer_budget {
	const struct pl_log_site *of;
	char peer[PEER_BYTES];
	struct pl_log_site budget;
} peer_budgets[PEER_SETS][PEERS_IN_SET];

/* Who pays for the line: its peer, or the site if it names none, or if too many pay at once. */
static struct pl_log_site *payer(struct pl_log_site *site, const struct pl_log_field *fields, size_t fields_count, uint64_t now_ms)
{
	const struct pl_log_field *peer = NULL;
	struct peer_budget *free_one = NULL;
	size_t hash = (uintptr_t)site / sizeof(*site);

	for (size_t i = 0; i < fields_count && !peer; i++)
		peer = strcmp(fields[i].name, "peer") == 0 && fields[i].type == PL_LOG_FIELD_STR ? &fields[i] : NULL;
	if (!peer || peer->count >= PEER_BYTES || (peer->count == 1 && peer->str[0] == '-'))
		return site;
	for (size_t i = 0; i < peer->count; i++)
		hash = hash * 31 + (uint8_t)peer->str[i];
	for (size_t i = 0; i < PEERS_IN_SET; i++) {
		struct peer_budget *one = &peer_budgets[hash % PEER_SETS][i];
		if (one->of == site && strlen(one->peer) == peer->count && memcmp(one->peer, peer->str, peer->count) == 0)
			return &one->budget;
		refill(&one->budget, now_ms);
		if (one->budget.spent == 0 && one->budget.suppressed == 0)
			free_one = one;
	}
	if (!free_one)
		return site;
	memset(free_one, 0, sizeof(*free_one));
	free_one->of = site;
	memcpy(free_one->peer, peer->str, peer->count);
	free_one->budget.peer = free_one->peer;
	return &free_one->budget;
}

static void emit_due(bool all)
{
	uint64_t now_ms = log_state.monotonic_ms();
	struct pl_log_site **link = &log_state.due;
	while (*link) {
		struct pl_log_site *site = *link;
		/* a peer's count costs nothing, so that however many lines there are one of them is said with each count */
		if (all || (site->peer ? can_spend(site, now_ms) : spend(site, now_ms))) {
			*link = site->next;
			site->next = NULL;
			emit_suppressed(site);
		} else {
			link = &site->next;
		}
	}
}

void pl_log_write(struct pl_log_site *site, enum pl_log_level level, const char *component, const char *message,
                  const struct pl_log_field *fields, size_t fields_count)
{
	pthread_mutex_lock(&log_state.lock);
	emit_due(false);
	const uint64_t now_ms = log_state.monotonic_ms();
	site = payer(site, fields, fields_count, now_ms);
	if (level == PL_LOG_DEBUG || (site->suppressed == 0 && spend(site, now_ms))) {
		emit(level, component, message, fields, fields_count);
	} else {
		if (site->suppressed++ == 0) {
			site->level = level;
			site->component = component;
			site->message = message;
			site->next = log_state.due;
			log_state.due = site;
		}
	}
	pthread_mutex_unlock(&log_state.lock);
}

void pl_log_flush(void)
{
	pthread_mutex_lock(&log_state.lock);
	emit_due(true);
	pthread_mutex_unlock(&log_state.lock);
}
