#!/usr/bin/env bash
# Prints the table of `make bench`: each figure with the reference that was measured beside it, in this run, and their ratio. Medians of several runs.
# Nothing here passes or fails: machines differ and are noisy; compare ratios, on a machine that does nothing else.
#
# Usage: bench.sh [--quick] [--only NAME]...     NAME: live, catchup, flash, memory, restart
# From the build folder; the programs are found in node/ and tests/bench/. Needs two cores: the node that is measured has one to itself.
set -euo pipefail

runs=5 live_entries=30000 catchup_entries=200000 many_entries=1000000 messages=100000 flashes=300
only=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) runs=3 live_entries=10000 catchup_entries=50000 many_entries=100000 messages=10000 flashes=100 ;;
    --only) only+=("$2"); shift ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "bench.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
  esac
  shift
done
wanted() { [ ${#only[@]} -eq 0 ] || printf '%s\n' "${only[@]}" | grep -x "$1" >/dev/null; }

bin=$PWD
for program in node/parley node/parleyd tests/bench/feeder tests/bench/multiply tests/bench/verify tests/integration/flow; do
  [ -x "$bin/$program" ] || { echo "bench.sh: $bin/$program is missing; run it by: make bench" >&2; exit 1; }
done
PATH=$bin/node:$bin/tests/bench:$bin/tests/integration:$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/parley-bench.XXXXXX")
pids=()
cleanup() {
  [ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
export PARLEY_PASSPHRASE='a passphrase for a bench'

row() { printf '%-44s %14s  %-40s %14s  %s\n' "$@"; }
median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
note() { printf 'bench: %s\n' "$*" >&2; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
min() { awk -v a="$1" -v b="$2" 'BEGIN { print a < b ? a : b }'; }

# A port that nobody listens on at the moment.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

declare -A port pid
states=(BLK CHE FIN SGP)
ceremony() {
  local s
  cd "$work"
  for s in "${states[@]}"; do
    port[$s]=$(free_port)
    parley key new --role root --out "$s-root.key" --cost node --comment "$s" >/dev/null
    parley init --state "$s" --dir "$s" --listen "127.0.0.1:${port[$s]}" >/dev/null 2>&1
    parley key certify --state "$s" --name "State of $s" --root "$s-root.key" --node "$s/node.pub,127.0.0.1:${port[$s]}" --out "$s.sheet" >/dev/null
  done
  parley charter new --name 'Bench' ./*.sheet --out net.plc >/dev/null
  for s in "${states[@]}"; do parley charter sign net.plc --root "$s-root.key" >/dev/null; done
  for s in "${states[@]}"; do
    parley init --dir "$s" --charter net.plc >/dev/null 2>&1
    sed -i '/^#* *dial *=/d' "$s/parley.conf"
    printf 'dial = configured\nlog_level = warning\nquota_flash_per_minute = 6000\nquota_flash_burst = 6000\n' >>"$s/parley.conf"
  done
  for s in FIN SGP; do echo "peer = CHE 127.0.0.1:${port[CHE]}" >>"$s/parley.conf"; done
}

start() { # STATE [CORE]
  local s=$1 i
  if [ -n "${2:-}" ]; then taskset -c "$2" parleyd --dir "$s" >>"$s.log" 2>&1 & else parleyd --dir "$s" >>"$s.log" 2>&1 & fi
  pid[$s]=$!
  pids+=("${pid[$s]}")
  for ((i = 0; i < 600; i++)); do
    parley --dir "$s" status >/dev/null 2>&1 && return
    kill -0 "${pid[$s]}" 2>/dev/null || { cat "$s.log" >&2; exit 1; }
    sleep 0.05
  done
  echo "bench.sh: $s did not start" >&2; exit 1
}
stop() { # STATE
  kill "${pid[$1]}"
  wait "${pid[$1]}" 2>/dev/null || true
}
forget() { rm -f "$1"/store.db* "$1"/node.key.used; }
until_linked() { # STATE
  local i
  for ((i = 0; i < 600; i++)); do
    parley --dir "$1" peers | grep '^CHE *live' >/dev/null && return
    sleep 0.05
  done
  echo "bench.sh: $1 has no link to CHE" >&2; exit 1
}
until_ready() { # linked, and FIN has SGP's epoch key
  local i
  until_linked FIN; until_linked SGP
  for ((i = 0; i < 600; i++)); do
    echo ready | parley --dir FIN send --to SGP --precedence routine --subject Ready - >/dev/null 2>&1 && return
    sleep 0.05
  done
  echo "bench.sh: FIN cannot send to SGP" >&2; exit 1
}
entries() { parley --dir "$1" status --json | grep -o '"entries":[0-9]*' | head -n 1 | cut -d: -f2; } # STATE
timed_flashes() { # idle|busy
  local out
  out=$(timeout 300 flow FIN/parley.sock SGP/parley.sock SGP "$flashes" 25 1)
  awk '{ print $6 }' <<<"$out" >>"$work/$1-p50"
  awk '{ print $8 }' <<<"$out" >>"$work/$1-p99"
}
rss_mib() { awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/${pid[$1]}/status"; }
verify_rate() { taskset -c 1 verify 1 | awk '{ print $1 }'; }
feed() { timeout 600 taskset -c 0 feeder BLK CHE "127.0.0.1:${port[CHE]}" "$@"; }
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/${pid[$1]}/stat"; }
# Entries per second of processor time that CHE spends on them, all its threads together: what one core does. Time by the clock would measure the
# machine's other guests as well.
feed_rate() { # MODE ENTRIES
  local before
  before=$(cpu_ticks CHE)
  feed "$1" "$2" 512 >>"$work/clock"
  awk -v n="$2" -v t="$(($(cpu_ticks CHE) - before))" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.0f\n", n / (t / hz) }'
}

# How fast a node takes in what BLK feeds it. In turn with the reference, so that both see the same weather.
ingest() { # MODE ENTRIES
  local i
  : >"$work/rates"; : >"$work/references"
  for ((i = 0; i < runs; i++)); do
    verify_rate >>"$work/references"
    forget CHE
    start CHE 1
    feed_rate "$1" "$2" >>"$work/rates"
    stop CHE
  done
}

ceremony
printf 'parley %s, %s runs each, %s cores, %s\n\n' "$(parley --version | awk '{ print $2 }')" "$runs" "$(nproc)" \
  "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)"
row FIGURE VALUE REFERENCE VALUE RATIO
if wanted live; then
  note "live ingest, $live_entries entries of 512 bytes"
  ingest live "$live_entries"
  a=$(median <"$work/rates") b=$(median <"$work/references")
  row 'live ingest, entries/s, one core' "$a" 'Ed25519 verifications/s, one core' "$b" "$(ratio "$a" "$b") (aim: 0.70 or more)"
fi
if wanted catchup; then
  note "catch-up, $catchup_entries entries of 512 bytes"
  ingest catchup "$catchup_entries"
  a=$(median <"$work/rates")
  raw=$(cd "$work" && { taskset -c 1 "$bin/tests/bench/store_bench" "$work" "$catchup_entries" 512 || true; } | awk '/^median:/ { print $6 }')
  goal=$(min 60000 "$(awk -v r="${raw:-120000}" 'BEGIN { print r / 2 }')")
  row 'catch-up ingest, entries/s, one core' "$a" 'SQLite alone, the same rows/s, one core' "${raw:--}" "$(ratio "$a" "${raw:-$a}") (aim: $goal entries/s or more)"
fi
if wanted flash; then
  note "FLASH over one relay, $runs times $flashes of 512 bytes, idle and under bulk"
  for f in idle-p50 idle-p99 busy-p50 busy-p99 bulk rss; do : >"$work/$f"; done
  for ((i = 0; i < runs; i++)); do
    for s in CHE FIN SGP; do forget "$s"; start "$s"; done
    until_ready
    flow FIN/parley.sock SGP/parley.sock SGP 20 25 1 >/dev/null
    timed_flashes idle
    # The load yields to the nodes, as one on machines of its own would: what is measured is their own bulk in the way of their own FLASH.
    (while :; do timeout 300 chrt -i 0 feeder BLK CHE "127.0.0.1:${port[CHE]}" live 100000000 512 >/dev/null 2>&1 || true; done) &
    load=$!
    pids+=("$load")
    for ((k = 0; k < 600; k++)); do parley --dir SGP feed --author BLK --lane 2 --limit 1 2>/dev/null | grep '^BLK/2/' >/dev/null && break; sleep 0.05; done
    held=$(entries SGP) from=$(date +%s%N)
    timed_flashes busy
    awk -v n="$(($(entries SGP) - held))" -v ns="$(($(date +%s%N) - from))" 'BEGIN { printf "%.0f\n", n / (ns / 1e9) }' >>"$work/bulk"
    disown "$load" # or the shell would report its end
    mapfile -t loaders < <(pgrep -P "$load" | while read -r p; do echo "$p"; pgrep -P "$p"; done)
    kill -9 "$load" "${loaders[@]}" 2>/dev/null || true
    rss_mib FIN >>"$work/rss"
    echo >>"$work/rss"
    for s in CHE FIN SGP; do stop "$s"; done
  done
  idle_p50=$(median <"$work/idle-p50") idle_p99=$(median <"$work/idle-p99") busy_p50=$(median <"$work/busy-p50") busy_p99=$(median <"$work/busy-p99")
  row 'FLASH send to decrypted, idle: p99 ms' "$idle_p99" 'the same: p50 ms' "$idle_p50" "$(ratio "$idle_p99" "$idle_p50")"
  row 'FLASH while lane 2 is saturated: p99 ms' "$busy_p99" 'idle: p99 ms' "$idle_p99" "$(ratio "$busy_p99" "$idle_p99") (aim: 3.00 or less)"
  row 'FLASH while lane 2 is saturated: p50 ms' "$busy_p50" 'idle: p50 ms' "$idle_p50" "$(ratio "$busy_p50" "$idle_p50")"
  row 'bulk through all three nodes meanwhile, entries/s' "$(median <"$work/bulk")" '' '' ''
  row 'resident memory after that, MiB: FIN' "$(median <"$work/rss")" '' '' ''
fi
if wanted memory; then
  note "memory: idle, and with $many_entries entries"
  forget CHE
  start CHE 1
  idle=$(rss_mib CHE)
  feed catchup "$many_entries" 200 >/dev/null
  full=$(rss_mib CHE)
  stop CHE
  start CHE 1
  again=$(rss_mib CHE)
  stop CHE
  row 'resident memory, idle, MiB' "$idle" 'aim' 16 "$(ratio "$idle" 16)"
  row "resident memory, $many_entries entries fed, MiB" "$full" 'aim' 64 "$(ratio "$full" 64)"
  row "the same after a restart, MiB" "$again" 'aim' 64 "$(ratio "$again" 64)"
fi
if wanted restart; then
  note "restart with $messages messages"
  for s in CHE FIN SGP; do forget "$s"; start "$s"; done
  until_ready
  echo 'a message like any other' | parley --dir FIN send --to SGP --precedence routine --subject 'One of many' --wait decrypted --timeout 60 - >/dev/null
  for s in CHE FIN SGP; do stop "$s"; done
  multiply SGP/store.db "$messages" >/dev/null
  : >"$work/rates"; : >"$work/references"
  for ((i = 0; i < runs; i++)); do
    for s in FIN SGP; do
      before=$(date +%s%N)
      parleyd --dir "$s" >>"$s.log" 2>&1 &
      pid[$s]=$!
      pids+=("${pid[$s]}")
      until parley --dir "$s" status >/dev/null 2>&1; do kill -0 "${pid[$s]}"; done
      ms=$((($(date +%s%N) - before) / 1000000))
      stop "$s"
      if [ "$s" = SGP ]; then echo "$ms" >>"$work/rates"; else echo "$ms" >>"$work/references"; fi
    done
  done
  a=$(median <"$work/rates") b=$(median <"$work/references")
  row "start to serving with $messages messages, ms" "$a" 'start with one message (key file included)' "$b" "$(ratio "$a" "$b") (aim: 1000 ms or less)"
fi
