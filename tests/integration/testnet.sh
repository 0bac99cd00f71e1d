#!/usr/bin/env bash
# Seven nodes of contrib/testnet are put through schedules of faults, each drawn from a seed: links cut, also one way, and the network
# split; nodes paused, and killed with kill -9; links with delay, loss, and records or packets that are doubled, out of order or flipped.
# Meanwhile several states send FLASH and routine messages and indicators. Then all is healed; within 60 s the frontiers of all seven must be
# equal, and everything that was acknowledged must be where it belongs: once, as it was sent, with its receipt.
#
# Usage: tests/integration/testnet.sh [--schedules N] [--seed N] [--backend processes|netns|containers]   in the build directory; see scenario.sh.
# Schedules have seeds that follow one another; --backend and --seed alone repeat one. Without --backend half of them run on each backend,
# at once, or all on processes where nobody may make network namespaces. On containers, which take an engine (podman or docker), links are cut both
# ways and nodes paused and killed, and that is all. Prints every schedule as it begins, and how long it took to
# converge after it was healed.
set -euo pipefail
values='schedules seed backend' schedules='' seed='' backend=''
. "$(dirname "$0")/options.sh"
if [ -n "$seed" ]; then : "${schedules:=1}"; elif [ -n "${PARLEY_TEST_SHORT:-}" ]; then : "${schedules:=2}"; fi
: "${schedules:=20}" "${seed:=1}"
seconds_max=$((300 + schedules * 120))
. "$(dirname "$0")/network.sh"
export PARLEY=$parley PARLEYD=$parleyd
PARLEY_WIRE=$(realpath "${PARLEY_WIRE:-$build/contrib/testnet.d/wire}")
export PARLEY_WIRE PARLEY_TESTNET_DIR=$work/net
testnet() { "$top/contrib/testnet" "$@"; }
now_ms() { local us=${EPOCHREALTIME//[.,]/}; echo $((us / 1000)); }
states=(FIN CHE SGP EST SWE NOR DNK)

# --- the command itself, and then both backends at once, each with half of the schedules ---

# says CODE PATTERN WORD...: contrib/testnet ends so, and says something like it
says() {
  local want=$1 pattern=$2 code=0
  shift 2
  testnet "$@" >out 2>err || code=$?
  [ $code -eq "$want" ] || fail "contrib/testnet $*: exit code $code, expected $want"
  cat out err | grep -E -- "$pattern" >/dev/null || fail "contrib/testnet $*: says nothing like \"$pattern\""
}
if [ -z "$backend" ]; then
  says 2 '^Usage: '
  says 0 '^  heal ' --help
  says 0 '--jitter' link --help
  says 2 'there is no command frob' frob
  says 2 'does not know --frob' up --frob
  says 2 '--nodes needs a value' up --nodes
  says 2 '2 to 26 nodes' up --nodes 27
  says 2 'seven is not a number' up --nodes seven
  says 2 'ring, mesh or a file' up --topology star
  says 2 'processes, netns or containers' up --backend cloud
  says 2 'sets itself' up --set 'listen = 192.0.2.1:7100'
  says 2 'is there already' up --dir "$work"
  says 2 'too long a path' up --dir "$work/$(printf '%080d' 0)"
  says 3 'no test network in' status
  says 3 'no test network in' down
  while IFS='|' read -r pattern lines; do
    printf '%b' "$lines" >topology
    says 2 "topology:[0-9]+: $pattern|topology: $pattern" up --topology topology
  done <<'END'
no line of it is a link|# nothing\n
Fin is not a state's code|Fin CHE\n
FIN needs no link to itself|FIN FIN\n
the link of CHE and FIN stands here a second time|FIN CHE\nCHE FIN\n
a place is a state, its latitude|FIN 60.2\n
no way leads from FIN CHE to SGP|FIN CHE\nSGP EST\n
SGP has a place and no link|FIN CHE\nSGP 1.3 103.8\n
loss: "2x" is not a share|FIN CHE --loss 2x\n
there is no fault "lost=2%"|FIN CHE --lost=2%\n
2%: a fault is written as --loss|FIN CHE 2%\n
END
  PARLEYD=$(type -P false) says 1 'taken away again' up --nodes 2
  absent net
  second=netns half=$((schedules / 2))
  probe=parley-probe-$$
  if [ ! -c /dev/net/tun ] || ! { ip netns add $probe && nsenter --net=/run/netns/$probe true && ip netns delete $probe; } 2>err; then
    second=processes
    echo 'testnet.sh: netns is skipped, and all run on processes: it needs root, ip (iproute2), /dev/net/tun, and to be allowed network namespaces'
  fi
  lane() { (cd "$build" && "$top/tests/integration/testnet.sh" --backend "$1" --seed "$2" --schedules "$3") 2>&1 | tee "$2.out"; }
  lanes=() code=0
  lane processes "$seed" $((schedules - half)) & lanes+=($!)
  if [ $half -gt 0 ]; then lane $second $((seed + schedules - half)) $half & lanes+=($!); fi
  for pid in "${lanes[@]}"; do wait "$pid" || code=$?; done
  [ $code -eq 0 ] || exit 1
  awk -v all="$schedules" '/: converged in / {n++; if ($(NF - 1) + 0 > worst) worst = $(NF - 1) + 0}
    END {if (n != all) {print "testnet.sh: " n + 0 " of " all " schedules have run"; exit 1}
      printf "testnet.sh: %d schedules, 0 lost, 0 twice%s; worst convergence %d ms\n", n,
        n < 20 ? "" : sprintf(": with 95 %% certainty fewer than %.4f losses a schedule", 3 / n), worst}' ./*.out
  exit
fi

# --- a schedule: steps "MILLISECONDS WORDS", all drawn before the first is taken ---

links=() # "FIN CHE"
faults=(0 1 2 3 4 5 6 7 8)
if [ "$backend" = containers ]; then faults=(0 2 3 4 5 6); fi
shift_of() { local i; for i in "${!states[@]}"; do [ "${states[i]}" != "$1" ] || echo "$i"; done; }
draw_schedule() {
  local n t=0 a b i k link state
  local -A down=()
  RANDOM=$((($1 * 40503 + 12345) & 32767)) # seeds that follow one another give schedules that are nothing alike
  steps=()
  add() { steps+=("$t $*"); }
  for ((n = 4 + RANDOM % 4; n > 0; n--)); do
    t=$((t + RANDOM % 350))
    link=${links[RANDOM % ${#links[@]}]} state=${states[RANDOM % ${#states[@]}]}
    a=${link% *} b=${link#* }
    if [ -n "${down[$state]:-}" ]; then
      add "${down[$state]}" "$state"
      unset "down[$state]"
      continue
    fi
    case ${faults[RANDOM % ${#faults[@]}]} in
      0) add cut "$a" "$b" ;;
      1) if [ $((RANDOM % 2)) -eq 0 ]; then add cut "$a" "$b" --one-way; else add cut "$b" "$a" --one-way; fi ;;
      2) # some of the states from the others
        k=$((RANDOM % 4 + 2))
        for link in "${links[@]}"; do
          a=$(shift_of "${link% *}") b=$(shift_of "${link#* }")
          if [ $((a < k)) -ne $((b < k)) ]; then add cut "$link"; fi
        done ;;
      3 | 4) add pause "$state"; down[$state]=resume ;;
      5 | 6) add kill "$state"; down[$state]=start ;;
      7) add link "$a" "$b" --delay $((RANDOM % 200))ms --jitter $((RANDOM % 100))ms --loss $((RANDOM % 30))% --rate $((64 + RANDOM % 400))k ;;
      8) add link "$a" "$b" --duplicate $((RANDOM % 20))% --reorder $((RANDOM % 30))% --flip $((RANDOM % 10))% ;;
    esac
  done
  t=$((t + 100 + RANDOM % 400))
  ends_ms=$t
  # Who sends how much of what to whom meanwhile.
  loads=()
  for ((n = 0; n < 3; n++)); do
    a=${states[RANDOM % 7]} b=${states[RANDOM % 7]}
    [ "$a" != "$b" ] || b=${states[($(shift_of "$a") + 3) % 7]}
    loads+=("$a $b $((3 + RANDOM % 3))")
  done
}

# --- what is sent; each sender is a process of its own, and takes it that its node is down at times ---

# sender SEED N FROM TO COUNT: writes to tried "TO SUBJECT" of each message, to sent "FROM TO REF SUBJECT" of those that were acknowledged
sender() {
  local i got subject
  for ((i = 0; i < $5; i++)); do
    subject="s$1.$2.$i"
    echo "$4 $subject" >>tried
    if got=$(text_of "$subject" | timeout 60 "$parley" --dir "net/$3" --json send --to "$4" --precedence "${precedences[i % 2]}" --subject "$subject" - 2>>send.err); then
      echo "$3 $4 $("$pick" ref <<<"$got") $subject" >>sent
    fi
    sleep 0.1
  done
}
precedences=(flash routine)
text_of() { echo "The text of $1."; }
# importer SEED FROM: an indicator; its id goes to shared once it was acknowledged
importer() {
  local id
  id=$(printf 'ipv4-addr--%08x-0000-4000-8000-%012x' $$ "$1")
  printf '{"type":"bundle","id":"bundle--%s","objects":[{"type":"ipv4-addr","spec_version":"2.1","id":"%s","value":"192.0.2.%d"}]}' \
    "${id#*--}" "$id" $(($1 % 256)) >"bundle.$1"
  if timeout 60 "$parley" --dir "net/$2" indicator import "bundle.$1" --tlp green --quiet >/dev/null 2>>send.err; then echo "$id" >>shared; fi
  rm "bundle.$1"
}

# --- the account ---

of() { ask "net/$1" "${@:2}"; }
# what_is_wrong: what is not as it has to be, a line each; at first that may be because it is still under way
what_is_wrong() {
  local state
  for state in "${states[@]}"; do
    of "$state" inbox --limit 100000 && "$pick" --each messages ref subject <answer.json | sed "s/^/in\t$state\t/"
    of "$state" inbox --box out --limit 100000 && "$pick" --each messages ref receipts <answer.json | sed "s/^/out\t$state\t/"
    of "$state" indicator list --limit 100000 && "$pick" --each indicators id <answer.json | sed "s/^/object\t$state\t/"
    echo "node $state"
  done >found
  frontiers_are_equal "${states[@]/#/net/}" || echo 'the nodes do not hold the same'
  awk '
    FILENAME == "tried" {tried[$1, $2] = 1; next}
    $1 == "in" {
      if (here[$2, $4]++) print $4 " is there twice, at " $2
      if (!(($2, $4) in tried)) print $4 " is at " $2 ", and was not sent to it"
      in_box[$2, $3, $4] = 1
      next
    }
    $1 == "out" {receipts[$2, $3] = $0; next}
    $1 == "object" {if (objects[$2, $3]++) print $3 " is there twice, at " $2; next}
    $1 == "node" {nodes[$2] = 1; next}
    FILENAME == "sent" {
      if (!(($2, $3, $4) in in_box)) print $2 " has not got " $3 " " $4
      if (receipts[$1, $3] !~ "\"" $2 "\": ?\"decrypted\"") print $1 " has no receipt of " $2 " for " $3
    }
    FILENAME == "shared" {for (node in nodes) if (!((node, $1) in objects)) print node " has not got " $1}' tried found sent shared
}
# is_as_it_should: leaves in $equal_ms when the frontiers were found equal
is_as_it_should() { frontiers_are_equal "${states[@]/#/net/}" && equal_ms=$(now_ms) && what_is_wrong >wrong && [ ! -s wrong ]; }
# false_texts SEED: of the messages of this schedule
false_texts() {
  local to ref subject
  while read -r _ to ref subject; do
    of "$to" read --peek "$ref" && [ "$(answer text)" = "$(text_of "$subject")" ] || echo "$ref: $subject at $to has another text"
  done < <(grep " s$1\\." sent)
}

# broken_schedule WHAT: with the schedule and how to repeat it
broken_schedule() {
  cp wrong out
  { testnet status --once; tail -n 8 net/*.log; } >>err 2>&1 || true
  printf 'testnet.sh: to repeat it: tests/integration/testnet.sh --backend %s --seed %s\n' "$backend" "$current" >>err
  fail "schedule $current on $backend: $1"
}
current=$seed
# What may still be running goes first; end_all then does the rest.
take_down() {
  [ -z "${PARLEY_TEST_KEEP:-}" ] || cp -r net kept
  testnet down >out 2>err
}
end_network() {
  trap '' INT TERM HUP # also in the command that takes it down
  cd "$work" || return
  [ ! -f net/testnet ] || take_down || true
  end_all
}
trap end_network EXIT

run_schedule() {
  local step began took end pid load i=0 loading=()
  draw_schedule "$1"
  current=$1
  echo "schedule $1, $backend: $(printf '%s; ' "${steps[@]}")healed at $ends_ms; $(printf '%s sends to ' "${loads[@]}" | sed -E 's/([A-Z]+) ([A-Z]+) ([0-9]+) sends to /\1 sends \3 to \2, /g')${states[$1 % 7]} an indicator"
  began=$(now_ms)
  for load in "${loads[@]}"; do
    # shellcheck disable=SC2086 # three words
    sender "$1" $i $load & loading+=($!)
    i=$((i + 1))
  done
  importer "$1" "${states[$1 % 7]}" & loading+=($!)
  helpers=("${loading[@]}")
  for step in "${steps[@]}" "$ends_ms true"; do
    took=$(($(now_ms) - began))
    if [ "${step%% *}" -gt $took ]; then sleep "$(printf '%d.%03d' $(((${step%% *} - took) / 1000)) $(((${step%% *} - took) % 1000)))"; fi
    case ${step#* } in true) continue ;; esac
    # shellcheck disable=SC2086 # several words
    testnet ${step#* } >out 2>err || broken_schedule "contrib/testnet ${step#* } has not worked"
  done
  { testnet heal && testnet resume && testnet start; } >out 2>err || broken_schedule 'cannot be healed'
  began=$(now_ms) end=$((SECONDS + patience))
  for pid in "${loading[@]}"; do wait "$pid"; done
  helpers=()
  until is_as_it_should; do
    [ $SECONDS -lt $end ] || { what_is_wrong >wrong; broken_schedule "not within $patience s of healing"; }
    sleep 0.2
  done
  took=$((equal_ms - began))
  false_texts "$1" >wrong
  [ ! -s wrong ] || broken_schedule 'messages are not as they were sent'
  if [ $took -gt $worst_ms ]; then worst_ms=$took; fi
  echo "schedule $1, $backend: converged in $took ms"
}

# --- the network: a ring on processes; on netns, two chords more, and delays by distance ---

limits=(--set 'quota_flash_per_minute = 6000' --set 'quota_flash_burst = 6000')
if [ "$backend" = netns ]; then
  printf '%s\n' 'FIN 60.2 24.9' 'CHE 46.9 7.4' 'SGP 1.3 103.8' 'EST 59.4 24.7' 'SWE 59.3 18.1' 'NOR 59.9 10.7' 'DNK 55.7 12.6' \
    'FIN CHE' 'CHE SGP' 'SGP EST' 'EST SWE' 'SWE NOR' 'NOR DNK' 'DNK FIN' 'FIN EST' 'CHE NOR --loss 1%' >topology
  testnet up --backend netns --topology topology --seed "$seed" "${limits[@]}" >out 2>err || fail 'no network'
else
  testnet up --backend "$backend" --nodes 7 --seed "$seed" "${limits[@]}" >out 2>err || fail 'no network'
fi
while read -r _ a b _; do links+=("$a $b"); done < <(grep '^link ' net/testnet)
: >tried
: >sent
: >shared
worst_ms=0

# --- a node that is cut off is cut off ---

for link in "${links[@]}"; do
  # shellcheck disable=SC2086 # two words
  case $link in *SGP*) testnet cut $link >/dev/null ;; esac
done
sender 0 0 FIN SGP 1
[ -s sent ] || fail 'FIN does not send'
all_but_one_hold_it() { frontiers_are_equal net/FIN net/CHE net/DNK && ! frontiers_are_equal net/FIN net/SGP; }
until_true 'all but the one that is cut off get a message' all_but_one_hold_it
says 2 'FIN and SGP have no link; FIN has links to CHE' cut fin sgp
says 2 'there is no XXX in the network' kill XXX
says 3 'SGP is running, not paused' resume SGP
if [ "$backend" != containers ]; then says 2 'loss: "x" is not a share' link FIN CHE --loss x; fi
of SGP inbox && [ -z "$("$pick" --each messages ref <answer.json)" ] || fail 'SGP is cut off, and has got a message'
of FIN inbox --box out && [ "$(answer messages.0.receipts.SGP)" != decrypted ] || fail 'SGP is cut off, and its receipt has come'
sees_who_lags() { testnet status --json >answer.json && [ "$(answer nodes.node=SGP.lag)" -gt 0 ] && [ "$(answer nodes.node=FIN.lag)" -eq 0 ]; }
until_true 'status sees who lags behind' sees_who_lags # others may write something between the questions
testnet heal >/dev/null
until_true 'it gets it when the links are healed' is_as_it_should

# --- the schedules ---

for ((n = 0; n < schedules; n++)); do run_schedule $((seed + n)); done

# Faults did happen.
harmed=0
if [ "$backend" != containers ]; then
  harmed=$("$PARLEY_WIRE" --tell net/wire.sock list | awk '{n += $5 + $6 + $7 + $8} END {print n + 0}')
  [ "$harmed" -gt 0 ] || [ "$schedules" -lt 5 ] || fail "in all $schedules schedules nothing happened to what passed"
fi

# --- the account, when something is lost: it must miss it ---

[ "$(wc -l <sent)" -ge "$schedules" ] || fail "only $(wc -l <sent) messages were acknowledged: that is no load"
sed -n '1s/^\([A-Z]*\) \([A-Z]*\) \([^ ]*\).*/\1 \2 \3x s0.0.0/p' sent >>sent
is_as_it_should && fail 'a message that nobody sent is not missed'
grep -q 'has not got .*x s0.0.0$' wrong || { cp wrong out; fail 'a message that nobody sent is not missed by its name'; }
take_down || fail 'the network cannot be taken down'
echo "testnet.sh: $backend: $schedules schedules in $SECONDS s, $(($(wc -l <sent) - 1)) messages and $(wc -l <shared) indicators acknowledged, $harmed units harmed, 0 lost, 0 twice; worst convergence $worst_ms ms"
