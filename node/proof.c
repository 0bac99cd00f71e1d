#include "node/proof.h"

#include <assert.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "proto/mp.h"

/* the array, its seven parts, the headers in two of them */
#define TOKENS_MAX (8 + 2 * PL_PROOF_NEIGHBOURS_MAX)

/* --- the file --- */

enum pl_err pl_proof_write(const struct pl_proof *proof, uint8_t *out, size_t out_max, size_t *out_bytes)
{
	if (proof->preceding_count > PL_PROOF_NEIGHBOURS_MAX || proof->following_count > PL_PROOF_NEIGHBOURS_MAX ||
	    proof->charter.count == 0 || proof->charter.count > PL_CHARTER_BYTES_MAX || proof->body.count == 0 ||
	    proof->body.count > PL_BODY_BYTES_MAX)
		return PL_ERR_LIMIT;
	struct pl_mp_writer writer;
	pl_mp_writer_init(&writer, out, out_max);
	pl_mp_put_array(&writer, 7);
	pl_mp_put_uint(&writer, PL_PROOF_VERSION);
	pl_mp_put_bin(&writer, proof->charter.bytes, proof->charter.count);
	pl_mp_put_bin(&writer, proof->header, PL_ENTRY_HEADER_BYTES);
	pl_mp_put_bin(&writer, proof->body.bytes, proof->body.count);
	pl_mp_put_bin(&writer, proof->cek, PL_CEK_BYTES);
	pl_mp_put_array(&writer, (uint32_t)proof->preceding_count);
	for (size_t i = 0; i < proof->preceding_count; i++)
		pl_mp_put_bin(&writer, proof->preceding[i], PL_ENTRY_HEADER_BYTES);
	pl_mp_put_array(&writer, (uint32_t)proof->following_count);
	for (size_t i = 0; i < proof->following_count; i++)
		pl_mp_put_bin(&writer, proof->following[i], PL_ENTRY_HEADER_BYTES);
	if (writer.err == PL_OK)
		*out_bytes = writer.count;
	return writer.err;
}

static size_t take_headers(struct pl_mp_cursor *cursor, const uint8_t *out[PL_PROOF_NEIGHBOURS_MAX])
{
	size_t count = pl_mp_enter_array(cursor, 0, PL_PROOF_NEIGHBOURS_MAX), bytes;
	for (size_t i = 0; i < count; i++)
		out[i] = pl_mp_take_bin(cursor, PL_ENTRY_HEADER_BYTES, PL_ENTRY_HEADER_BYTES, &bytes);
	return count;
}

enum pl_err pl_proof_read(const uint8_t *bytes, size_t count, struct pl_proof *out)
{
	struct pl_mp_token tokens[TOKENS_MAX];
	size_t tokens_count, fixed;
	if (count > PL_PROOF_BYTES_MAX)
		return PL_ERR_LIMIT;
	enum pl_err err = pl_mp_parse(bytes, count, tokens, TOKENS_MAX, &tokens_count);
	if (err != PL_OK)
		return err;
	struct pl_mp_cursor cursor;
	struct pl_proof proof = { 0 };
	pl_mp_cursor_init(&cursor, tokens, tokens_count);
	pl_mp_enter_versioned(&cursor, PL_PROOF_VERSION, 7);
	proof.charter.bytes = pl_mp_take_bin(&cursor, 1, PL_CHARTER_BYTES_MAX, &proof.charter.count);
	proof.header = pl_mp_take_bin(&cursor, PL_ENTRY_HEADER_BYTES, PL_ENTRY_HEADER_BYTES, &fixed);
	proof.body.bytes = pl_mp_take_bin(&cursor, 1, PL_BODY_BYTES_MAX, &proof.body.count);
	proof.cek = pl_mp_take_bin(&cursor, PL_CEK_BYTES, PL_CEK_BYTES, &fixed);
	proof.preceding_count = take_headers(&cursor, proof.preceding);
	proof.following_count = take_headers(&cursor, proof.following);
	err = pl_mp_finish(&cursor);
	if (err == PL_OK)
		*out = proof;
	return err;
}

/* --- the steps --- */

const char *pl_proof_step_name(enum pl_proof_step step)
{
	static const char *const names[PL_PROOF_STEPS] = { "form", "charter", "network", "author", "signature",
	                                                   "body", "key",     "text",    "chain" };
	return step < PL_PROOF_STEPS ? names[step] : "unknown";
}

static bool __attribute__((format(printf, 4, 5)))
find(struct pl_proof_report *report, enum pl_proof_step step, enum pl_proof_finding finding, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(report->steps[step].text, sizeof(report->steps[step].text), format, args);
	va_end(args);
	report->steps[step].finding = finding;
	return finding != PL_PROOF_BAD;
}

