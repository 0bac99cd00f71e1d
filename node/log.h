/* The log: lines for people or JSON lines for machines, on standard error, with typed fields.
 *
 *   PL_LOG(PL_LOG_INFO, "net", "link lost", PL_F_STR("peer", name), PL_F_U64("rtt_ms", rtt));
 *   2026-11-24T12:00:00.123Z info  net: link lost peer=CHE rtt_ms=12
 *   {"time":"2026-11-24T12:00:00.123Z","level":"info","component":"net","message":"link lost","peer":"CHE","rtt_ms":12}
 *
 * Values come from peers and clients: what could forge a line or drive a terminal is escaped (visible.h). Never pass a secret, nor a
 * plaintext. Message, component and field names are literals. Each call site has a budget of lines, so that a peer cannot fill the disk: what
 * is over it is counted, and the count is written when the site has budget again. Lines with a field "peer" have one for each peer, so that
 * none drowns what is said of the others. Debug lines have no budget.
 *
 * Under systemd (standard error is the journal) a line starts with its priority, "<6>".
 */
#ifndef PL_NODE_LOG_H
#define PL_NODE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"

enum pl_log_level { PL_LOG_ERROR, PL_LOG_WARNING, PL_LOG_INFO, PL_LOG_DEBUG };
const char *pl_log_level_name(enum pl_log_level level);

/* Whether what lasts is to be said again, once a minute, or in every_ms. *told_ms: when it was last, by the clock of now_ms; 0: never, or it is
 * over. */
bool pl_log_again(uint64_t *told_ms, uint64_t now_ms);
bool pl_log_again_in(uint64_t *told_ms, uint64_t now_ms, uint64_t every_ms);

/* Values over 1,200 bytes are cut; what a line has no room for is left out, and the line says so. */
#define PL_LOG_LINE_BYTES_MAX 8192
/* The budget of a call site: this many lines at once, then so many a second. */
#define PL_LOG_BURST 10
#define PL_LOG_PER_SECOND 5
/* Of one peer at a call site: as many at once, then one in so long. */
#define PL_LOG_PEER_MS 5000

enum pl_log_field_type { PL_LOG_FIELD_STR, PL_LOG_FIELD_U64, PL_LOG_FIELD_I64, PL_LOG_FIELD_BOOL, PL_LOG_FIELD_HEX };

struct pl_log_field {
	const char *name;
	enum pl_log_field_type type;
	size_t count; /* of str and bytes */
	union {
		const char *str;
		const uint8_t *bytes;
		uint64_t u64;
		int64_t i64;
		bool boolean;
	};
};

#define PL_F_STRN(field_name, text, text_bytes) \
	((struct pl_log_field){ .name = (field_name), .type = PL_LOG_FIELD_STR, .count = (text_bytes), .str = (text) })
#define PL_F_STR(field_name, text) pl_log_field_str((field_name), (text)) /* NULL shows as "-" */
#define PL_F_U64(field_name, value) ((struct pl_log_field){ .name = (field_name), .type = PL_LOG_FIELD_U64, .u64 = (value) })
#define PL_F_I64(field_name, value) ((struct pl_log_field){ .name = (field_name), .type = PL_LOG_FIELD_I64, .i64 = (value) })
#define PL_F_BOOL(field_name, value) ((struct pl_log_field){ .name = (field_name), .type = PL_LOG_FIELD_BOOL, .boolean = (value) })
#define PL_F_HEX(field_name, octets, octets_count) \
	((struct pl_log_field){ .name = (field_name), .type = PL_LOG_FIELD_HEX, .count = (octets_count), .bytes = (octets) })
#define PL_F_ERR(err) pl_log_field_str("error", pl_err_str(err))
struct pl_log_field pl_log_field_str(const char *name, const char *text);

/* One per call site, by the macro; and one for each peer there. */
struct pl_log_site {
	uint64_t refilled_ms;
	uint32_t spent;      /* of the budget, in ms that earn it again */
	uint32_t suppressed;
	struct pl_log_site *next;
	enum pl_log_level level;
	const char *component, *message;
	const char *peer;    /* NULL: of all that name none */
};

#define PL_LOG(log_level, log_component, log_message, ...) \
	do { \
		static struct pl_log_site site_; \
		if (pl_log_enabled(log_level)) { \
			const struct pl_log_field fields_[] = { { .name = NULL }, ##__VA_ARGS__ }; \
			pl_log_write(&site_, (log_level), (log_component), (log_message), fields_ + 1, sizeof(fields_) / sizeof(*fields_) - 1); \
		} \
	} while (0)

/* Where lines go and which ones. Before this is called: text at level info to standard error. fd is borrowed. */
void pl_log_open(int fd, enum pl_log_level level, bool json);
bool pl_log_enabled(enum pl_log_level level);
/* Safe from any thread. A write that fails is given up: the log never stops the node. */
void pl_log_write(struct pl_log_site *site, enum pl_log_level level, const char *component, const char *message,
                  const struct pl_log_field *fields, size_t fields_count);
/* Writes the counts of suppressed lines that are still due, whatever the budget. At exit. */
void pl_log_flush(void);

/* "2026-11-24T12:00:00.123Z" of unix milliseconds. Years over 9999 show as that year. */
#define PL_LOG_TIME_BYTES 25
void pl_log_time(uint64_t unix_ms, char out[PL_LOG_TIME_BYTES]);

/* For tests: these two clocks instead of the machine's; NULL restores it. */
void pl_log_set_clock(uint64_t (*wall_ms)(void), uint64_t (*monotonic_ms)(void));

#endif
