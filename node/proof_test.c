#include "node/proof.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture.h"

#define SENDER 1 /* FIN of CHE, FIN, SGP */
#define PLACE 5  /* of the message in the lane below, 1.. */
#define LANE_MAX 64

/* A lane of FIN with a message at a place in it, and all that goes into its proof; a test bends parts before seal_lane(). */
struct story {
	struct pl_fixture *fixture;
	struct pl_message message;
	uint8_t seed[32];
	struct pl_header bend; /* generation, charter_epoch, time_ms, kind, flags, lane of the message's entry */
	size_t place, count;
	uint8_t headers[LANE_MAX][PL_ENTRY_HEADER_BYTES];
	uint8_t *body;
	size_t body_bytes;
	uint8_t cek[PL_CEK_BYTES];
	struct pl_proof proof;
	uint8_t *file;
	size_t file_bytes;
};

static struct pl_text text(const char *chars)
{
	return (struct pl_text){ chars, strlen(chars) };
}

static struct story *new_story(size_t place, size_t count)
{
	struct story *s = calloc(1, sizeof(*s));
	s->fixture = pl_fixture_new(1, 3, 1);
	s->place = place;
	s->count = count;
	s->message = (struct pl_message){ .precedence = PL_PRIORITY, .sent_ms = PL_FIXTURE_CREATED_MS + 1000, .sender = "FIN",
	                                  .operator_name = text("duty"), .subject = text("Harbour"), .text = text("Do you see this too?"),
	                                  .recipients_count = 1, .recipients = { { "SGP", 0 } }, .attachments_count = 1 };
	memset(s->message.id, 0x5a, sizeof(s->message.id));
	s->message.attachments[0] =
		(struct pl_attachment){ .name = text("list.csv"), .media_type = text("text/csv"), .bytes = 3, .chunks = 1 };
	pl_fixture_seed("proof", 1, 1, s->seed);
	s->bend = (struct pl_header){ .generation = 1, .time_ms = PL_FIXTURE_CREATED_MS + 1000, .kind = PL_KIND_MESSAGE, .lane = 1 };
	s->body = malloc(PL_BODY_BYTES_MAX);
	s->file = malloc(PL_PROOF_BYTES_MAX);
	return s;
}

static void seal_message(struct story *s)
{
	const struct pl_charter *charter = &s->fixture->charter;
	uint8_t secret[32], public_key[PL_EPOCH_PUBLIC_BYTES], plain[4096];
	size_t plain_bytes;
	pl_fixture_seed("epoch", 1, 1, secret);
	pl_epoch_public(secret, public_key);
	const struct pl_envelope_recipient recipient = { public_key, NULL };
	struct pl_envelope_ctx ctx = { .kind = s->bend.kind };
	memcpy(ctx.network_id, charter->network_id, 32);
	memcpy(ctx.author, charter->nodes[SENDER].certificate.node_id, 32);
	cr_assert_eq(pl_message_write(&s->message, plain, sizeof(plain), &plain_bytes), PL_OK);
	cr_assert_eq(pl_envelope_seal(&ctx, &recipient, 1, plain, plain_bytes, s->seed, s->body, PL_BODY_BYTES_MAX, &s->body_bytes, s->cek),
	             PL_OK);
}

static void sign_header(struct story *s, size_t index, unsigned signer)
{
	const struct pl_charter *charter = &s->fixture->charter;
	struct pl_header header = { .lane = 1,
	                            .kind = PL_KIND_RECEIPTS,
	                            .generation = 1,
	                            .body_bytes = 5,
	                            .seq = index + 1,
	                            .gseq = 3 * index + 2,
	                            .time_ms = PL_FIXTURE_CREATED_MS + index };
	memcpy(header.author, charter->nodes[signer].certificate.node_id, 32);
	pl_body_hash((const uint8_t *)"other", 5, header.body_hash);
	if (index + 1 == s->place) {
		header.kind = s->bend.kind;
		header.lane = s->bend.lane;
		header.flags = s->bend.flags;
		header.generation = s->bend.generation;
		header.charter_epoch = s->bend.charter_epoch;
		header.time_ms = s->bend.time_ms;
		header.body_bytes = (uint32_t)s->body_bytes;
		pl_body_hash(s->body, s->body_bytes, header.body_hash);
	}
	if (index > 0)
		pl_entry_id(charter->network_id, s->headers[index - 1], header.prev);
	pl_header_encode(&header, s->headers[index]);
	pl_entry_sign(charter->network_id, s->fixture->nodes[signer].sign_secret, s->headers[index]);
}

