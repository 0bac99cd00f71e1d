/* What an author says is what it was given to say: seen from outside, by what its people submit, by its disk and by PROTOCOL.md. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

enum { GSEQ_AT = 24, HEADS_AT = 104, HEAD8 = 8 };
#define STORING_BYTES 4194304u /* while so much is on its way to the disk, a node may say that it is full */
#define QUOTA_MS 2u            /* that a node's account may differ by */
#define FLASH_PARTS 60u        /* a FLASH, where a minute's are counted by the second */

void authors_store(struct sim *sim, const struct sim_node *node, const struct sim_entry *entry)
{
	const uint8_t lane = entry->header[1];
	const uint64_t seq = pl_header_seq(entry->header);

	sim->own_stored++;
	sim->own = entry;
	if (!sim->submitting && node->vice == SIM_HONEST && lane < PL_LANES && seq > node->disk.kept_seq[lane])
		sim_fail(sim, "submitted", "node %u stores %u/%llu of its own, which nobody has submitted", node->index, lane, (unsigned long long)seq);
}

/* What goes to the disk in the step that takes it comes to lie there, or the node crashes, or its disk fails: sim_disk.c sees to that. */
static void check_taken(struct sim *sim, const struct sim_node *node, const struct pl_event *event)
{
	const struct sim_entry *entry = sim->own;
	const uint8_t lane = event->submit.lane;

	if (sim->own_stored != 1) {
		sim_fail(sim, "submitted", "node %u has taken what was submitted to lane %u, and gives %u entries of its own to its disk", node->index, lane,
		         sim->own_stored);
		return;
	}
	const uint8_t *h = entry->header;
	if (h[1] != lane || h[2] != event->submit.kind || h[3] != event->submit.flags || pl_header_seq(h) != event->submit.seq ||
	    pl_header_gseq(h) != event->submit.gseq || memcmp(entry->id, event->submit.id, PL_ID_BYTES) != 0)
		sim_fail(sim, "submitted", "node %u stores something else of its own than it says that it does, %u/%llu", node->index, lane,
		         (unsigned long long)event->submit.seq);
	else if (entry->body_bytes != event->submit.body_bytes || (entry->body_bytes > 0 && memcmp(entry->body, event->submit.body, entry->body_bytes) != 0))
		sim_fail(sim, "submitted", "node %u stores as %u/%llu another body than was submitted", node->index, lane, (unsigned long long)event->submit.seq);
}

static uint64_t number(const uint8_t *p, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | p[i];
	return value;
}

/* PROTOCOL: "An author names no head that is not durable: this entry may commit before it, and the other be lost." Of each other lane the last. */
static bool names_heads(const struct sim_node *node, const uint8_t *h)
{
	for (int i = 0; i < 2; i++) {
		const struct sim_lane *lane = &node->disk.lanes[(size_t)node->self * PL_LANES + (h[1] + 1u + (unsigned)i) % PL_LANES];
		static const uint8_t none[HEAD8];
		const uint8_t *head = h + HEADS_AT + 16 * i, *id = lane->count > 0 ? lane->entries[lane->count - 1]->id : none;
		if (number(head, 8) != lane->count || memcmp(head + 8, id, HEAD8) != 0)
			return false;
	}
	return true;
}

/* What is said of an entry in its header, beside its place and its body. Of what a crash has taken, nobody has heard: its gseq may come again. */
static void check_header(struct sim *sim, const struct sim_node *node, const struct pl_event *event, const uint8_t *h)
{
	uint64_t gseq = node->said_gseq;

	for (const struct sim_write *w = node->writes; w; w = w->next) {
		if (w->author == node->self && w->entry != sim->own && number(w->entry->header + GSEQ_AT, 8) > gseq)
			gseq = number(w->entry->header + GSEQ_AT, 8);
	}
	const char *wrong = h[0] != 1 ? "version" : number(h + 4, 4) != 0 ? "epoch of the charter"
		: number(h + 8, 4) != node->charter->nodes[node->self].certificate.generation ? "generation"
		: memcmp(h + 40, node->charter->nodes[node->self].certificate.node_id, 32) != 0 ? "author"
		: number(h + 32, 8) != event->wall_ms ? "time" : number(h + GSEQ_AT, 8) <= gseq ? "gseq" : !names_heads(node, h) ? "heads of other lanes" : NULL;
	if (wrong)
		sim_fail(sim, "header", "node %u signs %u/%llu with a wrong %s", node->index, h[1], (unsigned long long)event->submit.seq, wrong);
}

/* --- what a node refuses --- */

/* A bucket, as the time at which it is full again: how much it lacks now. */
static uint64_t lacking(const struct sim *sim, uint64_t full_at_us, uint64_t per_s)
{
	return full_at_us > sim->now_us ? (full_at_us - sim->now_us) * per_s / 1000000 : 0;
}

static void spend(const struct sim *sim, uint64_t *full_at_us, uint64_t amount, uint64_t per_s)
{
	*full_at_us = (*full_at_us > sim->now_us ? *full_at_us : sim->now_us) + (amount * 1000000 + per_s - 1) / per_s;
}

/* How much of a bucket there would be too little; what is larger than the bucket takes a full one. */
static int64_t over(const struct sim *sim, uint64_t full_at_us, uint64_t per_s, uint64_t burst, uint64_t amount)
{
	return (int64_t)(lacking(sim, full_at_us, per_s) + (amount < burst ? amount : burst)) - (int64_t)burst;
}

