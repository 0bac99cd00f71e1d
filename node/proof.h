/* A proof: one message of a feed, disclosed to a stranger who holds no key and asks no node. PROTOCOL.md, "Proof".
 *
 * The file carries the charter, the message's entry with its content key, and the headers around it in its lane. The content key opens
 * this message and nothing else. Verification goes step by step, each step on what the ones before have shown, and stops at the first
 * that fails.
 *
 * What no file can show by itself is that its charter is the charter of the network that the reader has in mind: whoever makes keys can
 * make a charter. The reader compares the network id with one that came another way, or gives it to pl_proof_verify().
 */
#ifndef PL_NODE_PROOF_H
#define PL_NODE_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/envelope.h"
#include "crypto/err.h"
#include "proto/charter.h"
#include "proto/content.h"
#include "proto/entry.h"

#define PL_PROOF_MEDIA_TYPE "application/vnd.parley.proof"
#define PL_PROOF_VERSION 1
#define PL_PROOF_NEIGHBOURS_MAX 32 /* headers before, and as many after */
#define PL_PROOF_BYTES_MAX                                                                                                                 \
	(PL_CHARTER_BYTES_MAX + PL_BODY_BYTES_MAX + (2 * PL_PROOF_NEIGHBOURS_MAX + 1) * (PL_ENTRY_HEADER_BYTES + 2) + 128)

/* The parts of the file, borrowed. */
struct pl_proof {
	struct pl_bytes charter;
	const uint8_t *header; /* PL_ENTRY_HEADER_BYTES */
	struct pl_bytes body;
	const uint8_t *cek;    /* PL_CEK_BYTES */
	size_t preceding_count, following_count;
	const uint8_t *preceding[PL_PROOF_NEIGHBOURS_MAX]; /* in the order of the lane; the last one stands right before the message */
	const uint8_t *following[PL_PROOF_NEIGHBOURS_MAX]; /* likewise; the first one stands right after it */
};

/* PL_ERR_FULL, PL_ERR_LIMIT. out of PL_PROOF_BYTES_MAX is always enough. */
PL_MUST_CHECK enum pl_err pl_proof_write(const struct pl_proof *proof, uint8_t *out, size_t out_max, size_t *out_bytes);
/* The form only. PL_ERR_SHORT, PL_ERR_FORMAT, PL_ERR_VERSION, PL_ERR_LIMIT. */
PL_MUST_CHECK enum pl_err pl_proof_read(const uint8_t *bytes, size_t count, struct pl_proof *out);

enum pl_proof_step {
	PL_PROOF_FORM,      /* the file is a proof */
	PL_PROOF_CHARTER,   /* every founder's root keys signed the charter; its network id */
	PL_PROOF_NETWORK,   /* that id is the one which the reader expects */
	PL_PROOF_AUTHOR,    /* the charter names the author, with this generation, at this time */
	PL_PROOF_SIGNATURE, /* the author signed the entry */
	PL_PROOF_BODY,      /* the body is the one that the entry commits to */
	PL_PROOF_KEY,       /* the content key is the one that the body commits to, and opens it */
	PL_PROOF_TEXT,      /* what it opens is a message, sent in the name of the author's own member */
	PL_PROOF_CHAIN,     /* the entries before and after hang together with it, each signed */
	PL_PROOF_STEPS,
};
const char *pl_proof_step_name(enum pl_proof_step step); /* "charter" */

enum pl_proof_finding {
	PL_PROOF_NOT_REACHED, /* a step before it failed */
	PL_PROOF_GOOD,
	PL_PROOF_OPEN,        /* PL_PROOF_NETWORK without an id to compare with: left to the reader */
	PL_PROOF_BAD,
};

struct pl_proof_report {
	bool proven; /* no step is bad, all were reached */
	struct {
		enum pl_proof_finding finding;
		char text[320]; /* a sentence for people; empty if not reached */
	} steps[PL_PROOF_STEPS];
	/* Filled as far as the steps went: charter after PL_PROOF_CHARTER, header, entry_id and author after PL_PROOF_AUTHOR, message
	 * after PL_PROOF_TEXT. */
	struct pl_proof proof;           /* points into the bytes given */
	struct pl_charter *charter;      /* NULL before; owned */
	struct pl_header header;
	uint8_t entry_id[PL_ID_BYTES];
	uint16_t author;                 /* index in the charter, PL_NODE_NONE before */
	bool has_message;
	struct pl_message message;       /* points into plain */
	uint8_t *plain;                  /* owned */
};

/* network_id: the one to expect, or NULL. The report is made whatever the file is worth; read proven first. bytes live as long as the
 * report. PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_proof_verify(const uint8_t *bytes, size_t count, const uint8_t *network_id, struct pl_proof_report **out);
void pl_proof_report_free(struct pl_proof_report *report);

#endif
