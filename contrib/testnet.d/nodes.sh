# Nodes and links of the backends processes and netns, which differ in where a node runs and in what mode the wire is; backends that are
# containers go on to containers.sh. Each function says what went wrong, and ends with an exit code.
# shellcheck shell=bash disable=SC2154 # what is not set here is set in contrib/testnet

in_containers() { [ "${known[backend]}" = containers ]; }
# in_namespace FIN COMMAND...: not by `ip netns exec`, which also mounts a /sys anew, and cannot in a chroot
in_namespace() { nsenter --net="/run/netns/$(namespace "$1")" "${@:2}"; }
namespace() { printf 'parley-%s-%s' "${known[id]}" "${1,,}"; }

# --- processes, by their number and the time at which they started, so that nobody else is ever meant ---

# look_at PID: leaves its state and the time of its start in $condition and $since, both from one look
look_at() {
  local stat fields
  condition='' since=''
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return
  read -ra fields <<<"${stat##*) }"
  condition=${fields[0]} since=${fields[19]}
}
record() { look_at "$2" || true; printf '%s %s\n' "$2" "$since" >"$dir/$1.pid"; }
# find_process NAME: leaves its number in $pid and its state in $condition; fails if it does not run
find_process() {
  local recorded
  read -r pid recorded 2>/dev/null <"$dir/$1.pid" && [ -n "$recorded" ] && look_at "$pid" && [ "$since" = "$recorded" ] && [ "$condition" != Z ]
}
# signal NAME SIGNAL
signal() { find_process "$1" && kill "-$2" "$pid" 2>/dev/null; }
# wait_for SECONDS COMMAND...
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return
    sleep 0.05
  done
}
has_ended() { ! find_process "$1"; }
end_process() {
  signal "$1" TERM || return 0
  signal "$1" CONT || true
  wait_for 10 has_ended "$1" || { signal "$1" KILL && wait_for 10 has_ended "$1"; } || die $failed "process $pid of $1 does not end"
}

# --- nodes ---

# node_state FIN: running, paused or down
node_state() {
  if has_ended "$1"; then echo down; elif [ "$condition" = T ]; then echo paused; else echo running; fi
}
node_start() {
  local place=()
  is "$1" down
  if in_containers; then container_start "$1"; return; fi
  [ "${known[backend]}" != netns ] || place=(nsenter --net="/run/netns/$(namespace "$1")")
  setsid "${place[@]}" "${known[parleyd]}" --dir "$dir/$1" >>"$dir/$1.log" 2>&1 </dev/null &
  record "$1" $!
}
node_answers() { timeout 5 "${known[parley]}" --dir "$dir/$1" --json status >/dev/null 2>&1; }
answers_or_is_down() { node_answers "$1" || [ "$(node_state "$1")" = down ]; }
node_wait() {
  wait_for 60 answers_or_is_down "$1" && [ "$(node_state "$1")" != down ] && return
  die $failed "$1 does not answer; the end of its log, $dir/$1.log, says: $(node_logs 1 '' "$1" 2>/dev/null | tail -n 1)"
}
start_and_wait() { node_start "$1"; node_wait "$1"; }
node_pause() { is "$1" running; signal "$1" STOP; }
node_resume() { is "$1" paused; signal "$1" CONT; }
# Both of one that runs or is paused.
node_kill() {
  [ "$(node_state "$1")" != down ] || die $absent "$1 does not run"
  if in_containers; then container_kill "$1"; return; fi
  signal "$1" KILL
  wait_for 10 has_ended "$1" || die $failed "$1 does not end"
}
node_end() {
  is "$1" running 'resume it first'
  if in_containers; then engine stop --time 10 "$(namespace "$1")" >/dev/null; else end_process "$1"; fi
}
# node_logs LINES FOLLOW FIN...
node_logs() {
  local state files=()
  if in_containers; then container_logs "$@"; return; fi
  for state in "${@:3}"; do files+=("$dir/$state.log"); done
  tail -n "$1" ${2:+-f} "${files[@]}"
}
node_shell() {
  case ${known[backend]} in
    processes) exec "${@:2}" ;;
    netns) exec nsenter --net="/run/netns/$(namespace "$1")" "${@:2}" ;;
    containers) container_shell "$@" ;;
  esac
}

# --- links ---

# tell WORD...: says it to the wire
tell() {
  local code=0
  "${known[wire]}" --tell "$dir/wire.sock" "$@" 2>"$dir/wire.err" || code=$?
  [ $code -ne 3 ] || die $failed "the wire of the network in $dir has ended (see $dir/wire.log); nothing passes any more: contrib/testnet down, and up again"
  [ $code -eq 0 ] || die $usage "$(cat "$dir/wire.err")"
}
which_ways() { if [ -n "$1" ]; then echo way; else echo link; fi; }
# link_cut A B ONE_WAY
link_cut() {
  if in_containers; then container_cut "$@"; return; fi
  tell cut "$(which_ways "$3")" "$1" "$2"
}
# link_heal [A B]: as the topology has it
link_heal() {
  local link words
  if in_containers; then container_heal "$@"; return; fi
  if [ -n "$1" ]; then tell heal link "$1" "$2"; else tell heal; fi
  for link in "${links[@]}"; do
    read -ra words <<<"$link"
    [ ${#words[@]} -gt 2 ] || continue
    [ -z "$1" ] || [ "$1 $2" = "${words[0]} ${words[1]}" ] || [ "$2 $1" = "${words[0]} ${words[1]}" ] || continue
    tell set link "${words[@]}"
  done
}
# link_set A B ONE_WAY FAULT...
link_set() {
  if in_containers; then die $usage 'links of containers are whole or cut; for other faults make a network with --backend processes or netns'; fi
  tell set "$(which_ways "$3")" "$1" "$2" "${@:4}"
}
# ways: "FROM TO open|cut PASSED LOST DUPLICATED REORDERED FLIPPED FAULTS", a line each
ways() { if in_containers; then container_ways; else tell list; fi; }
link_show() {
  local from to state passed lost duplicated reordered flipped faults all
  all=$(ways)
  while read -r from to state passed lost duplicated reordered flipped faults; do
    [ "$from $to" = "$1 $2" ] || [ "$from $to" = "$2 $1" ] || continue
    if [ "$passed" = - ]; then say "$from to $to: $state"; continue; fi
    say "$from to $to: $state, ${faults:-no faults}; passed $passed, lost $lost, duplicated $duplicated, reordered $reordered, flipped $flipped"
  done <<<"$all"
}
