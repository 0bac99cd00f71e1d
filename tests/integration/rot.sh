#!/usr/bin/env bash
# A disk that changes what was written: bytes of entries in the store of CHE, the relay, are flipped while it is stopped. Once it runs again and
# SGP, which was away, asks it for what has come meanwhile, it notices, gets the entries from FIN anew, and SGP gets everything from CHE. What
# nobody asks for it finds by itself.
#
# Usage: tests/integration/rot.sh   in the build directory; see scenario.sh
set -euo pipefail
. "$(dirname "$0")/network.sh"
sql=$(realpath "${PARLEY_SQL:-$build/tests/integration/sql}")

make_chain FIN CHE SGP
for state in FIN CHE SGP; do launch $state; done
await_network FIN CHE SGP

step '1. while SGP is away, CHE keeps five messages of FIN for it'
stop SGP TERM
for n in 1 2 3 4 5; do
  printf 'message %d' $n >text
  input=text ok '' --dir FIN send --to SGP --subject "number $n" --precedence routine --quiet
done
until_true 'CHE has what FIN has' frontiers_are_equal FIN CHE
stop CHE TERM

step '2. the disk of CHE flips a bit of two bodies and a header'
# flip COLUMN N: inverts a bit of that column of message N (FIN alone has sent any), in the file itself: where eight bytes from near its end stand
# there once, and are neither cut by the end of a page nor by what grep takes for the end of a line
flip() {
  local column=$1 back piece at
  for back in {20..60}; do
    piece=$("$sql" CHE/store.db "SELECT substr($column, -$back, 8) FROM entry WHERE lane = 1 AND kind = 2 ORDER BY seq LIMIT 1 OFFSET $(($2 - 1))")
    at=$(LC_ALL=C grep -obUaP "$(sed 's/../\\x&/g' <<<"$piece")" CHE/store.db | cut -d: -f1) || continue
    [[ $at =~ ^[0-9]+$ ]] || continue
    printf "\\x$(printf '%02x' $((0x${piece:0:2} ^ 0x10)))" | dd of=CHE/store.db bs=1 seek="$at" conv=notrunc status=none
    return
  done
  broken "$column of message $2 is not in the file"
}
[ ! -s CHE/store.db-wal ] || broken 'the store of CHE was not put in order when it ended'
flip body 2
flip header 4
flip body 5

step '3. SGP gets everything from CHE, which gets from FIN what it has lost'
start CHE
start SGP
check 'SGP has no link but to CHE' is_unlinked SGP FIN
has_five() { ask SGP inbox && [ "$("$pick" --each messages ref <answer.json | wc -l)" -eq 5 ]; }
until_true 'SGP has the five messages' has_five
for ref in $("$pick" --each messages ref <answer.json); do
  ask SGP read --peek "$ref" && [[ $(answer text) == "message "[1-5] ]] || broken "$ref says something else"
  answer text
done | sort -u >texts
[ "$(wc -l <texts)" -eq 5 ] || broken 'SGP does not have five different messages'
counted() { [ "$("$call" CHE/parley.sock GET /metrics | sed -n "s/^$1 //p")" = "$2" ]; }
check 'CHE counts what has come back' counted parley_store_repaired_total 3
[ "$(sed -n 's/.*an entry that the disk had changed has come back from a peer.* entry=//p' CHE.log | sort -u | wc -l)" -eq 3 ] || broken 'CHE does not log what has come back'

step '4. the disk flips a bit again, and nobody asks CHE for that message: it finds it all the same'
for state in CHE SGP; do stop $state TERM; done
flip body 3
start CHE
until_true 'CHE has looked, found it, and has it back' counted parley_store_repaired_total 1
check 'nobody else has asked' is_unlinked CHE SGP

step '5. what the disk has changed is not handed out by the API either'
for state in FIN CHE; do stop $state TERM; done
flip body 1
sed -i '/scrub_bytes_per_s/d' CHE/parley.conf
echo 'scrub_bytes_per_s = 0' >>CHE/parley.conf
first=$("$sql" CHE/store.db 'SELECT seq FROM entry WHERE lane = 1 AND kind = 2 ORDER BY seq LIMIT 1')
start CHE
is_given() { "$call" CHE/parley.sock GET "/v1/feed/FIN/1/$first" | grep '"body": *"' >/dev/null; }
! is_given || broken 'CHE hands out what the disk has changed'
start FIN
until_true 'CHE has it back, and hands it out' is_given

step '6. CHE holds again what FIN holds'
for state in FIN CHE; do stop $state TERM; done
for state in FIN CHE SGP; do
  "$sql" $state/store.db 'SELECT node, lane, seq, gseq, kind, flags, body_bytes, id, header, body FROM entry WHERE lane = 1 AND kind = 2 ORDER BY seq' >$state.rows
  [ "$(wc -l <$state.rows)" -eq 5 ] && cmp -s $state.rows FIN.rows || broken "the entries at $state are not those at FIN"
done
echo 'rot.sh: five damaged entries came back'