static bool is_over_quota(const struct sim *sim, const struct sim_node *node, const struct pl_event *event)
{
	const struct pl_quota *quota = &node->config.quota[event->submit.lane];
	const uint64_t flash_per_s = node->config.flash_per_minute;
	const bool is_flash = (event->submit.flags & PL_FLAG_FLASH) != 0;

	return over(sim, node->spent_us[event->submit.lane], quota->bytes_per_s, quota->bytes_burst, PL_ENTRY_HEADER_BYTES + event->submit.body_bytes) >
	       -(int64_t)(quota->bytes_per_s * QUOTA_MS / 1000 + 1) ||
	       (is_flash && over(sim, node->flash_spent_us, flash_per_s, (uint64_t)node->config.flash_burst * FLASH_PARTS, FLASH_PARTS) >
	       -(int64_t)(flash_per_s * QUOTA_MS / 1000 + 1));
}

static bool is_disk_busy(const struct sim_node *node)
{
	uint64_t bytes = 0;

	for (const struct sim_write *w = node->writes; w; w = w->next)
		bytes += PL_ENTRY_HEADER_BYTES + w->entry->body_bytes;
	return bytes >= STORING_BYTES;
}

/* Whoever names entries of it that there are not makes it wait for them. */
static bool somebody_lies(const struct sim *sim)
{
	for (uint16_t i = 0; i < sim->nodes_count; i++) {
		if (sim->nodes[i].vice == SIM_LIES)
			return true;
	}
	return false;
}

/* With an old copy of its disk a node may have more to wait for, and never sign again. */
static bool may_refuse(const struct sim *sim, const struct sim_node *node, const struct pl_event *event, enum pl_err err)
{
	const struct pl_certificate *certificate = &node->charter->nodes[node->self].certificate;

	if (err == PL_ERR_FULL)
		return is_disk_busy(node);
	if (err == PL_ERR_QUOTA)
		return node->is_copy || is_over_quota(sim, node, event);
	if (err == PL_ERR_DISK_FULL)
		return event->submit.lane >= node->room || node->share_bytes > 0;
	if (err == PL_ERR_STATE)
		return node->full || node->is_copy || somebody_lies(sim);
	if (err == PL_ERR_FORK)
		return node->is_copy;
	if (err == PL_ERR_EXPIRED)
		return event->wall_ms < certificate->valid_from_ms || event->wall_ms > certificate->valid_until_ms;
	return false; /* what a plan has people say has the form that it has to have */
}

static void check_refused(struct sim *sim, const struct sim_node *node, const struct pl_event *event, enum pl_err err)
{
	if (sim->own_stored > 0)
		sim_fail(sim, "submitted", "node %u stores in lane %u what it has refused", node->index, event->submit.lane);
	else if (!may_refuse(sim, node, event, err))
		sim_fail(sim, "taken", "node %u refuses %u bytes in lane %u, and has no reason to: %s", node->index, event->submit.body_bytes,
		         event->submit.lane, pl_err_str(err));
}

static void count_quota(const struct sim *sim, struct sim_node *node, const struct pl_event *event)
{
	const uint8_t lane = event->submit.lane;

	spend(sim, &node->spent_us[lane], PL_ENTRY_HEADER_BYTES + event->submit.body_bytes, node->config.quota[lane].bytes_per_s);
	if (event->submit.flags & PL_FLAG_FLASH)
		spend(sim, &node->flash_spent_us, FLASH_PARTS, node->config.flash_per_minute);
}

enum pl_err authors_submit(struct sim *sim, struct sim_node *node, struct pl_event *event)
{
	sim->submitting = true;
	sim->own_stored = 0;
	const enum pl_err err = sim_step(sim, node, event);
	sim->submitting = false;
	if (!sim->oracle || sim->stop || node->vice != SIM_HONEST)
		return err;
	if (err != PL_OK) {
		check_refused(sim, node, event, err);
		return err;
	}
	check_taken(sim, node, event);
	if (!sim->stop)
		check_header(sim, node, event, sim->own->header);
	count_quota(sim, node, event);
	return err;
}

/* --- what an author says in two places --- */

/* Among these entries by their gseq; false: another one has its place. Of an entry there is one copy, whoever holds it. */
static bool gseq_put(const struct sim_entry **entries, uint64_t max, const struct sim_entry *entry)
{
	const uint64_t gseq = number(entry->header + GSEQ_AT, 8);

	if (gseq >= max || entries[gseq] == entry)
		return true;
	if (entries[gseq])
		return false;
	entries[gseq] = entry;
	return true;
}

bool authors_same_gseq(struct sim *sim, uint16_t author)
{
	uint64_t sum = (uint64_t)author << 32, max = 1;

	for (uint16_t i = 0; i < sim->nodes_count; i++) {
		for (uint8_t k = 0; k < PL_LANES && sim->nodes[i].vice == SIM_HONEST; k++) {
			const struct sim_lane *lane = &sim->nodes[i].disk.lanes[(size_t)author * PL_LANES + k];
			const uint64_t gseq = lane->count > 0 ? number(lane->entries[lane->count - 1]->header + GSEQ_AT, 8) : 0;
			sum += lane->count; /* it grows with whatever is stored: nothing is ever lost of an honest node's disk */
			max = gseq >= max ? gseq + 1 : max;
		}
	}
	if (sum == sim->gseqs_sum)
		return sim->gseqs_same;
	sim->gseqs_sum = sum;
	sim->gseqs_same = false;
	const struct sim_entry **entries = calloc(max, sizeof(*entries));
	assert(entries);
	for (size_t i = 0; i < (size_t)sim->nodes_count * PL_LANES; i++) {
		const struct sim_node *node = &sim->nodes[i / PL_LANES];
		const struct sim_lane *lane = &node->disk.lanes[(size_t)author * PL_LANES + i % PL_LANES];
		for (uint64_t k = 0; k < lane->count && node->vice == SIM_HONEST; k++)
			sim->gseqs_same |= !gseq_put(entries, max, lane->entries[k]);
	}
	free(entries);
	return sim->gseqs_same;
}