/* "1,234,567": as all that is printed beside it has its numbers. */
static void group_digits(size_t number, char out[32])
{
	if (number >= 1000000)
		(void)snprintf(out, 32, "%zu,%03zu,%03zu", number / 1000000, number / 1000 % 1000, number % 1000);
	else if (number >= 1000)
		(void)snprintf(out, 32, "%zu,%03zu", number / 1000, number % 1000);
	else
		(void)snprintf(out, 32, "%zu", number);
}

static bool check_form(struct pl_proof_report *report, const uint8_t *bytes, size_t count)
{
	enum pl_err err = pl_proof_read(bytes, count, &report->proof);
	if (err == PL_ERR_VERSION)
		return find(report, PL_PROOF_FORM, PL_PROOF_BAD, "a proof of another version than %d, which this program does not know",
		            PL_PROOF_VERSION);
	if (err != PL_OK)
		return find(report, PL_PROOF_FORM, PL_PROOF_BAD, "not a proof, or a damaged one: %s", pl_err_str(err));
	char bytes_text[32];
	group_digits(count, bytes_text);
	return find(report, PL_PROOF_FORM, PL_PROOF_GOOD,
	            "a proof of %s bytes: charter, entry, body, content key, and headers around the entry (%zu + %zu)", bytes_text,
	            report->proof.preceding_count, report->proof.following_count);
}

/* "CHE, FIN and SGP", or the number of them. */
static void list_members(const struct pl_charter *charter, char *out, size_t out_max)
{
	size_t used = 0;
	if (charter->members_count > 12) {
		(void)snprintf(out, out_max, "all %u of them", charter->members_count);
		return;
	}
	out[0] = '\0';
	for (unsigned i = 0; i < charter->members_count; i++) {
		const char *between = i == 0 ? "" : i + 1 == charter->members_count ? " and " : ", ";
		int written = snprintf(out + used, out_max - used, "%s%s", between, charter->members[i].code);
		used += (size_t)written;
	}
}

static bool check_charter(struct pl_proof_report *report)
{
	char at[PL_MEMBER_CODE_BYTES + 1] = "", id[2 * PL_ID_BYTES + 1], members[128];
	enum pl_err err = pl_charter_read(report->proof.charter.bytes, report->proof.charter.count, report->charter, at);
	if (err != PL_OK)
		return find(report, PL_PROOF_CHARTER, PL_PROOF_BAD, "the charter does not hold%s%s: %s",
		            at[0] != '\0' ? ", at member " : "", at, pl_err_str(err));
	sodium_bin2hex(id, sizeof(id), report->charter->network_id, PL_ID_BYTES);
	list_members(report->charter, members, sizeof(members));
	return find(report, PL_PROOF_CHARTER, PL_PROOF_GOOD, "network \"%s\", id %s; signed with the root keys of %s",
	            report->charter->name, id, members);
}

static bool check_network(struct pl_proof_report *report, const uint8_t *network_id)
{
	if (network_id == NULL)
		return find(report, PL_PROOF_NETWORK, PL_PROOF_OPEN,
		            "not compared: a file cannot show which charter is the right one; compare the network id with one that you got "
		            "another way");
	if (sodium_memcmp(network_id, report->charter->network_id, PL_ID_BYTES) != 0)
		return find(report, PL_PROOF_NETWORK, PL_PROOF_BAD, "the charter is another network's than the one that was asked for");
	return find(report, PL_PROOF_NETWORK, PL_PROOF_GOOD, "this is the network that was asked for");
}

/* PROTOCOL: "The author is a node of the charter, the generation is that of its certificate, and the charter epoch is that of the charter." */
static bool check_author(struct pl_proof_report *report)
{
	const struct pl_charter *charter = report->charter;
	struct pl_header *header = &report->header;
	enum pl_err err = pl_header_decode(report->proof.header, header);
	if (err != PL_OK)
		return find(report, PL_PROOF_AUTHOR, PL_PROOF_BAD, "the entry's header does not read: %s", pl_err_str(err));
	if (header->kind != PL_KIND_MESSAGE)
		return find(report, PL_PROOF_AUTHOR, PL_PROOF_BAD, "the entry is no message but of kind \"%s\"",
		            pl_kind_name(header->kind));
	uint16_t node = pl_charter_find_node(charter, header->author);
	if (node == PL_NODE_NONE)
		return find(report, PL_PROOF_AUTHOR, PL_PROOF_BAD, "the entry's author is no node of this charter");
	char name[PL_NODE_NAME_BYTES], time[PL_LOG_TIME_BYTES];
	pl_charter_node_name(charter, node, name);
	pl_log_time(header->time_ms, time);
	const struct pl_certificate *certificate = &charter->nodes[node].certificate;
	if (header->charter_epoch != charter->epoch)
		return find(report, PL_PROOF_AUTHOR, PL_PROOF_BAD, "the entry was made under charter epoch %u, this charter is epoch %u",
		            header->charter_epoch, charter->epoch);
	if (header->generation != certificate->generation)
		return find(report, PL_PROOF_AUTHOR, PL_PROOF_BAD, "the entry is of generation %u of %s, the charter names generation %u",
		            header->generation, name, certificate->generation);
	/* PROTOCOL: "The claimed time lies within the validity of the author's certificate." */
	if (header->time_ms < certificate->valid_from_ms || header->time_ms > certificate->valid_until_ms)
		return find(report, PL_PROOF_AUTHOR, PL_PROOF_BAD,
		            "the certificate of %s is not valid at the time that the entry claims, %s", name, time);
	report->author = node;
	pl_entry_id(charter->network_id, report->proof.header, report->entry_id);
	return find(report, PL_PROOF_AUTHOR, PL_PROOF_GOOD,
	            "node %s (%s) of %s, certified by its member; entry %s/%u/%llu, claimed time %s", name, certificate->label,
	            charter->members[charter->nodes[node].member].name, name, header->lane, (unsigned long long)header->seq, time);
}

