/* The engine's inside: what its modules do for each other. Nobody outside proto/ includes this.
 *
 *   engine.c   events in, effects out, timers      memory.c   where its parts lie
 *   link.c     connections, dialling               session.c  from handshake to goodbye
 *   receive.c  records and frames that come        sched.c    what a link sends next
 *   sync.c     frontiers, HAVE and ACK         fetch.c    asking; asked.c: being asked
 *   digest.c   digests of groups of lanes, tags  holder.c   whom to ask
 *   lane.c     entries: received, durable
 *   author.c   entries of this node's own          bulk.c     entries that wait their turn
 *   check.c    signatures of bulk                  quota.c    what an author may say
 *   flash.c    FLASH entries in memory             fork.c     equivocation
 *   repair.c   entries that the disk has changed  look.c  what is shown of it all
 *   neighbour.c  with whom there are links         inbound.c  which of those that others make
 */
#ifndef PL_PROTO_PARTS_H
#define PL_PROTO_PARTS_H

#include "proto/state.h"

/* --- engine.c --- */
struct effect_slot *pl_effect_add(struct pl_engine *e, enum pl_effect_type type);
void pl_note(struct pl_engine *e, enum pl_note_code code, uint32_t link, uint16_t peer, const char *detail);
void pl_note_entry(struct pl_engine *e, enum pl_note_code code, const struct session *s, uint16_t node, uint8_t lane, uint64_t seq,
                   const char *detail);
void pl_random(struct pl_engine *e, uint8_t out[32]);
uint32_t pl_draw(struct pl_engine *e); /* a number at random */
void pl_timer(struct pl_engine *e, uint64_t at_ms);
void pl_lane_timer(struct pl_engine *e, uint64_t at_ms);
/* Room for one record; what is to stay for the effects of this step is counted in records_count. */
uint8_t *pl_record_room(struct pl_engine *e);
uint32_t pl_load_token(struct pl_engine *e);
static inline uint32_t pl_lane_index(uint16_t node, uint8_t lane) { return (uint32_t)node * PL_LANES + lane; }
/* Whether bulk may be taken in now, or has to wait for the store. */
static inline bool pl_bulk_may_go(const struct pl_engine *e)
{
	return e->storing_bytes < PL_STORING_BYTES_MAX && !e->store_failed;
}
static inline uint32_t pl_generation_of(const struct pl_engine *e, uint16_t node)
{
	return e->charter->nodes[node].certificate.generation;
}

/* --- digest.c --- */
uint32_t pl_groups_count(uint16_t nodes);
/* The index of lane n of a group; UINT32_MAX where it has fewer. */
uint32_t pl_group_lane(const struct pl_engine *e, uint32_t group, uint32_t n);
uint32_t pl_group_of(uint32_t index);
void pl_digest_moved(struct pl_engine *e, uint32_t index); /* this lane's durable head has */
/* Both kept until a head moves. Digests of all groups. */
const uint8_t (*pl_digests(struct pl_engine *e))[PL_ID_BYTES];
/* How many there are up to the last that holds entries. */
uint32_t pl_groups_filled(const uint8_t (*digests)[PL_ID_BYTES], uint32_t count);
const uint8_t *pl_frontier_root(struct pl_engine *e);
void pl_tag(const uint8_t salt[PL_SALT_BYTES], const uint8_t id[PL_ID_BYTES], uint8_t out[PL_TAG_BYTES]);

/* --- memory.c --- */
struct pl_engine *pl_memory_engine(void *memory, const struct pl_engine_config *config);
/* All is zero but where its memory lies. */
void pl_memory_session(const struct pl_engine *e, struct session *s);

/* --- link.c --- */
void pl_link_up(struct pl_engine *e, uint32_t link, uint16_t peer, uint64_t address_hash);
void pl_link_down(struct pl_engine *e, uint32_t link, uint16_t peer);
size_t pl_link_bytes(struct pl_engine *e, uint32_t link, const uint8_t *bytes, size_t count);
void pl_link_sent(struct pl_engine *e, uint32_t link);
/* Small, and copied: a handshake message, a goodbye. */
void pl_send_small(struct pl_engine *e, const struct conn *conn, const uint8_t *bytes, size_t count);
void pl_link_timers(struct pl_engine *e);
/* Whoever is down is dialled within so many ms, at random, but for one peer (or PL_NODE_NONE); within PL_REDIAL_FLASH_MS, also whoever is being
 * dialled for so long. */
