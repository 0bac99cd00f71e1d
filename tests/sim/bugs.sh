#!/usr/bin/env bash
# Plants the bugs of bugs.list in the engine, one at a time, and tells which of them parley-sim catches. The source stays as it is: the one file
# that a bug is in is copied, changed and compiled here, and linked in the place of the original.
#
# Usage: tests/sim/bugs.sh [--quick] [NAME...]   in the build directory, after `make tests/sim/parley-sim`; NAMEs: of these bugs
#   --quick   that each can still be planted, and that three of them are caught within 20 seeds
#   BUG_CFLAGS in the environment: flags that the build has besides, those of sanitizers among them
#   SEEDS, JOBS, NODES: of each scenario of a bug, 5000; processes, 2; nodes, 7
# Exit code: 0 all were caught (without --quick: all but one in thirty); 1 not; 2 a bug cannot be planted.
set -euo pipefail
top=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
list=$top/tests/sim/bugs.list
seeds=${SEEDS:-5000} jobs=${JOBS:-2} nodes=${NODES:-7}
quick=0
if [ "${1:-}" = --quick ]; then quick=1; shift; seeds=20; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
read -ra flags <<<"-std=gnu11 -w -Werror=implicit-function-declaration -I$top -DPL_VERSION=\"0\" ${BUG_CFLAGS:-}"
read -ra link <<<"-Wl,--wrap=pl_noise_encrypt,--wrap=pl_noise_decrypt,--wrap=pl_sign,--wrap=pl_sign_verify,--wrap=pl_hash -Wl,--wrap=crypto_scalarmult,--wrap=crypto_scalarmult_base"
read -ra libs <<<"${SIM_LIBS:--lsodium}"

# field NAME FIELD
field() { awk -v name="$1" -v field="$2" '$1 == "bug" { is = $2 == name } is && $1 == field { sub(/^[a-z]+ +/, ""); print; exit }' "$list"; }

# planted NAME FILE: the file with the bug in it. Fails unless what is to be replaced stands there exactly once.
planted() {
  awk -v name="$1" -v list="$list" '
    BEGIN {
      while ((getline line < list) > 0) {
        if (line ~ /^bug /) { is = line == "bug " name; continue }
        if (!is) continue
        if (line ~ /^-/) old[++olds] = substr(line, 2)
        if (line ~ /^\+/) new[++news] = substr(line, 2)
      }
    }
    { text[NR] = $0 }
    END {
      for (i = 1; i <= NR; i++) {
        for (k = 1; k <= olds && text[i + k - 1] == old[k]; k++) ;
        if (k > olds) { found++; at = i }
      }
      if (olds == 0 || found != 1) exit 1
      for (i = 1; i <= NR; i++) {
        if (i == at) { for (k = 1; k <= news; k++) print new[k]; i += olds - 1; continue }
        print text[i]
      }
    }' "$2"
}

# compile NAME FLAG...
compile() {
  local file
  file=$(field "$1" file)
  mkdir -p "$work/$1"
  if ! planted "$1" "$top/$file" >"$work/$1/${file##*/}"; then
    echo "bugs.sh: $1: what it replaces does not stand exactly once in $file; tests/sim/bugs.list is out of date" >&2
    exit 2
  fi
  "${CC:-cc}" "${flags[@]}" "${@:2}" "$work/$1/${file##*/}" || { echo "bugs.sh: $1: does not compile" >&2; exit 2; }
}

# run NAME: sets result to "SEED SCENARIO INVARIANT", or to nothing; ran to how many seeds that took
run() {
  local scenario out status log=$work/$1/log
  result='' ran=0
  compile "$1" -O2 -c -o "$work/$1/bug.o"
  "${CC:-cc}" "${flags[@]}" tests/sim/main.o "$work/$1/bug.o" "${link[@]}" tests/sim/libsim.a proto/libproto.a crypto/libcrypto.a "${libs[@]}" -o "$work/$1/parley-sim"
  for scenario in $(field "$1" runs); do
    status=0
    timeout "${BUG_SECONDS:-3600}" "$work/$1/parley-sim" --scenario "$scenario" --nodes "$nodes" --seeds "1..$seeds" --jobs "$jobs" --json --quiet >"$log" 2>"$log.err" || status=$?
    out=$(tail -n 1 "$log")
    if [ "$status" = 124 ]; then result="? $scenario time"; return; fi
    if [ "$status" -gt 1 ]; then cat "$log.err" >&2; exit 2; fi
    ran=$((ran + $(sed -n 's/.*"seeds":\([0-9]*\).*/\1/p' <<<"$out")))
    if [ "$status" = 1 ]; then
      result="$(sed -n 's/.*"seed":\([0-9]*\),"invariant":"\([^"]*\)".*/\1 '"$scenario"' \2/p' <<<"$out")"
      return
    fi
  done
}

if [ $# -gt 0 ]; then names=("$@"); else mapfile -t names < <(awk '$1 == "bug" { print $2 }' "$list"); fi
if [ $quick = 1 ]; then
  for name in "${names[@]}"; do compile "$name" -fsyntax-only; done
  echo "${#names[@]} bugs can be planted"
  names=(ack-before-fsync body-hash-of-a-part nonce-reset)
fi
caught=0
printf '%-28s %-8s %8s  %-9s %-12s %6s %8s\n' bug caught seed scenario invariant seeds seconds
for name in "${names[@]}"; do
  since=$SECONDS
  run "$name"
  read -r seed scenario invariant <<<"${result:-- - -}"
  if [ -n "$result" ]; then caught=$((caught + 1)) is=yes; else is=no; fi
  printf '%-28s %-8s %8s  %-9s %-12s %6s %8s\n' "$name" "$is" "$seed" "$scenario" "$invariant" "$ran" $((SECONDS - since))
done
echo "$caught of ${#names[@]} caught"
if [ $quick = 1 ]; then [ "$caught" = "${#names[@]}" ]; else [ $((30 * caught)) -ge $((29 * ${#names[@]})) ]; fi
