#include <stdio.h>
#include <string.h>

#include "node/core_impl.h"
#include "node/log.h"

/* What the engine notes, in the log; and of each peer, why a connection with it came to nothing last. */

void pl_core_peer_failed(struct pl_core *core, uint16_t node, const char *why)
{
	struct peer_error *error = &core->peer_errors[node];

	error->wall_ms = core->wall_ms;
	snprintf(error->why, sizeof(error->why), "%s", why);
}

#define UNREACHABLE_TOLD_EVERY_MS 600000 /* a node that is down for days is dialled all the time */

void pl_core_peer_unreachable(struct pl_core *core, uint16_t node, const char *why)
{
	struct peer_error *error = &core->peer_errors[node];
	char name[PL_NODE_NAME_BYTES];

	if (strncmp(error->why, why, sizeof(error->why) - 1) != 0)
		error->told_ms = 0;
	if (pl_log_again_in(&error->told_ms, core->now_ms, UNREACHABLE_TOLD_EVERY_MS))
		PL_LOG(PL_LOG_INFO, "link", "cannot be reached", PL_F_STR("peer", pl_core_node_name(core, node, name)), PL_F_STR("why", why));
	pl_core_peer_failed(core, node, why);
}

bool pl_core_peer_error(const struct pl_core *core, uint16_t node, const char **why, uint64_t *wall_ms)
{
	const struct peer_error *error = &core->peer_errors[node];

	if (error->wall_ms == 0)
		return false;
	*why = error->why;
	*wall_ms = error->wall_ms;
	return true;
}

static const char *note_text(enum pl_note_code code)
{
	switch (code) {
	case PL_NOTE_LINK_LIVE: return "link up";
	case PL_NOTE_LINK_LOST: return "link lost";
	case PL_NOTE_HANDSHAKE_FAILED: return "handshake failed";
	case PL_NOTE_PEER_FAULT: return "peer at fault";
	case PL_NOTE_ENTRY_REFUSED: return "entry refused";
	case PL_NOTE_FORK: return "equivocation proven";
	case PL_NOTE_SELF_BEHIND: return "own feed frozen: this node was restored from a copy; open a new generation";
	case PL_NOTE_QUOTA: return "author over quota, its entries wait";
	case PL_NOTE_HEAD_BACK: return "a head goes back";
	case PL_NOTE_SHARE: return "a member has its share of the disk, and more from it waits";
	case PL_NOTE_CLOCK_SKEW: return "claimed time is off";
	case PL_NOTE_CAUGHT_UP: return "caught up";
	}
	return "note";
}

/* Nodes of a large network look around: of such links one comes and goes every minute. */
static enum pl_log_level link_level(const struct pl_core *core, const struct pl_effect *fx)
{
	const bool may_be_look = fx->note.role == PL_PEER_FURTHER || fx->note.role == PL_PEER_INBOUND;

	return may_be_look && core->charter->nodes_count > PL_MESH_NODES_MAX ? PL_LOG_DEBUG : PL_LOG_INFO;
}

void pl_core_note(struct pl_core *core, const struct pl_effect *fx)
{
	char address[PL_ADDRESS_BYTES_MAX + 1], peer[PL_NODE_NAME_BYTES] = "-", ref[PL_REF_TEXT_BYTES] = "-";
	const char *text = note_text(fx->note.code);

	if (fx->note.peer != PL_NODE_NONE)
		pl_charter_node_name(core->charter, fx->note.peer, peer);
	if (fx->note.node != PL_NODE_NONE)
		pl_ref_format(core->charter, (struct pl_ref){ fx->note.node, fx->note.lane, fx->note.seq }, ref);
	switch (fx->note.code) {
	case PL_NOTE_LINK_LIVE:
		core->peer_errors[fx->note.peer].told_ms = 0;
		PL_LOG(link_level(core, fx), "link", text, PL_F_STR("peer", peer));
		break;
	case PL_NOTE_LINK_LOST:
		if (fx->note.detail[0] == '\0')
			PL_LOG(link_level(core, fx), "link", text, PL_F_STR("peer", peer));
		else
			PL_LOG(link_level(core, fx), "link", text, PL_F_STR("peer", peer), PL_F_STR("why", fx->note.detail));
		break;
	case PL_NOTE_HANDSHAKE_FAILED:
	case PL_NOTE_PEER_FAULT:
		/* who it was is not always known, but where from, as long as the connection is there */
		pl_net_address(core->net, fx->note.link, address);
		if (address[0] == '\0')
			PL_LOG(PL_LOG_WARNING, "link", text, PL_F_STR("peer", peer), PL_F_STR("why", fx->note.detail));
		else
			PL_LOG(PL_LOG_WARNING, "link", text, PL_F_STR("peer", peer), PL_F_STR("why", fx->note.detail), PL_F_STR("address", address));
		if (fx->note.peer != PL_NODE_NONE)
			pl_core_peer_failed(core, fx->note.peer, fx->note.detail);
		break;
	case PL_NOTE_FORK:
	case PL_NOTE_SELF_BEHIND:
		PL_LOG(PL_LOG_ERROR, "feed", text, PL_F_STR("entry", ref), PL_F_STR("why", fx->note.detail));
		break;
	case PL_NOTE_ENTRY_REFUSED:
	case PL_NOTE_QUOTA:
	case PL_NOTE_SHARE:
	case PL_NOTE_HEAD_BACK:
	case PL_NOTE_CLOCK_SKEW:
		PL_LOG(PL_LOG_WARNING, "feed", text, PL_F_STR("entry", ref), PL_F_STR("peer", peer), PL_F_STR("why", fx->note.detail));
		break;
	case PL_NOTE_CAUGHT_UP:
		PL_LOG(PL_LOG_DEBUG, "feed", text, PL_F_STR("entry", ref));
		break;
	}
}
