#!/usr/bin/env bash
# The simulator over some seeds of each scenario, and the cases that have failed once. More seeds: make sim-soak.
#
# Usage: tests/sim/sim_test.sh   in the build directory; PARLEY_SIM_SEEDS: how many of the scenario crisis
set -euo pipefail
sim=tests/sim/parley-sim
top=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
seeds=${PARLEY_SIM_SEEDS:-${PARLEY_TEST_SHORT:+40}}
: "${seeds:=300}"
failed=0

# run ARGUMENT...: parley-sim; it says itself what has failed and how to repeat it
run() { timeout 900 "$sim" "$@" --quiet || failed=1; }

for scenario in $("$sim" --scenarios); do
  case $scenario in
    crisis) one_in=1 ;;
    calm | hostile) one_in=5 ;;
    eclipse) one_in=100 ;; # of the others' length together
    *) one_in=20 ;;
  esac
  run --scenario "$scenario" --seeds "1..$((seeds / one_in + (one_in > 1)))"
done
run --nodes 2 --seeds "1..$((seeds / 5 + 1))"
run --nodes 20 --seeds "1..$((seeds / 60 + 1))"
for case in "$top"/tests/sim/cases/*.case; do
  if [ -e "$case" ]; then run --replay "$case"; fi
done
exit $failed
