#!/usr/bin/env bash
# What comes from other nodes and from the wire and is not as it has to be. First peers that break the protocol before, in and after the
# handshake (rawpeer.c), and a node with another charter: CHE hangs up, says why in its log, and goes on. Then a bad wire between FIN and
# CHE (relay.c), while FIN and SGP send: records are bent, cut, left out, repeated, exchanged, delayed; in the end every message is there,
# once, as it was sent.
#
# Usage: tests/integration/badpeer.sh [--rounds N] [--seed N]   in the build directory; see scenario.sh
set -euo pipefail
values='rounds seed' rounds=1 seed=$((RANDOM * 32768 + RANDOM))
. "$(dirname "$0")/options.sh"
. "$(dirname "$0")/network.sh"
. "$top/tests/integration/load.sh"
rawpeer=$(realpath "${PARLEY_RAWPEER:-$build/tests/integration/rawpeer}")
relay=$(realpath "${PARLEY_RELAY:-$build/tests/integration/relay}")
echo "badpeer.sh: seed $seed"

# The wire from FIN to CHE. words are given to it by the descriptor $wire, what it did is in wire.log.
bad_wire=$loop:$((port + 1))
mkfifo wire.in
"$relay" "$bad_wire" "$hub" "$seed" <wire.in >wire.log 2>wire.err &
helpers+=($!)
exec {wire}>wire.in
until_true 'the relay is ready' grep -q ready wire.log

dial_at[FIN]=$bad_wire
make_chain FIN CHE SGP EST # EST is whom the bad peers pretend to be, or are
for state in CHE EST; do echo 'log_level = debug' >>$state/parley.conf; done # for handshakes that fail in the same way again
for state in FIN CHE SGP; do
  lift_quota $state
  launch $state
done
await_network FIN CHE SGP

