/* What an author says is what it was given to say: seen from outside, by what its people submit, by its disk and by PROTOCOL.md. */
#include <string.h>

#include "tests/sim/sim_impl.h"

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

enum pl_err authors_submit(struct sim *sim, struct sim_node *node, struct pl_event *event)
{
	sim->submitting = true;
	sim->own_stored = 0;
	const enum pl_err err = sim_step(sim, node, event);
	sim->submitting = false;
	if (!sim->oracle || sim->stop || node->vice != SIM_HONEST)
		return err;
	if (err == PL_OK)
		check_taken(sim, node, event);
	else if (sim->own_stored > 0)
		sim_fail(sim, "submitted", "node %u stores in lane %u what it has refused", node->index, event->submit.lane);
	return err;
}
