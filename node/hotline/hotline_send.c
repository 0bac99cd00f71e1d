#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"

/* --- ends --- */

void pl_sending_free(struct pl_sending *sending)
{
	struct pl_hotline *hotline = sending->hotline;
	struct pl_sending **link = &sending->hotline->sendings;
	while (*link && *link != sending)
		link = &(*link)->next;
	if (*link)
		*link = sending->next;
	struct pl_sending *other = sending->hotline->sendings;
	while (other && other->waits_for != sending)
		other = other->next;
	if (other) { /* each is waited for by one at most */
		other->waits_for = NULL;
		pl_sending_prepare(other);
	}
	pl_wipe_free(sending->operator_name, sending->message.operator_name.bytes);
	pl_wipe_free(sending->subject, sending->message.subject.bytes);
	pl_wipe_free(sending->text, sending->message.text.bytes);
	pl_wipe_free(sending->metas, sending->metas ? PL_ATTACHMENTS_MAX * sizeof(*sending->metas) : 0);
	pl_wipe_free(sending->plain, sending->plain_bytes);
	pl_message_row_wipe(&sending->row);
	free(sending->reply_to);
	sodium_memzero(sending->cek, sizeof(sending->cek));
	free(sending);
	if (hotline->resume_wanted && !hotline->sendings)
		pl_hotline_resume(hotline);
}

static enum pl_err release_work(struct pl_job *job, sqlite3 *db)
{
	const struct pl_sending *sending = job->ctx;
	return pl_upload_release(db, sending->message.id);
}

static void release_done(struct pl_job *job)
{
	pl_sending_free(job->ctx); /* if it failed, the uploads go with time */
}

static void refuse(struct pl_sending *sending, const struct pl_refusal *refusal)
{
	if (sending->done)
		sending->done(sending->ctx, refusal, NULL);
	sending->done = NULL;
	if (sending->message.attachments_count == 0 || sending->hotline->stopped) {
		pl_sending_free(sending);
		return;
	}
	sending->job = (struct pl_job){ .work = release_work, .done = release_done, .ctx = sending, .writes = true };
	pl_store_run(sending->hotline->store, &sending->job);
}

void pl_sending_refuse(struct pl_sending *sending, int status, const char *code, const char *hint, const char *format, ...)
{
	struct pl_refusal refusal = { .status = status, .code = code, .hint = hint };
	va_list args;
	va_start(args, format);
	vsnprintf(refusal.message, sizeof(refusal.message), format, args);
	va_end(args);
	refuse(sending, &refusal);
}

void pl_sending_refuse_err(struct pl_sending *sending, enum pl_err err)
{
	const char *code, *hint;
	int status = pl_api_status_of(err, &code, &hint);
	pl_sending_refuse(sending, status, code, hint, "the message was not sent: %s", pl_api_reason(err));
}

/* Over quota, and for how long: a person at a keyboard can wait six seconds, or send it as something else. */
static void refuse_quota(struct pl_sending *sending)
{
	const struct pl_core *core = sending->hotline->core;
	const uint32_t bytes = (uint32_t)sending->seal.envelope_bytes;
	struct pl_refusal refusal = { .retry_after_ms = pl_core_quota_wait_ms(core, sending->lane, sending->flags, bytes) };
	refusal.status = pl_api_status_of(PL_ERR_QUOTA, &refusal.code, &refusal.hint);
	const bool is_flash = (sending->flags & PL_FLAG_FLASH) && pl_core_quota_wait_ms(core, sending->lane, 0, bytes) == 0;
	if (is_flash)
		refusal.hint = "With precedence immediate it goes now.";
	snprintf(refusal.message, sizeof(refusal.message), "the message was not sent: %s; the next can go in %llu s",
	         is_flash ? "this node has sent as many FLASH messages as its quota allows" :
	                    "this node has sent as much of this precedence as its quota allows",
	         (unsigned long long)(refusal.retry_after_ms + 999) / 1000);
	refuse(sending, &refusal);
}

/* With little room left on the disk, lane 0 goes on. */
static void refuse_room(struct pl_sending *sending)
{
	struct pl_refusal refusal = { .status = 0 };
	refusal.status = pl_api_status_of(PL_ERR_DISK_FULL, &refusal.code, &refusal.hint);
	refusal.hint = "With precedence immediate or flash it goes now. Free space on the volume of the store; the daemon goes on by itself.";
	snprintf(refusal.message, sizeof(refusal.message),
	         "the message was not sent: there is little room left on the disk, which is kept for immediate and flash messages");
	refuse(sending, &refusal);
}