static void write_file(struct story *s)
{
	cr_assert_eq(pl_proof_write(&s->proof, s->file, PL_PROOF_BYTES_MAX, &s->file_bytes), PL_OK);
}

static struct story *finish_story(struct story *s)
{
	seal_message(s);
	for (size_t i = 0; i < s->count; i++)
		sign_header(s, i, SENDER);
	s->proof = (struct pl_proof){ .charter = { s->fixture->document, s->fixture->document_bytes }, .header = s->headers[s->place - 1],
	                              .body = { s->body, s->body_bytes }, .cek = s->cek };
	for (size_t i = s->place > PL_PROOF_NEIGHBOURS_MAX + 1 ? s->place - PL_PROOF_NEIGHBOURS_MAX - 1 : 0; i + 1 < s->place; i++)
		s->proof.preceding[s->proof.preceding_count++] = s->headers[i];
	for (size_t i = s->place; i < s->count && s->proof.following_count < PL_PROOF_NEIGHBOURS_MAX; i++)
		s->proof.following[s->proof.following_count++] = s->headers[i];
	write_file(s);
	return s;
}

static void free_story(struct story *s)
{
	free(s->fixture);
	free(s->body);
	free(s->file);
	free(s);
}

/* Verifies a copy of exactly this size. */
static struct pl_proof_report *verify(const uint8_t *bytes, size_t count, uint8_t **copy)
{
	struct pl_proof_report *report;
	*copy = malloc(count > 0 ? count : 1);
	memcpy(*copy, bytes, count);
	cr_assert_eq(pl_proof_verify(*copy, count, NULL, &report), PL_OK);
	return report;
}

/* The step at which a file fails, or PL_PROOF_STEPS. */
static enum pl_proof_step failing_step(const uint8_t *bytes, size_t count)
{
	uint8_t *copy;
	struct pl_proof_report *report = verify(bytes, count, &copy);
	enum pl_proof_step step = PL_PROOF_FORM;
	while (step < PL_PROOF_STEPS && report->steps[step].finding != PL_PROOF_BAD)
		step++;
	cr_expect_eq(report->proven, step == PL_PROOF_STEPS);
	for (enum pl_proof_step later = step + 1; later < PL_PROOF_STEPS; later++)
		cr_expect_eq(report->steps[later].finding, PL_PROOF_NOT_REACHED);
	pl_proof_report_free(report);
	free(copy);
	return step;
}

Test(proof, shows_author_charter_chain_and_text)
{
	struct story *s = finish_story(new_story(PLACE, 9));
	uint8_t *copy;
	struct pl_proof_report *report = verify(s->file, s->file_bytes, &copy);
	cr_assert(report->proven);
	for (enum pl_proof_step step = PL_PROOF_FORM; step < PL_PROOF_STEPS; step++) {
		cr_expect_eq(report->steps[step].finding, step == PL_PROOF_NETWORK ? PL_PROOF_OPEN : PL_PROOF_GOOD, "%s: %s",
		             pl_proof_step_name(step), report->steps[step].text);
		cr_expect_lt(strlen(report->steps[step].text), sizeof(report->steps[step].text) - 1, "%s is cut", pl_proof_step_name(step));
	}
	char id[65];
	sodium_bin2hex(id, sizeof(id), s->fixture->charter.network_id, 32);
	cr_expect_not_null(strstr(report->steps[PL_PROOF_CHARTER].text, id), "%s", report->steps[PL_PROOF_CHARTER].text);
	cr_expect_not_null(strstr(report->steps[PL_PROOF_CHARTER].text, "CHE, FIN and SGP"));
	cr_expect_not_null(strstr(report->steps[PL_PROOF_AUTHOR].text, "FIN/1/5"), "%s", report->steps[PL_PROOF_AUTHOR].text);
	cr_expect_not_null(strstr(report->steps[PL_PROOF_CHAIN].text, "entries before it: 4, back to the first of the lane; after it: 4;"), "%s",
	                   report->steps[PL_PROOF_CHAIN].text);
	cr_expect_eq(report->author, SENDER);
	cr_expect(report->has_message);
	cr_expect_eq(report->message.text.bytes, 20);
	cr_expect_arr_eq(report->message.text.chars, "Do you see this too?", 20);
	cr_expect_eq(report->message.attachments_count, 1);
	pl_proof_report_free(report);
	free(copy);
	free_story(s);
}

