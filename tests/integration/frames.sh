#!/usr/bin/env bash
# A member gone bad puts 0, 1, the limits and what lies beyond them, 2^31, 2^63 - 1 and 2^64 - 1 into every field of every frame and of every
# entry (rawpeer_fields.c), and sends garbage in every state of a session (rawpeer_states.c), to a daemon, CHE. It takes what PROTOCOL.md allows
# and ends the link for what it refuses, that link alone; messages from FIN to SGP through CHE go on meanwhile, none is lost, and CHE's memory
# and descriptors stay. In the end CHE is stopped while bad peers go on sending, and of one that comes and goes all the time little is said.
#
# A frame that is new in frame.h and not in the table of fields fails here.
#
# Usage: tests/integration/frames.sh [--rounds N] [--seed N]   in the build directory; see scenario.sh. The seed makes the garbage.
set -euo pipefail
values='rounds seed' rounds=1 seed=$((RANDOM * 32768 + RANDOM))
. "$(dirname "$0")/options.sh"
. "$(dirname "$0")/network.sh"
# shellcheck source=hostile.sh
. "$top/tests/integration/hostile.sh"
echo "frames.sh: seed $seed, $rounds rounds"

step '1. the table of fields knows the frames of frame.h'
# named FILE: the frames of an enum
named() { sed -n '/^enum pl_frame_type {/,/^};/s/.*\(PL_FRAME_[A-Z0-9_]* = [0-9]*\).*/\1/p' "$1"; }
bad_members=(EST LTU LVA)
bad_listener=$loop:$((port + 1)) # where CHE dials EST
own_CHE=("peer = EST $bad_listener")
flash_every=10 # each FLASH makes CHE dial EST at once
begin_network 'quota_flash_per_minute = 6000' 'quota_flash_burst = 6000'
"$rawpeer" "$hub" known 0 EST CHE >known
named "$top/proto/frame.h" >named
cmp -s known named || { diff known named >out || true; broken 'proto/frame.h has frames that rawpeer_fields.c does not know, or the other way round'; }
sed 's/^};/  PL_FRAME_NEW = 99,\n};/' "$top/proto/frame.h" >frame.h
cmp -s known <(named frame.h) && broken 'a frame that is missing from the table is not missed'

step '2. every field of every frame'
fields() {
  local part who
  for part in 0 1 2 3; do
    who=${bad_members[part == 0 ? 0 : part - 1]}
    timeout 120 "$rawpeer" "$hub" fields "$seed" $who CHE $part >fields.out$part 2>&1 || return
    sed '/^told$/d;s/^/   /' fields.out$part
  done
}
honest 'to begin with' 50 10 0
meanwhile fields fields

step '3. a member that says it has 2^64 - 1 entries of each lane'
attack claims withhold 2
claims_are_shown() { ask CHE status && [ "$(answer frontier.lanes.node=FIN.wanted)" = 9223372036854775807 ]; }
until_true 'CHE shows what is claimed, as a number that readers of JSON hold' claims_are_shown
check 'no number of the status is below 0' [ -z "$(grep -oE ': ?-[0-9]+' answer.json)" ]
ok '18,446,744,073,709,551,615 entries known of, not here yet' --dir CHE status
end_attack claims
while IFS= read -r claims; do printf '   %s\n' "$claims"; done <claims.out

step '4. garbage in every state'
states() {
  timeout 300 "$rawpeer" "$hub" states "$seed" EST CHE "$bad_listener" "$rounds" >states.out 2>states.err || return
  sed 's/^/   /' states.out
}
meanwhile states states

step '5. two that go on sending while CHE stops'
attack drain drain 0
first_drain=$attacker
timeout 60 "$rawpeer" "$hub" drain "$seed" LTU CHE 1 >quiet.out 2>quiet.err &
helpers+=($!)
until_true 'both send' grep -qs told quiet.err
begun=$EPOCHREALTIME
stop CHE TERM
printf '   CHE ends with %s after %s s; %s\n' "$ended" "$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')" "$(cat drain.out)"
check "CHE ends with 0, not $ended" [ "$ended" -eq 0 ]
wait "$first_drain" || broken 'the peer that goes on sending fails'
launch CHE
until_true 'FIN is linked again' is_linked FIN CHE

step '6. a member that dials again and again hides nothing of the others'
until_true 'SGP is linked again' is_linked SGP CHE
"$parley" --dir CHE watch >watch.out 2>watch.err </dev/null &
helpers+=($!)
until_true 'somebody watches' is_followed CHE
attack again again
until_true 'CHE says how often the link of EST has changed' grep -qE 'link (up|lost) peer=EST changes=[0-9]{2}' CHE.log
lost_before=$(grep -c 'link lost peer=SGP' CHE.log || true)
stop SGP KILL
loss_is_said() { [ "$(grep -c 'link lost peer=SGP' CHE.log)" -gt "$lost_before" ] && grep -q 'SGP is lost' watch.out; }
until_true 'CHE says that the link of SGP is lost' loss_is_said
end_attack again
changes=$(sed -n 's/.*peer=EST changes=\([0-9]*\).*/\1/p' CHE.log | head -n 1)
told_of=$(grep -c 'EST is' watch.out)
check "of $changes changes whoever watches is told a few, not $told_of" [ "$told_of" -lt 40 ]
echo "   $changes changes in seconds, of which $told_of were said"
launch SGP
until_true 'SGP is linked again' is_linked SGP CHE
end_network
echo "frames.sh: $(cat fields.out? | awk '/ fields, / { f += $1; v += $3; e += $5 } END { print f " fields, " v " values, " e " links ended for them" }'), $(tail -n 1 states.out); 0 against the protocol"
