#!/usr/bin/env bash
# A full disk: first the one of a node that sends, then the one of a node that relays. Sending fails with a sentence about it, what was
# acknowledged is kept, the daemon stays, and once there is room it goes on by itself; what cannot be listed yet is sent all the same. With
# little room bulk waits and messages do not. What a member sends beyond its share waits, and that is said. The disk is a tmpfs of a few MB,
# in a mount namespace of this test alone; where neither root nor a user namespace may mount one, the test is skipped.
#
# Usage: tests/integration/fulldisk.sh   in the build directory; see scenario.sh
set -euo pipefail
if [ -z "${PARLEY_TEST_NAMESPACE:-}" ]; then
  for how in -m -Urm; do
    if unshare $how mount -t tmpfs -o size=1m tmpfs /mnt 2>/dev/null; then PARLEY_TEST_NAMESPACE=1 exec unshare $how "$0" "$@"; fi
  done
  echo 'SKIP: fulldisk.sh: this machine lets nobody here mount a tmpfs'
  exit 77
fi
. "$(dirname "$0")/network.sh"

mkdir FIN CHE
before_removal() { umount "$work/FIN" "$work/CHE"; }
for state in FIN CHE; do mount -t tmpfs -o size=12m,mode=0700 tmpfs $state; done
make_chain FIN CHE SGP
for state in FIN CHE SGP; do launch $state; done
await_network FIN CHE SGP
f=(--dir FIN) c=(--dir CHE)

# fill STATE: takes all room that is left on its disk
fill() { dd if=/dev/zero of="$1/filler" bs=4096 status=none 2>/dev/null || true; }
make_room() { rm "$1/filler"; }
# leave STATE KIB: takes all room but so much
leave() { dd if=/dev/zero of="$1/filler" bs=1024 count=$(($(df -k --output=avail "$1" | tail -1) - $2)) status=none; }
is_full() { ask "$1" status && [ "$(answer store.state)" = full ]; }
is_in() { ask "$1" status && [ "$(answer store.state)" = "$2" ]; }
is_well() { ask "$1" status && [ "$(answer store.state)" = ok ]; }
# send_one NODE TO NAME N: says whether it was acknowledged; if so its reference and text are in NAME.sent
send_one() {
  local text
  text="$4 of $3 $(head -c 1500 /dev/zero | tr '\0' x)"
  printf '%s' "$text" >text
  input=text run --dir "$1" send --to "$2" --subject "$3 $4" --precedence "${5:-routine}" --json
  [ "$code" -eq 0 ] || return 1
  printf '%s\t%s\n' "$("$pick" ref <out)" "$4" >>"$3.sent"
}
all_there() {
  ask "$1" inbox --limit 100000 || return
  "$pick" --each messages ref <answer.json | sort >"$1.inbox"
  cut -f 1 "$2.sent" | sort >"$2.refs"
  [ -z "$(comm -23 "$2.refs" "$1.inbox")" ]
}
right_and_once() { # NODE NAME
  local ref n
  [ -z "$(uniq -d "$1.inbox")" ] || fail "a message is at $1 twice"
  while IFS=$'\t' read -r ref n; do
    ask "$1" read --peek "$ref" && [ "$(answer text)" = "$n of $2 $(head -c 1500 /dev/zero | tr '\0' x)" ] || fail "$ref says at $1 something else than was sent"
  done <"$2.sent"
}

step '1. the disk of FIN, which sends, is full'
for n in 1 2 3; do check "FIN sends message $n" send_one FIN SGP before $n; done
fill FIN
n=0
while send_one FIN SGP during $((n += 1)); do [ $n -lt 500 ] || broken 'a full disk is not noticed'; done # what the database's files have room for still fits
cat err
[ "$code" -eq 1 ] && grep -q '"code":"disk_full"' err && grep -q 'Free space on the volume of the store' err || broken "sending with a full disk ends with $code"
for n in 1 2 3; do
  if send_one FIN SGP during $((n + 1000)) flash; then broken 'a message is sent after the disk was full'; fi
  [ "$code" -eq 1 ] && grep -q '"code":"disk_full"' err || broken "sending with a full disk ends with $code"