void pl_dials_hurry(struct pl_engine *e, uint64_t within_ms, uint16_t but);
void pl_link_drain(struct pl_engine *e, enum pl_bye_reason reason, const char *text);
void pl_conn_forget(struct conn *conn);
/* Drops a connection that never got a session. Without a word: whoever is there learns nothing. why: for the log; NULL: not worth it. */
void pl_conn_drop(struct pl_engine *e, struct conn *conn, const char *why);
bool pl_has_link(const struct pl_engine *e);
void pl_back_off(struct pl_engine *e, struct peer *peer);

/* --- neighbour.c --- */
void pl_neighbours_init(struct pl_engine *e);
void pl_neighbour_restore_anchor(struct pl_engine *e, uint16_t node);
void pl_neighbour_dialable(struct pl_engine *e, uint16_t node, uint32_t group);
void pl_neighbours_run(struct pl_engine *e);
/* An attempt to get a link to it came to nothing. */
void pl_neighbour_failed(struct pl_engine *e, uint16_t node);
void pl_neighbour_live(struct pl_engine *e, const struct session *s);
/* The session is over; how it was is still there. */
void pl_neighbour_ended(struct pl_engine *e, const struct session *s);
/* What a lane had lacked was asked of s, and is here. */
void pl_neighbour_brought(struct pl_engine *e, const struct session *s, uint32_t index);
/* A lane lacks something, and none of those who have named it gives it. */
void pl_neighbours_withhold(struct pl_engine *e);
enum pl_peer_role pl_neighbour_role(const struct pl_engine *e, uint16_t node);

/* --- inbound.c --- */
/* Whether a link that this node has made may stay; another may have to give way to it. */
bool pl_inbound_may_stay(struct pl_engine *e, uint16_t node);

/* --- session.c --- */
/* The handshake is done: who is it, and may it stay? */
void pl_session_start(struct pl_engine *e, struct conn *conn);
void pl_session_go_live(struct pl_engine *e, struct session *s);
void pl_session_timers(struct pl_engine *e, struct session *s);
/* It is over, whoever has ended it: forgets it and its connection. */
void pl_session_end(struct pl_engine *e, struct session *s);
/* Goes on with what equal roots and groups acknowledge, where that is more than a step's effects. */
void pl_session_roots_run(struct pl_engine *e);
/* Says goodbye where it can, closes, forgets. The session is gone afterwards. */
void pl_session_close(struct pl_engine *e, struct session *s, enum pl_bye_reason reason, const char *text);
/* The same where what came is not what was sealed at the other end: nobody knows whether by the wire or by the peer. */
void pl_session_broken(struct pl_engine *e, struct session *s, const char *how);
/* The same for a peer that broke a rule. */
void pl_session_fault(struct pl_engine *e, struct session *s, const char *rule);
/* Appends a control frame; false if there is no room now. */
bool pl_control(struct session *s, uint8_t type, uint8_t flags, uint8_t lane, const uint8_t *payload, uint32_t payload_bytes);

/* --- quota.c --- */
/* Until an author's quota has room for an entry of a lane; 0: it has. */
uint64_t pl_quota_wait_ms(struct pl_engine *e, uint16_t node, uint8_t lane, uint32_t body_bytes);
void pl_quota_take(struct pl_engine *e, uint16_t node, uint8_t lane, uint32_t body_bytes);
/* Whether an entry with the flag has FLASH's right of way; counts it. */
bool pl_quota_take_flash(struct pl_engine *e, uint16_t node);

/* --- receive.c --- */
/* Returns how many were taken. */
size_t pl_session_bytes(struct pl_engine *e, struct session *s, const uint8_t *bytes, size_t count);