static bool check_signature(struct pl_proof_report *report)
{
	enum pl_err err = pl_entry_verify(report->charter->network_id, report->proof.header);
	if (err != PL_OK)
		return find(report, PL_PROOF_SIGNATURE, PL_PROOF_BAD, "the author's key did not make the entry's signature");
	char id[2 * PL_ID_BYTES + 1];
	sodium_bin2hex(id, sizeof(id), report->entry_id, PL_ID_BYTES);
	return find(report, PL_PROOF_SIGNATURE, PL_PROOF_GOOD, "the author's key signed the entry, id %s", id);
}

static bool check_body(struct pl_proof_report *report)
{
	uint8_t hash[PL_ID_BYTES];
	pl_body_hash(report->proof.body.bytes, report->proof.body.count, hash);
	if (report->header.body_bytes != report->proof.body.count || sodium_memcmp(hash, report->header.body_hash, PL_ID_BYTES) != 0)
		return find(report, PL_PROOF_BODY, PL_PROOF_BAD, "the body is not the one that the author signed");
	return find(report, PL_PROOF_BODY, PL_PROOF_GOOD, "the body of %zu bytes has the hash that the author signed",
	            report->proof.body.count);
}

static struct pl_envelope_ctx context_of(const struct pl_proof_report *report)
{
	struct pl_envelope_ctx ctx = { .kind = report->header.kind };
	memcpy(ctx.network_id, report->charter->network_id, sizeof(ctx.network_id));
	memcpy(ctx.author, report->header.author, sizeof(ctx.author));
	return ctx;
}

static bool check_key(struct pl_proof_report *report, size_t *plain_bytes)
{
	const struct pl_envelope_ctx ctx = context_of(report);
	enum pl_err err = pl_envelope_open_with_cek(&ctx, report->proof.cek, report->proof.body.bytes, report->proof.body.count,
	                                            report->plain, PL_PLAINTEXT_BYTES_MAX, plain_bytes);
	if (err != PL_OK)
		return find(report, PL_PROOF_KEY, PL_PROOF_BAD,
		            "the content key is not the one that the author committed to, or does not open the body: %s", pl_err_str(err));
	return find(report, PL_PROOF_KEY, PL_PROOF_GOOD, "the content key is the one that the author committed to, and opens the body");
}

static bool check_text(struct pl_proof_report *report, size_t plain_bytes)
{
	enum pl_err err = pl_message_read(report->plain, plain_bytes, &report->message);
	if (err != PL_OK)
		return find(report, PL_PROOF_TEXT, PL_PROOF_BAD, "what the body holds does not read as a message: %s", pl_err_str(err));
	/* PROTOCOL: "The message names as its sender the member whose node signed the entry." */
	const char *code = report->charter->members[report->charter->nodes[report->author].member].code;
	if (strcmp(report->message.sender, code) != 0)
		return find(report, PL_PROOF_TEXT, PL_PROOF_BAD, "the message is in the name of %s, but a node of %s signed it",
		            report->message.sender, code);
	/* PROTOCOL: "A message stands where its precedence belongs: FLASH in lane 0 with the flag, immediate in lane 0 without it, priority and
	 * routine in lane 1." Its recipients show no other. */
	const uint8_t precedence = report->message.precedence;
	if ((precedence == PL_FLASH) != ((report->header.flags & PL_FLAG_FLASH) != 0) || report->header.lane != (precedence >= PL_IMMEDIATE ? 0 : 1))
		return find(report, PL_PROOF_TEXT, PL_PROOF_BAD, "the message says %s, and its entry stands in lane %u, %s the flag of FLASH, where none such belongs",
		            pl_precedence_name(precedence), report->header.lane, report->header.flags & PL_FLAG_FLASH ? "with" : "without");
	report->has_message = true;
	char id[2 * PL_MESSAGE_ID_BYTES + 1], time[PL_LOG_TIME_BYTES];
	sodium_bin2hex(id, sizeof(id), report->message.id, PL_MESSAGE_ID_BYTES);
	pl_log_time(report->message.sent_ms, time);
	return find(report, PL_PROOF_TEXT, PL_PROOF_GOOD, "message %s, %s%s, from %s, sent %s, %zu bytes of text, %u attachments by hash",
	            id, report->message.exercise ? "EXERCISE, " : "", pl_precedence_name(report->message.precedence), code, time,
	            report->message.text.bytes, report->message.attachments_count);
}

