#!/usr/bin/env bash
# How entries spread in networks of 200, 1,000 and 10,000 nodes, how long halves take to heal and what catching up costs: the tables of bench_sim, and
# plots of them where gnuplot is. `make bench-sim`.
#
# Usage: tests/sim/bench_sim.sh [OPTION…]   in the build directory; the options are those of bench_sim, see its --help
set -euo pipefail
top=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
plots=tests/sim/plots
mkdir -p $plots
rm -f $plots/*.dat # of another run
tests/sim/bench_sim --plot $plots "$@"
runs=$(cd $plots && find . -name 'costs-*-each.dat' | sed 's|^\./costs-||; s|-each\.dat$||' | sort -V | tr '\n' ' ')
if [ -z "$runs" ]; then exit 0; fi
if ! command -v gnuplot >/dev/null; then
  echo "bench_sim.sh: no plots, since gnuplot is missing (Debian: gnuplot-nox); the figures are in $plots/*.dat"
  exit 0
fi
gnuplot -e "dir='$plots'; runs='$runs'" "$top/tests/sim/bench_sim.gp"
echo "plots: $plots/latency-*.svg and costs-*.svg, and as .png"