step '1. peers that break the protocol'
export PARLEY_PASSPHRASE='correct horse battery'
descriptors() { find "/proc/${pids[CHE]}/fd" -mindepth 1 2>/dev/null | wc -l; }
descriptors_before=$(descriptors)
told=0
said() { tail -n +$((lines + 1)) CHE.log | grep -E -- "$1" >/dev/null; }
# story NAME PATTERN: CHE hangs up at once, and says this in its log
story() {
  lines=$(wc -l <CHE.log)
  tell "$1" || broken "CHE does not hang up when it is told the story \"$1\""
  until_true "CHE says why it hangs up when it is told the story \"$1\"" said "$2"
  report "$1" "$2"
}
tell() { timeout 60 "$rawpeer" "$hub" "$1" $((seed + told)) EST CHE >"$1.out" 2>"$1.err" </dev/null || { cp "$1.out" out && cp "$1.err" err && return 1; }; }
report() {
  local ms
  ms=$(grep -oE 'after [0-9]+' "$1.out") ms=${ms#after }
  [ "$ms" -lt $((${3:-0} + patience * 100)) ] || broken "CHE takes $ms ms to hang up when it is told the story \"$1\""
  printf '   %-9s %s; %s\n' "$1" "$(cat "$1.out")" "$(tail -n +$((lines + 1)) CHE.log | grep -E -m 1 -- "$2" | grep -oE 'why=.*')"
  told=$((told + 1))
}
nothing_came() { grep -q ' 0 bytes came back' "$1.out" || broken "CHE answers the story \"$1\", and must not"; }
handshake='handshake failed peer=- why='
for _ in 1 2; do
  story junk "$handshake\"not a handshake of this network\""
  nothing_came junk
done
story other "$handshake\"not a handshake of this network\""
nothing_came other
story old "$handshake\"the clocks are more than 10 minutes apart\""
nothing_came old
story replay "$handshake\"its first message has come before\""
nothing_came replay
story junk3 "$handshake"
story stranger "$handshake\"its key is not in the charter\""
fault='peer at fault peer=EST why='
story early "$fault\"frame before hello\""
broken_link='link broken, by the wire or the peer peer=EST why='
story records "$broken_link\"record does not decrypt\""
story giant "$broken_link\"record of a size that does not exist\""
story frames "$fault"
story charter "$fault\"it has another charter\""
story entry "$fault\"entry "
story forged "$fault\"too many entries that do not check out\""
# These take CHE's patience, so all at once; but of one address it waits for two handshakes only, so after the one that "mute" begins with.
lines=$(wc -l <CHE.log)
tell mute & slow=($!)
until_true 'the story "mute" is told' grep -qs told mute.err
for name in silent drip; do
  tell $name & slow+=($!)
done
for pid in "${slow[@]}"; do wait "$pid" || broken 'CHE does not hang up when it is told nothing, or slowly'; done
for name in silent drip; do
  until_true "CHE says why it hangs up when it is told the story \"$name\"" said "$handshake\"no answer within 5 s\""
  report $name "$handshake\"no answer within 5 s\"" 5000
  nothing_came $name
done
until_true 'CHE says why it hangs up on a peer that is mute' said "${handshake/-/EST}\"no hello within 5 s\""
report mute "${handshake/-/EST}\"no hello within 5 s\"" 5000
grep -q 'entry refused entry=EST/1/1 peer=EST why="signature does not verify"' CHE.log || broken 'a forged entry is not refused'

step '2. a node with another charter'
ok '' charter new --name 'Other network' FIN.sheet CHE.sheet SGP.sheet EST.sheet --out other.plc --quiet
for state in FIN CHE SGP EST; do ok '' charter sign other.plc --root $state.key "${with_pass[@]}"; done
cp other.plc EST/charter.plc
rm -f EST/store.db* EST/node.key.used
lines=$(wc -l <CHE.log)
start EST
until_true 'EST says what may be the matter' grep -qE 'handshake failed peer=CHE why="the peer hung up: clocks more than 10 minutes apart, another charter or key, too many connections from this address, or it is not a Parley node"' EST.log
until_true 'CHE says what is the matter' said "$handshake\"not a handshake of this network\""
has_tried_again() { [ "$(grep -c 'handshake failed peer=CHE' EST.log)" -ge 3 ]; }
until_true 'EST has tried three times' has_tried_again
check 'EST says so once' [ "$(grep -c 'warning.*handshake failed peer=CHE' EST.log)" -eq 1 ]
check 'CHE has said so once of all who come from there' [ "$(grep -c "warning.*$handshake\"not a handshake of this network\"" CHE.log)" -eq 1 ]
check 'EST has no link' is_unlinked EST CHE
ok '^CHE +down since|^CHE +.*tries again' --dir EST status
grep -qE '^ +last failure [0-9].*: the peer hung up: clocks more than 10 minutes apart' out || fail 'status does not say why there is no link'
ok ': the peer hung up: clocks more than 10 minutes apart, another charter or key, too many connections from this address, or it is not a Parley node$' --dir EST peers
ok '"last_error":\{"time":"[^"]+","reason":"the peer hung up' --dir EST peers --json
grep -qE 'handshake failed peer=- why="not a handshake of this network" address=127\.[0-9.]+:[0-9]+' CHE.log || broken 'CHE does not say where a failed handshake came from'
stop EST TERM
check "EST ends with 0, not $ended" [ "$ended" -eq 0 ]

check 'CHE has told EST nothing, and holds nothing of it' [ -z "$(ask CHE status && "$pick" --each frontier.lanes node <answer.json | grep EST)" ]
! grep -qE 'link lost peer=(FIN|SGP)' CHE.log || broken 'the links of CHE to FIN and SGP did not last through all this'
has_closed() { [ "$(descriptors)" -le "$descriptors_before" ]; }
until_true 'CHE has closed what the bad peers have opened' has_closed

step '3. a bad wire, while messages pass'
begin_load $seed
is_done() { [ "$(wc -l <wire.log)" -gt "$harms" ]; }
harms=$(wc -l <wire.log)
for ((round = 0; round < rounds; round++)); do
  # A word right after "cut" is done to the handshake that follows.
  for words in flip replay swap drop length insert truncate old delay 'cut flip' 'cut drop' 'cut truncate' flip slow; do
    for word in $words; do
      echo $word >&$wire
      until_true "the wire does \"$word\"" is_done
      harms=$((harms + 1))
    done
    load_is_well
    until_true "FIN and CHE are linked again after \"$words\"" is_linked FIN CHE
  done
done
end_load
sed '1d;s/^/   /' wire.log
settle_accounts
for why in 'record does not decrypt' 'record of a size that does not exist|not a handshake'; do
  grep -qE "$why" FIN.log CHE.log || broken "nobody has noticed: $why"
done
check 'no entry was refused that FIN or SGP has written' [ -z "$(grep -hE 'entry refused entry=(FIN|SGP|CHE)/' FIN.log CHE.log SGP.log)" ]
check 'a wire that bends things makes nobody a peer at fault' [ -z "$(grep -hE 'peer at fault peer=(FIN|SGP|CHE)' FIN.log CHE.log SGP.log)" ]
check 'nobody is taken for a forger' [ -z "$(grep -h equivocation FIN.log CHE.log SGP.log)" ]
check 'each daemon is still the first one' [ "$(cat FIN.log CHE.log SGP.log | grep -c ' ready ')" -eq 3 ]
for state in FIN CHE SGP; do
  stop $state TERM
  check "$state ends with 0, not $ended" [ "$ended" -eq 0 ]
done
echo "badpeer.sh: $told bad peers told off; $((harms - 1)) harms to the wire, $(messages_sent) messages over it: 0 lost, 0 twice, 0 bent"