/* PROTOCOL: "The second names the id of the first as its `prev`; author, generation and lane are the same, seq goes up by one, and gseq
 * goes up." */
static enum pl_err check_link(const struct pl_proof_report *report, const uint8_t *before, const uint8_t *after)
{
	struct pl_header a, b;
	uint8_t id[PL_ID_BYTES];
	enum pl_err err = pl_header_decode(before, &a);
	if (err == PL_OK)
		err = pl_header_decode(after, &b);
	if (err != PL_OK)
		return err;
	if (memcmp(a.author, b.author, sizeof(a.author)) != 0 || a.lane != b.lane || a.generation != b.generation || b.seq - 1 != a.seq ||
	    b.gseq <= a.gseq)
		return PL_ERR_CHAIN;
	pl_entry_id(report->charter->network_id, before, id);
	return memcmp(id, b.prev, sizeof(id)) == 0 ? PL_OK : PL_ERR_CHAIN;
}

static bool check_chain(struct pl_proof_report *report)
{
	const struct pl_proof *proof = &report->proof;
	const uint8_t *chain[2 * PL_PROOF_NEIGHBOURS_MAX + 1];
	size_t count = 0, place = proof->preceding_count;
	for (size_t i = 0; i < proof->preceding_count; i++)
		chain[count++] = proof->preceding[i];
	chain[count++] = proof->header;
	for (size_t i = 0; i < proof->following_count; i++)
		chain[count++] = proof->following[i];
	for (size_t i = 0; i < count; i++) {
		enum pl_err err = i > 0 ? check_link(report, chain[i - 1], chain[i]) : PL_OK;
		if (err == PL_OK)
			err = pl_entry_verify(report->charter->network_id, chain[i]);
		if (err != PL_OK)
			return find(report, PL_PROOF_CHAIN, PL_PROOF_BAD, "the chain breaks %zu places %s the message: %s",
			            i < place ? place - i : i - place, i < place ? "before" : "after", pl_err_str(err));
	}
	if (count == 1)
		return find(report, PL_PROOF_CHAIN, PL_PROOF_GOOD, "the file has no entries before or after it%s",
		            report->header.seq == 1 ? "; it is the first of its lane" : "");
	return find(report, PL_PROOF_CHAIN, PL_PROOF_GOOD,
	            "entries before it: %zu%s; after it: %zu; each is signed by the author and names the one before by its hash",
	            proof->preceding_count, report->header.seq == proof->preceding_count + 1 ? ", back to the first of the lane" : "",
	            proof->following_count);
}

static bool check_all(struct pl_proof_report *report, const uint8_t *bytes, size_t count, const uint8_t *network_id)
{
	size_t plain_bytes = 0;
	return check_form(report, bytes, count) && check_charter(report) && check_network(report, network_id) && check_author(report) &&
	       check_signature(report) && check_body(report) && check_key(report, &plain_bytes) && check_text(report, plain_bytes) &&
	       check_chain(report);
}

enum pl_err pl_proof_verify(const uint8_t *bytes, size_t count, const uint8_t *network_id, struct pl_proof_report **out)
{
	struct pl_proof_report *report = calloc(1, sizeof(*report));
	if (report == NULL)
		return PL_ERR_MEMORY;
	report->author = PL_NODE_NONE;
	report->charter = calloc(1, sizeof(*report->charter));
	report->plain = malloc(PL_PLAINTEXT_BYTES_MAX);
	if (report->charter == NULL || report->plain == NULL) {
		pl_proof_report_free(report);
		return PL_ERR_MEMORY;
	}
	report->proven = check_all(report, bytes, count, network_id);
	if (report->steps[PL_PROOF_CHARTER].finding != PL_PROOF_GOOD) {
		free(report->charter);
		report->charter = NULL;
	}
	*out = report;
	return PL_OK;
}

void pl_proof_report_free(struct pl_proof_report *report)
{
	if (report == NULL)
		return;
	free(report->charter);
	free(report->plain);
	free(report);
}
