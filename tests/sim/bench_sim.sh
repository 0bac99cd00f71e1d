#!/usr/bin/env bash
# How entries spread in networks of 200, 1,000 and 10,000 nodes: the table of bench_sim, and plots of it where gnuplot is. `make bench-sim`.
#
# Usage: tests/sim/bench_sim.sh [--sizes N,N…] [--silent 0|30|30-later] [--heal N] [--seed N]   in the build directory
set -euo pipefail
top=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
sizes=200,1000,10000
for ((i = 1; i <= $#; i++)); do
  if [ "${!i}" = --sizes ]; then
    j=$((i + 1))
    sizes=${!j}
  fi
done
plots=tests/sim/plots
mkdir -p $plots
tests/sim/bench_sim --plot $plots "$@"
if ! command -v gnuplot >/dev/null; then
  echo "bench_sim.sh: no plots, since gnuplot is missing (Debian: gnuplot-nox); the distributions are in $plots/*.dat"
  exit 0
fi
gnuplot -e "dir='$plots'; sizes='${sizes//,/ }'" "$top/tests/sim/bench_sim.gp"
echo "plots: $plots/latency-*.svg and .png"