done
printf 'T' >text
input=text bad 1 'no room|disk is full|full' "${f[@]}" send --to SGP --subject S
check 'FIN says that its store is full' is_full FIN
ok 'FULL: nothing is taken in or sent until there is room' "${f[@]}" status
bad 1 'room|full' "${f[@]}" indicator import "$top/tests/samples/tidegate.json" --tlp green
until_true 'what was acknowledged before is at SGP' all_there SGP before
# What others send to FIN waits with them.
for n in 1 2 3; do check "SGP sends message $n" send_one SGP FIN waiting $n; done
check 'FIN is there' answers FIN
make_room FIN
until_true 'FIN finds that there is room' is_well FIN
for n in 1 2 3; do check "FIN sends message $n" send_one FIN SGP after $n flash; done
for name in before during after; do
  [ ! -e $name.sent ] || until_true "the messages $name are at SGP" all_there SGP $name
done
until_true 'what has waited is at FIN' all_there FIN waiting
for name in before during after; do [ ! -e $name.sent ] || right_and_once SGP $name; done
right_and_once FIN waiting
until_true 'the three hold the same' frontiers_are_equal FIN CHE SGP
check 'nothing that was refused has gone out' [ "$(ask SGP inbox --limit 100000 && "$pick" --each messages subject <answer.json | grep -c 'during 10')" -eq 0 ]
step '2. the disk of CHE, which relays, is full'
fill CHE
n=0
until [ $n -gt 0 ] && is_full CHE; do
  check 'FIN sends on' send_one FIN SGP relayed $((n += 1))
  check 'SGP sends on' send_one SGP FIN back $n immediate # CHE writes that, too, when it has seen that there is little room
  [ $n -lt 500 ] || broken 'a full disk is not noticed'
done
for m in 1 2 3; do check 'FIN sends on' send_one FIN SGP urgent $m flash; done
until_true 'what is urgent is at SGP, by way of CHE, which cannot keep it' all_there SGP urgent
check 'CHE is there, and full' is_full CHE
ok 'live' "${c[@]}" peers
ok 'entries on the way to it' "${f[@]}" status
make_room CHE
until_true 'CHE finds that there is room' is_well CHE
until_true 'what has waited is at SGP' all_there SGP relayed
right_and_once SGP relayed
until_true 'and at FIN' all_there FIN back
right_and_once FIN back
right_and_once SGP urgent
until_true 'the three hold the same' frontiers_are_equal FIN CHE SGP

step '3. little room at CHE: bulk waits, messages do not'
leave CHE 900 # of 12 MiB a tenth is kept for messages
until_true 'CHE takes no bulk' is_in CHE no_bulk
ok 'LITTLE ROOM: indicators and attachments wait' "${c[@]}" status
bad 1 'no room|disk' "${c[@]}" indicator import "$top/tests/samples/tidegate.json" --tlp green
ok '' "${f[@]}" indicator import "$top/tests/samples/tidegate.json" --tlp green
for m in 1 2 3; do check 'FIN sends on' send_one FIN SGP beside $m flash; done
until_true 'it is at SGP' all_there SGP beside
ok 'LITTLE ROOM' "${c[@]}" status
check 'the indicators wait' [ "$(ask CHE indicator list && answer total)" -eq 0 ]
make_room CHE
leave CHE 400
until_true 'CHE takes urgent messages alone' is_in CHE urgent_only
echo text >text
input=text bad 1 'little room left on the disk, which is kept for immediate and flash' "${c[@]}" send --to SGP --subject Routine
grep -q 'With precedence immediate or flash it goes now' err || fail 'it is not said what would go'
input=text ok '^sent ' "${c[@]}" send --to SGP --subject Immediate --precedence immediate
input=text bad 8 'is sent, but not decrypted yet by SGP' "${c[@]}" send --to SGP --subject Immediate --precedence immediate --wait decrypted --timeout 1
grep -q 'disk has too little room, and receipts wait until there is more' err || fail 'it is not said that receipts wait for room here'
make_room CHE
until_true 'CHE finds that there is room' is_well CHE
until_true 'the three hold the same' frontiers_are_equal FIN CHE SGP
check 'the indicators are there' [ "$(ask CHE indicator list && answer total)" -gt 0 ]