/* --- lane.c --- */
/* Whether the store takes more of this lane of this node. */
bool pl_has_room(const struct pl_engine *e, uint16_t node, uint8_t lane);
/* Whether the member of this node has filled its share of the disk in this lane. */
bool pl_share_is_full(const struct pl_engine *e, uint16_t node, uint8_t lane);
/* Notes that it has, when s has or brings more of it: once, until there is room again. */
void pl_share_note(struct pl_engine *e, const struct session *s, uint16_t node, uint8_t lane);
/* An entry's wire form from a session: checked and accepted, kept for later, or refused. */
void pl_entry_receive(struct pl_engine *e, struct session *s, const uint8_t *bytes, uint32_t count, uint8_t frame_flags);
/* False: refused, or the link ended, since nothing of such an author can be taken. */
bool pl_is_ours_to_judge(struct pl_engine *e, struct session *s, const struct pl_wire *wire);
/* The next entry of its lane, to be verified by itself. */
void pl_receive_next(struct pl_engine *e, struct session *s, const struct pl_wire *wire, bool durable_at_peer);
/* The same, and then what has waited for it. */
void pl_receive(struct pl_engine *e, struct session *s, const struct pl_wire *wire, bool durable_at_peer);
/* An entry for a place that is filled. */
void pl_duplicate(struct pl_engine *e, struct session *s, const struct pl_wire *wire, bool durable_at_peer, bool pushed);
/* What an entry that is taken claims and nobody can check, its time and the heads of other lanes: it is noted where it cannot be so. */
void pl_lane_claims(struct pl_engine *e, const struct session *s, uint16_t node, const struct pl_header *header);
/* Authentic and next in its lane: it is ours now. s: from whom; NULL: authored here. */
void pl_lane_accept(struct pl_engine *e, const struct session *s, const struct candidate *c);
/* The two halves of that: it is the lane's head, and it goes to the store. Returns the header, where the effect keeps it. */
void pl_lane_remember(struct lane *lane, const struct candidate *c);
const uint8_t *pl_lane_store(struct pl_engine *e, const struct candidate *c);
/* A peer names entries of ours that we lack: they are waited for a little, before anything is signed that could stand in their place. */
void pl_self_doubt(struct pl_engine *e, const struct session *s);
void pl_self_is_behind(struct pl_engine *e, const struct session *s, uint8_t lane, uint64_t seq);
void pl_lane_stored(struct pl_engine *e, const struct pl_event *event);
void pl_lane_store_failed(struct pl_engine *e);
void pl_lane_store_ready(struct pl_engine *e);
bool pl_is_shunned(const struct pl_engine *e, const struct session *s, uint16_t node, uint8_t lane);

/* An effect that hands an entry to the store. Returns the header, where the effect keeps it. */
const uint8_t *pl_entry_effect(struct pl_engine *e, enum pl_effect_type type, const struct candidate *c);
/* Rebuilds an entry from its wire form. */
void pl_candidate(const struct pl_engine *e, const struct pl_wire *wire, struct candidate *out);
bool pl_signature_holds(struct pl_engine *e, const struct session *s, const struct candidate *c);
bool pl_is_certified(const struct pl_engine *e, uint16_t node, uint64_t time_ms);
/* What can be said of a header by itself, and of its generation, charter epoch and time. */
bool pl_may_stand(const struct pl_engine *e, const struct candidate *c);

extern const char pl_signature_is_bad[];
enum pl_err pl_lane_verify(struct pl_engine *e, const uint8_t entry_header[PL_ENTRY_HEADER_BYTES]);
/* Counts an entry that did not check out against who has sent it; too many end the link. */
void pl_blame(struct pl_engine *e, struct session *s);
/* Drops one, with a note, and asks for its lane elsewhere. */
void pl_refuse(struct pl_engine *e, struct session *s, const struct pl_wire *wire, const char *why);