void pl_sending_tell(struct pl_sending *sending)
{
	sending->sent.no_key = sending->no_key;
	sending->sent.no_key_count = sending->no_key_count;
	if (sending->done)
		sending->done(sending->ctx, NULL, &sending->sent);
	sending->done = NULL;
}

/* --- while the disk is full --- */

static void tell_unlisted(struct pl_sending *sending)
{
	struct pl_sending *other = sending->hotline->sendings;
	sending->sent.is_unlisted = sending->is_unlisted = true;
	pl_sending_tell(sending);
	while (other && other->waits_for != sending)
		other = other->next;
	if (other) {
		other->waits_for = NULL;
		pl_sending_prepare(other);
	}
}

static bool is_to_be_told(const struct pl_sending *sending)
{
	return sending->done && sending->durable && !sending->kept && !sending->waits_for;
}

void pl_sendings_wait(void *ctx, uint16_t node, uint8_t lane)
{
	struct pl_hotline *hotline = ctx;
	struct pl_sending *sending = hotline->sendings;
	while (node == hotline->self && sending) {
		if (is_to_be_told(sending) && sending->lane == lane) {
			tell_unlisted(sending);
			sending = hotline->sendings; /* the list may be another now; this one is told */
		} else {
			sending = sending->next;
		}
	}
}

const struct pl_sending *pl_sending_unlisted(const struct pl_hotline *hotline, const uint8_t low[PL_MESSAGE_ID_BYTES],
                                             const uint8_t high[PL_MESSAGE_ID_BYTES])
{
	const struct pl_sending *sending = hotline->sendings;
	while (sending && !(sending->is_unlisted && memcmp(sending->message.id, low, PL_MESSAGE_ID_BYTES) >= 0 &&
	                    memcmp(sending->message.id, high, PL_MESSAGE_ID_BYTES) <= 0))
		sending = sending->next;
	return sending;
}

/* --- envelope by envelope --- */

/* An envelope could not be sent. Before the first one nothing has happened yet; after it the message exists, and housekeeping goes on with
 * it. */
static void stumble(struct pl_sending *sending, enum pl_err err)
{
	if (sending->envelope == 0 && err == PL_ERR_QUOTA) {
		refuse_quota(sending);
		return;
	}
	if (sending->envelope == 0 && err == PL_ERR_DISK_FULL && sending->lane == 1 && pl_core_room(sending->hotline->core).lanes == 1) {
		refuse_room(sending);
		return;
	}
	if (sending->envelope == 0) {
		pl_sending_refuse_err(sending, err);
		return;
	}
	PL_LOG(PL_LOG_WARNING, "hotline", "a message has not gone to all its recipients yet", PL_F_U64("envelopes", sending->envelope),
	       PL_F_STR("error", pl_api_reason(err)));
	if (sending->is_resumed)
		sending->hotline->resume_wanted = false; /* at once it would stumble again */
	pl_sending_tell(sending);
	pl_sending_free(sending);
}

static void proceed(struct pl_sending *sending)
{
	if (!sending->durable || !sending->kept)
		return;
	sending->envelope++;
	sending->nodes_done += sending->seal.nodes_count - 1u;
	if (sending->nodes_done < sending->nodes_count && !sending->hotline->stopped) {
		pl_sending_next(sending);
		return;
	}
	pl_sending_tell(sending);
	pl_sending_free(sending);
}

static void submitted(void *ctx, enum pl_err err, const struct pl_store_entry *entry)
{
	struct pl_sending *sending = ctx;
	if (err != PL_OK) {
		stumble(sending, err);
		return;
	}
	if (sending->envelope == 0) {
		sending->sent.ref = (struct pl_ref){ entry->node, entry->lane, entry->seq };
		memcpy(sending->sent.id, sending->message.id, sizeof(sending->sent.id));
		memcpy(sending->sent.entry_id, entry->id, sizeof(sending->sent.entry_id));
		sending->sent.time_ms = sending->message.sent_ms;
		sending->sent.bytes = entry->body_bytes;
	}
	sending->durable = true;
	if (sending->hotline->stopped)
		pl_sendings_stop(sending->hotline);
	else if (is_to_be_told(sending) && pl_applier_waits(sending->hotline->applier, sending->hotline->self, sending->lane))
		tell_unlisted(sending);
	else
		proceed(sending);
}

void pl_sendings_stop(struct pl_hotline *hotline)
{
	/* Those whose entry is durable will be kept at the next start, when it comes. */
	for (struct pl_sending *sending = hotline->sendings, *next; sending; sending = next) {
		next = sending->next;
		if (sending->durable && (!sending->keeping || sending->kept)) {
			pl_sending_tell(sending);
			pl_sending_free(sending);
		}
	}
}