Test(proof, a_stranger_says_which_network_he_means)
{
	struct story *s = finish_story(new_story(PLACE, 9));
	struct pl_proof_report *report;
	cr_assert_eq(pl_proof_verify(s->file, s->file_bytes, s->fixture->charter.network_id, &report), PL_OK);
	cr_expect(report->proven);
	cr_expect_eq(report->steps[PL_PROOF_NETWORK].finding, PL_PROOF_GOOD);
	pl_proof_report_free(report);
	uint8_t other[32] = { 1 };
	cr_assert_eq(pl_proof_verify(s->file, s->file_bytes, other, &report), PL_OK);
	cr_expect(!report->proven);
	cr_expect_eq(report->steps[PL_PROOF_NETWORK].finding, PL_PROOF_BAD);
	cr_expect(!report->has_message, "nothing is shown of a proof for another network");
	pl_proof_report_free(report);
	free_story(s);
}

Test(proof, stands_at_either_end_of_a_lane_and_far_from_both)
{
	static const struct {
		size_t place, count, before, after;
	} cases[] = { { 1, 1, 0, 0 }, { 1, 3, 0, 2 }, { 3, 3, 2, 0 }, { 33, 64, 32, 31 }, { 32, 64, 31, 32 }, { 34, 64, 32, 30 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct story *s = finish_story(new_story(cases[i].place, cases[i].count));
		cr_expect_eq(s->proof.preceding_count, cases[i].before);
		cr_expect_eq(s->proof.following_count, cases[i].after);
		cr_expect_eq(failing_step(s->file, s->file_bytes), PL_PROOF_STEPS, "case %zu", i);
		free_story(s);
	}
}

Test(proof, every_truncation_is_refused)
{
	struct story *s = finish_story(new_story(2, 3));
	for (size_t count = 0; count < s->file_bytes; count++)
		cr_assert_eq(failing_step(s->file, count), PL_PROOF_FORM, "%zu bytes", count);
	s->file[s->file_bytes] = 0;
	cr_assert_eq(failing_step(s->file, s->file_bytes + 1), PL_PROOF_FORM, "a byte too many");
	free_story(s);
}

/* All bits of the header, the key and what frames them; samples of the rest, which is hashed or signed whole. */
Test(proof, every_flipped_bit_is_refused, .timeout = 120)
{
	struct story *s = finish_story(new_story(2, 3));
	cr_assert_eq(failing_step(s->file, s->file_bytes), PL_PROOF_STEPS);
	const size_t charter_end = 5 + s->fixture->document_bytes, body_start = charter_end + 2 + PL_ENTRY_HEADER_BYTES + 3;
	const size_t key_end = body_start + s->body_bytes + 2 + PL_CEK_BYTES;
	for (size_t i = 0; i < s->file_bytes; i++) {
		bool sampled = (i > 5 && i < charter_end) || (i > body_start && i < body_start + s->body_bytes) || i > key_end + 3;
		for (unsigned bit = 0; bit < 8; bit++) {
			if (sampled && (i * 8 + bit) % 61 != 0)
				continue;
			s->file[i] ^= (uint8_t)(1u << bit);
			cr_assert_neq(failing_step(s->file, s->file_bytes), PL_PROOF_STEPS, "byte %zu bit %u", i, bit);
			s->file[i] ^= (uint8_t)(1u << bit);
		}
	}
	free_story(s);
}

/* Each lie that somebody with the keys of a node or of a founder could tell, and the step that finds it. */
Test(proof, a_charter_with_a_wrong_signature)
{
	struct story *s = finish_story(new_story(PLACE, 9));
	s->fixture->document[s->fixture->document_bytes - 1] ^= 1; /* of the last founder's signature */
	write_file(s);
	cr_assert_eq(failing_step(s->file, s->file_bytes), PL_PROOF_CHARTER);
	free_story(s);
}

Test(proof, a_charter_of_another_network)
{
	struct story *s = finish_story(new_story(PLACE, 9));
	struct pl_fixture *other = pl_fixture_new(2, 3, 1);
	s->proof.charter = (struct pl_bytes){ other->document, other->document_bytes };
	write_file(s);
	cr_assert_eq(failing_step(s->file, s->file_bytes), PL_PROOF_AUTHOR);
	free(other);
	free_story(s);
}

Test(proof, an_entry_that_the_charter_does_not_back)
{
	static const struct pl_header bends[] = {
		{ .generation = 2, .time_ms = PL_FIXTURE_CREATED_MS, .kind = PL_KIND_MESSAGE },
		{ .generation = 1, .charter_epoch = 1, .time_ms = PL_FIXTURE_CREATED_MS, .kind = PL_KIND_MESSAGE },
		{ .generation = 1, .time_ms = PL_FIXTURE_CREATED_MS - 86400001, .kind = PL_KIND_MESSAGE },
		{ .generation = 1, .time_ms = PL_FIXTURE_CREATED_MS + 31536000001, .kind = PL_KIND_MESSAGE },
		{ .generation = 1, .time_ms = PL_FIXTURE_CREATED_MS, .kind = PL_KIND_RECEIPTS },
	};
	for (size_t i = 0; i < sizeof(bends) / sizeof(bends[0]); i++) {
		struct story *s = new_story(PLACE, 9);
		s->bend = bends[i];
		finish_story(s);
		cr_expect_eq(failing_step(s->file, s->file_bytes), PL_PROOF_AUTHOR, "case %zu", i);
		free_story(s);
	}
}

Test(proof, an_entry_signed_by_another_node)
{
	struct story *s = finish_story(new_story(PLACE, 9));
	pl_entry_sign(s->fixture->charter.network_id, s->fixture->nodes[0].sign_secret, s->headers[PLACE - 1]);
	write_file(s);
	cr_assert_eq(failing_step(s->file, s->file_bytes), PL_PROOF_SIGNATURE);
	free_story(s);
}

Test(proof, another_body_or_another_key)
{
	struct story *s = finish_story(new_story(PLACE, 9));
	uint8_t cek[PL_CEK_BYTES], *body = malloc(s->body_bytes);
	memcpy(cek, s->cek, sizeof(cek));
	memcpy(body, s->body, s->body_bytes);
	s->message.text = text("Do you see that too?");
	pl_fixture_seed("proof", 1, 2, s->seed);
	seal_message(s);
	memcpy(s->cek, cek, sizeof(cek));
	write_file(s);
	cr_expect_eq(failing_step(s->file, s->file_bytes), PL_PROOF_BODY);
	memcpy(s->body, body, s->body_bytes);
	pl_fixture_seed("another key", 1, 1, s->cek);
	write_file(s);
	cr_expect_eq(failing_step(s->file, s->file_bytes), PL_PROOF_KEY);
	free(body);
	free_story(s);
}

Test(proof, a_message_in_the_name_of_another_member)
{
	struct story *s = new_story(PLACE, 9);
	strcpy(s->message.sender, "CHE");
	finish_story(s);
	cr_assert_eq(failing_step(s->file, s->file_bytes), PL_PROOF_TEXT);
	free_story(s);
}

Test(proof, a_precedence_that_does_not_belong_where_the_entry_stands)
{
	static const struct { uint8_t precedence, lane, flags; bool holds; } cases[] = {
		{ PL_ROUTINE, 1, 0, true }, { PL_IMMEDIATE, 0, 0, true }, { PL_FLASH, 0, PL_FLAG_FLASH, true }, { PL_FLASH, 1, 0, false },
		{ PL_IMMEDIATE, 1, 0, false }, { PL_FLASH, 0, 0, false }, { PL_IMMEDIATE, 0, PL_FLAG_FLASH, false }, { PL_ROUTINE, 0, 0, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct story *s = new_story(1, 1);
		s->message.precedence = cases[i].precedence;
		s->bend.lane = cases[i].lane;
		s->bend.flags = cases[i].flags;
		finish_story(s);
		cr_assert_eq(failing_step(s->file, s->file_bytes), cases[i].holds ? PL_PROOF_STEPS : PL_PROOF_TEXT, "case %zu", i);
		free_story(s);
	}
}

Test(proof, neighbours_that_do_not_belong)
{
	struct story *s = finish_story(new_story(PLACE, 9));
	struct pl_proof whole = s->proof;

	s->proof.preceding_count--; /* the first ones without the one right before */
	write_file(s);
	cr_expect_eq(failing_step(s->file, s->file_bytes), PL_PROOF_CHAIN, "a gap before");

	s->proof = whole;
	s->proof.preceding[1] = whole.preceding[0];
	write_file(s);
	cr_expect_eq(failing_step(s->file, s->file_bytes), PL_PROOF_CHAIN, "one twice");

	s->proof = whole;
	s->proof.following[0] = whole.following[1];
	s->proof.following_count = 1;
	write_file(s);
	cr_expect_eq(failing_step(s->file, s->file_bytes), PL_PROOF_CHAIN, "a gap after");

	s->proof = whole;
	s->proof.preceding_count = 0;
	s->proof.following_count = 1;
	write_file(s);
	cr_expect_eq(failing_step(s->file, s->file_bytes), PL_PROOF_STEPS, "fewer neighbours are no lie");

	/* re-signed by somebody else, hashes in order */
	s->proof = whole;
	for (size_t i = PLACE; i < 9; i++)
		sign_header(s, i, 0);
	write_file(s);
	cr_expect_eq(failing_step(s->file, s->file_bytes), PL_PROOF_CHAIN, "another author's");
	free_story(s);
}

Test(proof, another_version_says_so)
{
	struct story *s = finish_story(new_story(1, 1));
	uint8_t *copy;
	s->file[1] = 2;
	struct pl_proof_report *report = verify(s->file, s->file_bytes, &copy);
	cr_expect_eq(report->steps[PL_PROOF_FORM].finding, PL_PROOF_BAD);
	cr_expect_not_null(strstr(report->steps[PL_PROOF_FORM].text, "version"), "%s", report->steps[PL_PROOF_FORM].text);
	pl_proof_report_free(report);
	free(copy);
	free_story(s);
}

Test(proof, writing_keeps_to_the_limits)
{
	struct story *s = finish_story(new_story(1, 1));
	size_t count;
	cr_expect_eq(pl_proof_write(&s->proof, s->file, s->file_bytes - 1, &count), PL_ERR_FULL);
	s->proof.preceding_count = PL_PROOF_NEIGHBOURS_MAX + 1;
	cr_expect_eq(pl_proof_write(&s->proof, s->file, PL_PROOF_BYTES_MAX, &count), PL_ERR_LIMIT);
	s->proof.preceding_count = 0;
	s->proof.body.count = PL_BODY_BYTES_MAX + 1;
	cr_expect_eq(pl_proof_write(&s->proof, s->file, PL_PROOF_BYTES_MAX, &count), PL_ERR_LIMIT);
	free_story(s);
}
