/* What the files of the configuration share; conf.h says which does what. */
#ifndef PL_NODE_CONF_IMPL_H
#define PL_NODE_CONF_IMPL_H

#include "node/conf.h"

#define PL_CONF_LINE_BYTES_MAX 4096
#define PL_CONF_SHOWN_BYTES 80 /* of a value in an error */
#define PL_CONF_BLANK " \t"

enum pl_conf_type {
	PL_CONF_PATH, PL_CONF_OPTIONAL_PATH, PL_CONF_SOCKET, PL_CONF_LISTEN, PL_CONF_PEER, PL_CONF_DIAL, PL_CONF_LEVEL, PL_CONF_FORMAT,
	PL_CONF_U16, PL_CONF_U32, PL_CONF_U64
};

/* A line of the table. */
struct pl_conf_entry {
	struct pl_conf_key about;
	enum pl_conf_type type;
	size_t offset; /* of its field in struct pl_conf */
};

/* What is being read, for error sentences: "FILE:LINE: ", or nothing for a single value. */
struct pl_conf_reader {
	struct pl_conf *conf;
	const char *file;
	unsigned line;
	char *why;
	size_t why_max;
	unsigned *seen; /* line of each key's first appearance; NULL for a single value */
};

/* --- conf_value.c --- */

/* A value into its field; value is written over. Errors with a sentence in why. */
PL_MUST_CHECK enum pl_err pl_conf_set(struct pl_conf_reader *reader, const struct pl_conf_entry *key, char *value);
/* A path as it stands in the file, from dir on. false: too long. */
bool pl_conf_join(const char *dir, const char *path, char out[PL_PATH_BYTES_MAX]);

/* PL_ERR_FORMAT, always, with this sentence; or with what the key wants to have. */
__attribute__((format(printf, 2, 3))) enum pl_err pl_conf_fail(struct pl_conf_reader *reader, const char *format, ...);
enum pl_err pl_conf_fail_value(struct pl_conf_reader *reader, const struct pl_conf_entry *key, const char *value);
/* The beginning of a text, fit to be shown. */
struct pl_conf_shown { char text[PL_CONF_SHOWN_BYTES]; };
struct pl_conf_shown pl_conf_show(const char *text);

#endif