/* --- bulk.c --- */
void pl_in_queue_push(struct pl_engine *e, struct session *s, const uint8_t *bytes, uint32_t count, uint8_t flags);
/* Checks what waits in the session's in queue, for a slice of time. */
void pl_in_queue_run(struct pl_engine *e, struct session *s);
/* Whether what waits could be worked off now, were there time. */
bool pl_in_queue_waits(const struct pl_engine *e, const struct session *s);
/* The item at an offset of the in queue; false at its end. */
bool pl_in_queue_peek(const struct pl_engine *e, const struct session *s, uint32_t at, struct pl_wire *wire, uint8_t *flags, uint32_t *cost);
/* Whether this may be verified by a later entry of its run. The node is one of the charter. */
bool pl_is_of_run(const struct pl_engine *e, const struct session *s, const struct pl_wire *wire, uint8_t flags);
/* Gives credit back, where there is enough to give. */
void pl_credit_give(struct session *s);

/* --- flash.c --- */
/* Keeps a FLASH in memory in its wire form. NULL if the pool is full: it then spreads as other entries do, after its commit. */
struct flash *pl_flash_keep(struct pl_engine *e, const struct candidate *c, uint16_t from_session);
/* One that came before its predecessors waits for them, if there is room. */
void pl_flash_hold(struct pl_engine *e, struct session *s, const struct pl_wire *wire, const uint8_t *bytes, uint32_t count);
/* One that cannot be kept is sent on all the same. */
void pl_flash_relay(struct pl_engine *e, struct session *s, const struct pl_wire *wire);
/* Lane 0 of this node has moved: those that waited for it, in order. */
void pl_flash_held_run(struct pl_engine *e, uint16_t node);

/* --- look.c --- */
uint64_t pl_held_entries(const struct pl_engine *e, uint16_t peer);

/* --- author.c --- */
enum pl_err pl_lane_submit(struct pl_engine *e, struct pl_event *event);

/* --- fork.c --- */
/* Compares a signed header, come from s, with what we have at a place: its own, or one with the same gseq. At once if that is in the store,
 * otherwise when it is. */
void pl_suspect(struct pl_engine *e, const struct session *s, uint16_t node, const uint8_t entry_header[PL_ENTRY_HEADER_BYTES], uint8_t lane, uint64_t seq);
/* Whether another lane of the feed has an entry with the same gseq, of those that are remembered; then *lane and *seq name it. */
bool pl_same_gseq(const struct pl_engine *e, const struct candidate *c, uint8_t *lane, uint64_t *seq);
/* False: it was not for this that the store was asked. */
bool pl_fork_loaded(struct pl_engine *e, const struct pl_event *event);
void pl_fork_timers(struct pl_engine *e);
/* This peer has been asked for an entry in full. */
void pl_full_asked(const struct pl_engine *e, struct session *s, uint16_t node, uint8_t lane, uint64_t seq);
/* Whether it was so lately that it may still answer. */
bool pl_full_is_asked(const struct pl_engine *e, const struct session *s, uint16_t node, uint8_t lane, uint64_t seq);
/* What it has at this place differs from ours: it is asked for that in full, when it is its turn. One place of a lane is enough. */
void pl_compare(struct session *s, uint32_t index, uint64_t seq);
/* The same, of a head with this tag. */
void pl_compare_head(struct session *s, uint32_t index, uint64_t seq, const uint8_t tag[PL_TAG_BYTES]);
/* Asks for what is to be compared, as much as may be asked for now. */
void pl_compare_run(struct pl_engine *e, struct session *s);
/* One has come. */
void pl_full_receive(struct pl_engine *e, struct session *s, const struct pl_wire *wire);
void pl_fork_stored(struct pl_engine *e, uint16_t node, uint8_t lane, uint64_t seq);
void pl_fork_store_failed(struct pl_engine *e);
void pl_fork_receive(struct pl_engine *e, struct session *s, const uint8_t *payload, uint32_t count);
void pl_fork_restore(struct pl_engine *e, uint16_t node, const uint8_t *header_a, const uint8_t *header_b);
/* Tells the forks that this peer has not been told of, as far as there is room. */
void pl_fork_tell(const struct pl_engine *e, struct session *s);