step '4. an attachment that would take what is left for messages'
head -c 7000000 /dev/urandom >large
bad 1 'what is left of the disk is for messages' "${f[@]}" send --to SGP --subject Large --attach large
head -c 1600000 /dev/urandom >smaller
ok '' "${f[@]}" send --to SGP --subject Smaller --attach smaller
check 'FIN sends on' send_one FIN SGP beside 4 flash
until_true 'it is at SGP' all_there SGP beside
check 'FIN is not full' is_well FIN
until_true 'the three hold the same' frontiers_are_equal FIN CHE SGP

step '5. a daemon that starts on a full disk'
stop FIN TERM
check "FIN ends with 0, not $ended" [ "$ended" -eq 0 ]
fill FIN
start FIN
check 'FIN has its messages' ask FIN inbox --box all
if send_one FIN SGP during 2000; then broken 'a message is sent on a full disk'; fi
make_room FIN
until_true 'FIN is well' is_well FIN
check 'FIN sends' send_one FIN SGP last 1 flash
until_true 'it is at SGP' all_there SGP last
right_and_once SGP last

step '6. FIN fills its share of the disk of CHE'
# with_share PERCENT: CHE starts anew with that
with_share() {
  stop CHE TERM
  sed -i '/^member_percent/d' CHE/parley.conf
  printf 'member_percent = %s\n' "$1" >>CHE/parley.conf
  start CHE
}
# waits_for_room COUNT: so many entries of FIN wait for room at CHE, and nothing else does (what has room may still be coming)
waits_for_room() {
  run "${c[@]}" status
  [ "$code" -eq 0 ] &&
    grep -qE "^SHARE FULL +FIN has filled its share of the disk on lane 2 .indicators and attachments.: $1 entries wait for room with others " out &&
    grep -qE '^ +[0-9]+ entries known of: no room here, held by others until there is$' out && ! grep -q 'not here yet' out
}
said_of_share() { [ "$(grep -c 'a member has its share of the disk, and more from it waits entry=FIN/2/' CHE.log)" -eq "$1" ]; }
ok '' "${c[@]}" status --check
with_share 1 # the attachment was more than that
ok '^SHARE FULL +FIN has filled its share of the disk on lane 2 .indicators and attachments.: no more of that is taken ' "${c[@]}" status
head -c 100000 /dev/urandom >further
ok '' "${f[@]}" send --to SGP --subject Further --attach further
for again in 1 2; do
  until_true 'status says what waits for room, and that nothing else is on its way' waits_for_room 3
  bad 1 'FIN has filled its share of the disk on lane [12], and no more of that is taken' "${c[@]}" status --check
  until_true "the log has said it after $again starts" said_of_share $again
  [ $again -eq 2 ] || with_share 1
done
with_share 100
until_true 'the three hold the same' frontiers_are_equal FIN CHE SGP
ok '' "${c[@]}" status --check
step '7. room for an entry, and none for what is shown of it'
leave FIN 400
head -c 60000 /dev/zero | tr '\0' x >text
while input=text run "${f[@]}" send --to SGP --subject Long --precedence immediate --timeout 10 --json && [ "$code" -eq 0 ]; do
  "$pick" ref <out >>long.refs
  [ "$(wc -l <long.refs)" -lt 50 ] || broken 'a full disk is not noticed'
done
[ "$code" -eq 1 ] && grep -q '"code":"disk_full"' err || broken "sending with a full disk ends with $code"
echo "$(wc -l <long.refs) long messages were sent until the disk was full"
make_room FIN
until_true 'FIN finds that there is room' is_well FIN
outbox_has_long() {
  ask FIN inbox --box out --limit 100000 && "$pick" --each messages ref <answer.json | sort >outbox && [ -z "$(sort long.refs | comm -23 - outbox)" ]
}
until_true 'all that was sent is listed' outbox_has_long
check 'and nothing else is' [ "$("$pick" --each messages subject <answer.json | grep -c '^Long$')" -eq "$(wc -l <long.refs)" ]
until_true 'the three hold the same' frontiers_are_equal FIN CHE SGP

for state in FIN CHE SGP; do
  stop $state TERM
  check "$state ends with 0, not $ended" [ "$ended" -eq 0 ]
done
echo "fulldisk.sh: $(cat ./*.sent | wc -l) messages acknowledged around full disks, 0 lost, 0 twice"
