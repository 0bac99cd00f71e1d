#!/usr/bin/env bash
# Clocks that are days off, and that jump while daemons run (skew.c): FIN's, who sends, and CHE's, who relays. Messages flow where certificates and
# keys allow; a claimed time that is off is pointed out; nothing is ordered by it; no link is made with one whose clock is more than ten minutes
# off, what it holds waits, and arrives when the clock is right; nobody crashes.
#
# Usage: tests/integration/clocks.sh [--rounds N]   in the build directory; see scenario.sh
set -euo pipefail
values=rounds rounds=1
. "$(dirname "$0")/options.sh"
seed=0
. "$(dirname "$0")/network.sh"
# shellcheck source=hostile.sh
. "$top/tests/integration/hostile.sh"
skew=$build/tests/integration/skew.so
if $is_sanitized; then echo 'clocks.sh: a program under AddressSanitizer has nothing loaded before it'; exit 77; fi

hour=3600000
# set_clock STATE MS: so far ahead
set_clock() { printf '%-24s' "$2" | dd of="$1.skew" conv=notrunc status=none; }
launch() {
  SKEW_FILE=$work/$1.skew LD_PRELOAD=$skew "$parleyd" --dir "$1" >>"$1.log" 2>&1 </dev/null &
  pids[$1]=$!
}
for state in FIN CHE SGP; do set_clock $state 0; done
own_CHE=('log_level = debug')
begin_network 'quota_flash_per_minute = 6000' 'quota_flash_burst = 6000'
has_said() { tail -n +$((lines + 1)) "$1.log" | grep -E "$2" >/dev/null; }
send() {
  echo "$1" >"$1.txt"
  ok '^sent ' --dir FIN send --to SGP --precedence "${2:-flash}" --subject "$1" "$1.txt"
}
# arrived SUBJECT...: they are the first of SGP's inbox, in this order
arrived() { ask SGP inbox --limit $# && [ "$("$pick" --each messages subject <answer.json | tr '\n' ' ')" = "$* " ]; }

step '1. clocks that jump while messages pass'
jumps() {
  local ms
  for ((round = 0; round < rounds; round++)); do
    for ms in $((24 * hour)) 0 $((20 * hour)) $((2 * hour)) 0; do
      lines=$(wc -l <CHE.log)
      set_clock FIN $ms
      # a line for the first few, and then for how many
      if [ "$ms" -ne 0 ]; then until_true 'CHE points out that a claimed time is off' has_said CHE 'claimed time is off.*ahead|more lines were suppressed of="claimed time is off"'; fi
    done
    for ms in $((72 * hour)) $((-72 * hour)) $((-9000 * hour)) $((9000 * hour)) 0; do
      lines=$(wc -l <CHE.log)
      set_clock CHE $ms
      if [ "$ms" -ne 0 ]; then until_true 'CHE points out that a claimed time is off' has_said CHE 'claimed time is off|more lines were suppressed of="claimed time is off"'; fi
    done
  done
}
flash_every=5
honest 'to begin with' 50 12 5
meanwhile jumps jumps

step '2. nothing is ordered by the time that it claims'
set_clock FIN $((24 * hour))
send first
until_true 'what is a day ahead arrives' arrived first
set_clock FIN 0
send second
until_true 'what claims to be older than the one before it stands before it' arrived second first
ask SGP inbox --limit 2
check 'it does claim that' [ "$(answer messages.0.sent)" \< "$(answer messages.1.sent)" ]

step '3. a clock by which neither keys nor certificate are valid'
set_clock FIN $((-72 * hour))
echo x >x.txt
bad 5 'valid now' --dir FIN send --to SGP --precedence flash --subject refused x.txt
ok '^sent ' --dir SGP send --to FIN --precedence flash --subject incoming x.txt
has_incoming() { ask FIN inbox --limit 1 && [ "$(answer messages.0.subject)" = incoming ]; }
until_true 'FIN takes what comes all the same' has_incoming
set_clock FIN 0
send third
until_true 'FIN sends when its clock is right' arrived third second first

step '4. a clock that is off when a link is made'
stop FIN TERM
check "FIN ends with 0, not $ended" [ "$ended" -eq 0 ]
for ms in $((24 * hour)) $((9000 * hour)); do
  set_clock FIN $ms
  lines=$(wc -l <CHE.log)
  start FIN
  until_true 'CHE says that the clocks are apart' has_said CHE 'handshake failed peer=- why="the clocks are more than 10 minutes apart"' # again, at level debug
  check 'FIN has no link' is_unlinked FIN CHE
  if [ "$ms" -eq $((24 * hour)) ]; then send fourth; fi
  stop FIN TERM
  check "FIN ends with 0, not $ended" [ "$ended" -eq 0 ]
done
start FIN
set_clock FIN 0
until_true 'FIN gets a link when its clock is right, without being started anew' is_linked FIN CHE
until_true 'what it held has arrived' arrived fourth third second first
! grep -qE 'link lost peer=SGP' CHE.log || broken 'the link of CHE to SGP did not last'
end_network
echo "clocks.sh: $rounds rounds of jumps, $n messages meanwhile: 0 lost; 4 of 4 in the order in which they came"