/* --- check.c --- */
/* Has the signatures checked that the in queue will need next. True: it has to wait for that, or for its turn. */
bool pl_check_ahead(struct pl_engine *e, struct session *s);
/* Whether the in queue need not wait for signatures. */
bool pl_check_may_go(const struct pl_engine *e, const struct session *s);
void pl_check_done(struct pl_engine *e, uint32_t token, uint32_t good);
/* False: there is no verdict about this entry. */
bool pl_check_verdict(const struct pl_engine *e, const struct session *s, const uint8_t id[PL_ID_BYTES], bool *good);
/* The hash of the body at this place of the in queue, if its check has computed it; else NULL. */
const uint8_t *pl_check_body_hash(const struct pl_engine *e, const struct session *s, uint32_t at);
void pl_check_release(struct pl_engine *e, struct session *s);

/* --- sync.c --- */
struct pl_item pl_item_of(const struct pl_engine *e, uint32_t index); /* of a lane's durable head */
void pl_frontier_snapshot(struct pl_engine *e, struct session *s); /* before HELLO */
/* Whether the tags of all groups take fewer bytes than what they stand for. */
bool pl_tags_are_worth_it(struct pl_engine *e);
/* So many tags of ours. */
void pl_tags_write(const struct session *s, const uint8_t (*digests)[PL_ID_BYTES], uint32_t count, uint8_t *out);
/* Marks the groups whose tags are not those of these digests; false: there is none. */
bool pl_tags_compare(const struct pl_engine *e, struct session *s, const uint8_t *tags, uint32_t count, const uint8_t (*digests)[PL_ID_BYTES]);
void pl_differs_all(const struct pl_engine *e, struct session *s);
/* Tells the heads of the groups that are marked; of all to a peer that knows FRONTIER alone. */
void pl_frontier_start(struct pl_engine *e, struct session *s);
void pl_frontier_continue(struct pl_engine *e, struct session *s);
void pl_frontier_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame);
void pl_heads_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame);
/* Who has another root than a PING says. */
void pl_root_differs(struct pl_engine *e, struct session *s);
void pl_tags_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame);
void pl_items_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame); /* HAVE, ACK */
/* It holds what we hold, up to there: it has shown that with an id or an entry. */
void pl_acked_up_to(struct pl_engine *e, const struct session *s, uint32_t index, uint64_t seq);
/* It holds an entry that it has sent and that was not taken: counted when ours of that place has the same id. */
void pl_holds_sent(const struct pl_engine *e, struct session *s, const struct pl_wire *wire);
/* A head has moved: counts what was acknowledged of it before it was here. */
void pl_acked_ahead(struct pl_engine *e, uint32_t index);
void pl_announced(struct pl_engine *e, struct session *s, uint32_t index, uint64_t seq);
/* Whether this peer has announced something that we lack. */
bool pl_announced_more(const struct pl_engine *e, const struct session *s);
void pl_sync_session_gone(struct pl_engine *e, uint16_t session_index);
void pl_tell_head(struct pl_engine *e, uint32_t index, bool urgent);
void pl_tell_flush(struct pl_engine *e, struct session *s);
/* What was to be pushed is not: the peer has it, or has choked the lane. */
void pl_tell_after_all(struct pl_engine *e, struct session *s, uint32_t index);

/* --- asked.c --- */
void pl_want_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame);
/* It waits for this entry in full. */
void pl_full_wanted(struct session *s, uint16_t node, uint8_t lane, uint64_t seq);
/* The oldest that it waits for in a lane of this number; false: none. */
bool pl_full_want_take(struct session *s, uint8_t lane, struct asked *out);
void pl_cancel_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame);
void pl_choke_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame);
void pl_choke(struct session *s, uint32_t index);
/* Whether as many other links as are to push a lane have brought its last entry, and still push it. */
bool pl_is_brought(const struct pl_engine *e, const struct session *but, uint32_t index);

