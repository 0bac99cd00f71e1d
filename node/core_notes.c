#include <stdio.h>
#include <string.h>

#include "node/core_impl.h"
#include "node/log.h"

/* What the engine notes, in the log; and of each peer, why a connection with it came to nothing last. */

void pl_core_peer_failed(struct pl_core *core, uint16_t node, const char *why)
{
	struct peer_note *error = &core->peer_notes[node];

	error->wall_ms = core->wall_ms;
	snprintf(error->why, sizeof(error->why), "%s", why);
}

#define UNSAID_LOOK_MS 1000 /* while there are changes of links that have not been said */
#define UNREACHABLE_TOLD_EVERY_MS 600000 /* a node that is down for days is dialled all the time */

void pl_core_peer_unreachable(struct pl_core *core, uint16_t node, const char *why)
{
	struct peer_note *error = &core->peer_notes[node];
	char name[PL_NODE_NAME_BYTES];

	if (strncmp(error->why, why, sizeof(error->why) - 1) != 0)
		error->told_ms = 0;
	if (pl_log_again_in(&error->told_ms, core->now_ms, UNREACHABLE_TOLD_EVERY_MS))
		PL_LOG(PL_LOG_INFO, "link", "cannot be reached", PL_F_STR("peer", pl_core_node_name(core, node, name)), PL_F_STR("why", why));
	pl_core_peer_failed(core, node, why);
}

bool pl_core_peer_error(const struct pl_core *core, uint16_t node, const char **why, uint64_t *wall_ms)
{
	const struct peer_note *error = &core->peer_notes[node];

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
	case PL_NOTE_LINK_BROKEN: return "link broken, by the wire or the peer";
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

/* --- links --- */

/* Nodes of a large network look around: of such links one comes and goes every minute. */
static enum pl_log_level link_level(const struct pl_core *core, enum pl_peer_role role)
{
	const bool may_be_look = role == PL_PEER_FURTHER || role == PL_PEER_INBOUND;

	return may_be_look && core->charter->nodes_count > PL_MESH_NODES_MAX ? PL_LOG_DEBUG : PL_LOG_INFO;
}

/* changes: since it was last said. */
static void log_link(const struct pl_core *core, uint16_t node, uint32_t changes)
{
	const struct peer_note *of = &core->peer_notes[node];
	const enum pl_log_level level = link_level(core, of->link_role);
	const char *text = note_text(of->is_live ? PL_NOTE_LINK_LIVE : PL_NOTE_LINK_LOST);
	char peer[PL_NODE_NAME_BYTES];

	pl_charter_node_name(core->charter, node, peer);
	if (changes > 1)
		PL_LOG(level, "link", text, PL_F_STR("peer", peer), PL_F_U64("changes", changes), PL_F_STR("why", of->lost_why));
	else if (of->lost_why)
		PL_LOG(level, "link", text, PL_F_STR("peer", peer), PL_F_STR("why", of->lost_why));
	else
		PL_LOG(level, "link", text, PL_F_STR("peer", peer));
}

static void on_link_timer(uv_timer_t *timer)
{
	struct pl_core *core = timer->data;
	bool is_any_left = false;

	pl_core_read_clocks(core);
	for (uint16_t node = 0; node < core->charter->nodes_count && !core->stopping; node++) {
		struct peer_note *of = &core->peer_notes[node];
		const uint32_t changes = pl_link_news_due(&of->news, core->now_ms);
		if (changes > 0) {
			log_link(core, node, changes);
			if (core->app)
				pl_app_link(core->app, node, of->is_live, changes);
		}
		is_any_left |= of->news.unsaid > 0;
	}
	if (is_any_left && !core->stopping)
		uv_timer_start(timer, on_link_timer, UNSAID_LOOK_MS, 0);
}

static bool note_link(struct pl_core *core, const struct pl_effect *fx)
{
	struct peer_note *of = &core->peer_notes[fx->note.peer];

	of->is_live = fx->note.code == PL_NOTE_LINK_LIVE;
	of->link_role = fx->note.role;
	of->lost_why = of->is_live || fx->note.detail[0] == '\0' ? NULL : fx->note.detail;
	if (of->is_live)
		of->told_ms = 0;
	if (pl_link_news_add(&of->news, core->now_ms)) {
		log_link(core, fx->note.peer, 1);
		return true;
	}
	if (!uv_is_active((uv_handle_t *)&core->link_timer) && !core->stopping)
		uv_timer_start(&core->link_timer, on_link_timer, UNSAID_LOOK_MS, 0);
	return false;
}

void pl_core_notes_init(struct pl_core *core)
{
	uv_timer_init(core->loop, &core->link_timer);
	core->link_timer.data = core;
}

void pl_core_notes_close(struct pl_core *core)
{
	uv_close((uv_handle_t *)&core->link_timer, NULL);
}

/* --- what the engine notes --- */

/* Whoever is not let in tries again all the time. Of whom it is not known who it is, by where it comes from; what was said already is for who
 * looks closely. */
static enum pl_log_level handshake_level(struct pl_core *core, const char *peer, const char *address, const char *why)
{
	char host[PL_ADDRESS_BYTES_MAX + 1];
	const char *who = peer, *colon = strrchr(address, ':');

	if (strcmp(peer, "-") == 0) {
		snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - address) : (int)strlen(address), address);
		who = host;
	}
	return pl_told_is_news(&core->handshakes, who, why, core->now_ms, UNREACHABLE_TOLD_EVERY_MS) ? PL_LOG_WARNING : PL_LOG_DEBUG;
}

bool pl_core_note(struct pl_core *core, const struct pl_effect *fx)
{
	char address[PL_ADDRESS_BYTES_MAX + 1], peer[PL_NODE_NAME_BYTES] = "-", ref[PL_REF_TEXT_BYTES] = "-";
	const char *text = note_text(fx->note.code);

	if (fx->note.peer != PL_NODE_NONE)
		pl_charter_node_name(core->charter, fx->note.peer, peer);
	if (fx->note.node != PL_NODE_NONE)
		pl_ref_format(core->charter, (struct pl_ref){ fx->note.node, fx->note.lane, fx->note.seq }, ref);
	switch (fx->note.code) {
	case PL_NOTE_LINK_LIVE:
		pl_told_forget(&core->handshakes, peer);
		return note_link(core, fx);
	case PL_NOTE_LINK_LOST:
		return note_link(core, fx);
	case PL_NOTE_HANDSHAKE_FAILED:
	case PL_NOTE_PEER_FAULT:
	case PL_NOTE_LINK_BROKEN: {
		enum pl_log_level level = PL_LOG_WARNING;
		/* who it was is not always known, but where from, as long as the connection is there */
		pl_net_address(core->net, fx->note.link, address);
		if (fx->note.code == PL_NOTE_HANDSHAKE_FAILED)
			level = handshake_level(core, peer, address, fx->note.detail);
		if (address[0] == '\0')
			PL_LOG(level, "link", text, PL_F_STR("peer", peer), PL_F_STR("why", fx->note.detail));
		else
			PL_LOG(level, "link", text, PL_F_STR("peer", peer), PL_F_STR("why", fx->note.detail), PL_F_STR("address", address));
		if (fx->note.peer != PL_NODE_NONE)
			pl_core_peer_failed(core, fx->note.peer, fx->note.detail);
		break;
	}
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
	return true;
}
