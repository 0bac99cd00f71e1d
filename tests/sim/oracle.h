/* The oracle: what must hold whatever happens. It shares no code with the engine: it reads headers, records and frames by PROTOCOL.md itself, and
 * keeps its own account of what was said, stored and acknowledged. The first thing that is not so ends the run.
 *
 * The invariants, by the names that a failure prints:
 *
 *   authentic     what a node stores in the name of an honest author is what that author has stored before, byte for byte
 *   submitted     what people submit and a node takes is what it stores as its own, byte for byte, and nothing else is (authors.c)
 *   header        what an author says of an entry is so: its generation, the time, a gseq above all of before, the last durable entries of its other lanes
 *   taken         and it takes what is submitted, unless its quota, its disk, or an old copy of its disk stand against it
 *   chain         each lane grows by one entry at a time, each naming the one before it; nothing is stored twice
 *   seq           an honest author never uses a place in a lane, or a gseq, twice; nor in another life
 *   store-first   an entry, and the head in a FRONTIER, HEADS, HAVE or ACK, is durable before it is sent; FLASH entries of others excepted
 *   acked         what a peer is noted to hold it does hold, durably
 *   nonce         no key encrypts two records with the same number
 *   blame         no honest node is said to have broken the protocol where nobody has touched its bytes
 *   refused       and no entry that an honest node sends of an honest author is refused
 *   frozen        nobody stores more of an author of whom it has the proof of a fork
 *   quota         what a node takes of an author stays within the author's quota
 *   throttled     and nobody waits whose author has kept to it
 *   room          nothing is stored of a lane that the disk has no room for, nor of a member that has filled its share of it
 *   busy          no node asks for ticks without end
 *   renewed       no key is used for longer than an hour
 *   link          a link that nothing disturbs is not given up
 *   prompt        where nothing disturbs it an entry is everywhere as soon as the shortest way allows, and a little: FLASH also beside bulk
 *   kept          what was durable is there after a crash
 *   limits        what peers can make a node hold is bounded: bulk that waits for its disk, and by credit what is on its way; frames fit records
 *   agreed        at the end every honest node holds every entry of every honest author
 *   idle          and nothing is left to do: all is acknowledged, and what a disk has changed is as it was
 *   evidence      and every honest node has the proof of a fork, if two of them hold different branches: another entry in a place, or with a gseq
 *   rounds        within three rounds of the time from which honest nodes with different branches hang together. A round is what the longest of the
 *                 shortest ways between honest nodes takes, with a commit at each
 */
#ifndef PL_TESTS_SIM_ORACLE_H
#define PL_TESTS_SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;
struct sim_entry;
struct oracle;

struct oracle *oracle_new(struct sim *sim, uint16_t nodes, uint16_t authors);
void oracle_free(struct oracle *o);

/* author, peer: places in the charter; node: which of them does it. kept: what is kept under the id that it claims, perhaps something else. */
void oracle_stores(struct oracle *o, uint16_t node, uint16_t author, const uint8_t header[232], const uint8_t *body, uint32_t body_bytes,
                   struct sim_entry *kept);
void oracle_durable(struct oracle *o, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq, const uint8_t id[32], bool flash);
/* After a start: of this lane the disk has so many, and no more. lost: the operator has put an old copy back. */
void oracle_restarts(struct oracle *o, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq, bool was_restored);
/* What was not durable is void. */
void oracle_crashes(struct oracle *o, uint16_t node);
void oracle_record(struct oracle *o, uint16_t node, const uint8_t key[32], uint64_t nonce, const uint8_t *plain, size_t plain_bytes);
void oracle_acked(struct oracle *o, uint16_t node, uint16_t peer, uint16_t author, uint8_t lane, uint64_t seq);
/* What is to take the place of an entry that the disk has changed. */
void oracle_repairs(struct oracle *o, uint16_t node, uint16_t author, const uint8_t header[232], const uint8_t *body, uint32_t body_bytes,
                    struct sim_entry *kept);
void oracle_refuses(struct oracle *o, uint16_t node, uint16_t peer, uint16_t author, uint8_t lane, uint64_t seq, bool tampered, const char *what);
void oracle_throttles(struct oracle *o, uint16_t node, uint16_t author, uint8_t lane);
void oracle_loses(struct oracle *o, uint16_t node, uint16_t peer, const char *what);
void oracle_blames(struct oracle *o, uint16_t node, uint16_t peer, bool tampered, const char *what);
void oracle_fork(struct oracle *o, uint16_t node, uint16_t author, const uint8_t a[232], const uint8_t b[232]);
/* Now and then, where somebody has two branches. False: all have the proof. */
bool oracle_watch_forks(struct oracle *o);
/* Whether all honest nodes agree; why not, for people, otherwise. */
bool oracle_agreed(struct oracle *o, char *why, size_t why_max);
uint64_t oracle_authored(const struct oracle *o);

#endif