/* --- holder.c --- */
/* WANTs for this lane that this peer has left unanswered, over all its links, less those that it has answered since. */
uint8_t *pl_unanswered(const struct pl_engine *e, const struct session *s, uint32_t index);
void pl_strike(const struct pl_engine *e, const struct session *s, uint32_t index); /* one more */
/* Whether this peer has said that it has what we lack of this lane, and may be asked for it. */
bool pl_is_holder(const struct pl_engine *e, const struct session *s, uint32_t index);
/* Whom to ask for it; but: anybody else than this session. NULL: nobody has it. */
struct session *pl_best_holder(struct pl_engine *e, uint32_t index);
struct session *pl_best_holder_but(struct pl_engine *e, uint32_t index, uint16_t but);
/* Whether anybody but this one has it and has left nothing of this lane unanswered. */
bool pl_another_would_answer(const struct pl_engine *e, const struct session *but, uint32_t index);
/* Who is asked for it now. It goes on with its turn if it was the last that was asked. */
void pl_turn_begin(struct pl_engine *e, uint32_t index, uint16_t session);
void pl_turn_end(struct pl_engine *e, uint32_t index, uint16_t session);
/* Whether another is to be asked now, whatever comes. */
bool pl_turn_is_over(struct pl_engine *e, uint32_t index);
void pl_turn_forget(struct pl_engine *e, uint32_t index, uint16_t session); /* it is gone */
void pl_turns_done(struct lane *lane); /* nothing is lacking of it, as far as anybody says */

/* --- fetch.c --- */
/* Asks somebody for what this lane lacks, now or when its timer says. */
void pl_lane_pump(struct pl_engine *e, uint32_t index, uint64_t delay_ms);
/* have_seq has moved, by what s has brought */
void pl_lane_progress(struct pl_engine *e, struct session *s, uint32_t index);
/* A piece of an entry that says that it answers a WANT, or such an entry when it has been looked at. It counts if it is what was asked for. */
void pl_fetch_piece(struct pl_engine *e, struct session *s, uint16_t node, uint8_t lane, uint64_t seq, uint32_t bytes);
void pl_fetch_answer(struct pl_engine *e, struct session *s, uint16_t node, uint8_t lane, uint64_t seq);
/* An entry that says that it answers a WANT waits in the in queue of s. */
void pl_fetch_queued(struct pl_engine *e, const struct session *s, const struct pl_wire *wire);
/* What it has sent of this lane did not check out. */
void pl_fetch_refused(struct pl_engine *e, struct session *s, uint32_t index);
void pl_fetch_session_gone(struct pl_engine *e, uint16_t session_index);
/* Whoever was asked for this lane is asked no more. */
void pl_fetch_cancel(struct pl_engine *e, uint32_t index);
void pl_want_full(struct pl_engine *e, struct session *s, uint16_t node, uint8_t lane, uint64_t seq);
void pl_sync_timers(struct pl_engine *e);

/* --- repair.c --- */
void pl_repair_damaged(struct pl_engine *e, const struct pl_event *event);
void pl_repair_done(struct pl_engine *e, uint16_t node, uint8_t lane, uint64_t seq);
/* An entry in full has come. True if it is one that was damaged here: it goes to the store. */
bool pl_repair_take(struct pl_engine *e, const struct candidate *c);
void pl_repair_session_live(struct pl_engine *e);
void pl_repair_timers(struct pl_engine *e);

/* --- sched.c --- */
/* What could not be read of a lane, and was not sent therefore, can be read now. */
void pl_sched_readable(struct pl_engine *e, uint32_t index);
/* Copies a FLASH to every live session not known to hold it. */
void pl_flash_flood(struct pl_engine *e, struct flash *flash);
/* Gives a session that has come up those that were sent on without being stored, as far as they are still kept. */
void pl_flash_offer(struct pl_engine *e, struct session *s);
void pl_sched_loaded(struct pl_engine *e, const struct pl_event *event);
/* This session may have something of this lane to send: say so when a head moves, a WANT comes, or what the peer has changes. */
void pl_todo_add(const struct pl_engine *e, struct session *s, uint32_t index);
/* Everything that can be sent now, on every session. */
void pl_sched_run(struct pl_engine *e);

#endif