bool pl_hotline_sent_entry(struct pl_hotline *hotline, const struct pl_store_entry *entry)
{
	const uint8_t *body_hash = pl_header_body_hash(entry->header);
	struct pl_sending *sending = hotline->sendings;
	while (sending && !(sending->submitted && !sending->keeping && memcmp(sending->body_hash, body_hash, PL_ID_BYTES) == 0))
		sending = sending->next;
	if (!sending)
		return false;
	struct pl_keep *keep = pl_keep_new(hotline, entry);
	if (!keep) {
		pl_apply_later(hotline->applier, entry->node, entry->lane, entry->seq);
		return true;
	}
	keep->plain = sending->plain;
	keep->plain_bytes = sending->plain_bytes;
	sending->plain = NULL;
	memcpy(keep->cek, sending->cek, sizeof(keep->cek));
	keep->more = sending->nodes_done + sending->seal.nodes_count - 1u < sending->nodes_count;
	if (pl_message_read(keep->plain, keep->plain_bytes, &keep->message) != PL_OK)
		abort(); /* it was written a moment ago */
	keep->sending = sending;
	sending->keeping = true;
	pl_hotline_keep(keep);
	return true;
}

void pl_sending_kept(struct pl_sending *sending, bool dropped)
{
	/* Dropped: the entry is durable, and the next start takes it up. */
	if (dropped)
		sending->nodes_done = sending->nodes_count;
	sending->kept = true;
	sending->is_unlisted = false;
	proceed(sending);
}

static void sealed(struct pl_seal *seal)
{
	struct pl_sending *sending = seal->ctx;
	struct pl_hotline *hotline = sending->hotline;
	enum pl_err err = seal->err;
	memcpy(sending->cek, seal->cek, sizeof(sending->cek));
	sodium_memzero(seal->cek, sizeof(seal->cek));
	if (err == PL_OK && seal->envelope_bytes > pl_body_bytes_max(PL_KIND_MESSAGE, sending->flags))
		err = PL_ERR_LIMIT;
	if (err == PL_OK && hotline->stopped)
		err = PL_ERR_STATE;
	if (err == PL_OK) {
		pl_body_hash(seal->envelope, seal->envelope_bytes, sending->body_hash);
		sending->submitted = true;
		err = pl_core_submit(hotline->core, sending->lane, PL_KIND_MESSAGE, sending->flags, seal->envelope, (uint32_t)seal->envelope_bytes,
		                     submitted, sending);
	}
	free(seal->envelope);
	seal->envelope = NULL;
	if (err != PL_OK)
		stumble(sending, err);
}

void pl_sending_next(struct pl_sending *sending)
{
	struct pl_hotline *hotline = sending->hotline;
	if (pl_core_is_frozen(hotline->core)) { /* it has no key to seal to itself with */
		stumble(sending, PL_ERR_FORK);
		return;
	}
	size_t count = sending->nodes_count - sending->nodes_done;
	if (count > PL_SLOTS_FOR_OTHERS)
		count = PL_SLOTS_FOR_OTHERS;
	sending->submitted = sending->durable = sending->keeping = sending->kept = false;
	sending->seal = (struct pl_seal){ .kind = PL_KIND_MESSAGE, .urgent = sending->flags & PL_FLAG_FLASH, .done = sealed, .ctx = sending };
	memcpy(sending->seal.nodes, sending->nodes + sending->nodes_done, count * sizeof(sending->nodes[0]));
	sending->seal.nodes[count] = hotline->self;
	sending->seal.nodes_count = (uint16_t)(count + 1);
	/* Each envelope has its own content key, so its attachments are sealed anew, under new ids. */
	for (uint8_t i = 0; i < sending->message.attachments_count; i++)
		randombytes_buf(sending->message.attachments[i].id, sizeof(sending->message.attachments[i].id));
	pl_wipe_free(sending->plain, sending->plain_bytes);
	sending->plain = malloc(PL_PLAINTEXT_BYTES_MAX);
	sending->plain_bytes = 0;
	enum pl_err err = sending->plain ? PL_OK : PL_ERR_MEMORY;
	if (err == PL_OK)
		err = pl_message_write(&sending->message, sending->plain, PL_PLAINTEXT_BYTES_MAX, &sending->plain_bytes);
	if (err == PL_ERR_FULL)
		err = PL_ERR_LIMIT;
	if (err != PL_OK) {
		stumble(sending, err);
		return;
	}
	sending->seal.plain = sending->plain;
	sending->seal.plain_bytes = sending->plain_bytes;
	pl_epoch_seal(hotline->epoch, &sending->seal);
}
