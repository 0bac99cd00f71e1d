#!/usr/bin/env bash
# A seed is the same run whatever has compiled it: gcc and clang, with and without optimisation and sanitizers. Compiles the simulator and the
# engine once for each.
#
# Usage: tests/sim/hashes_test.sh   in the build directory
set -euo pipefail
top=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
read -ra flags <<<"-std=gnu11 -w -I$top -DPL_VERSION=\"0\" ${SIM_CFLAGS:-} -Wl,--wrap=pl_noise_encrypt,--wrap=pl_noise_decrypt,--wrap=pl_sign,--wrap=pl_sign_verify,--wrap=pl_hash -Wl,--wrap=crypto_scalarmult,--wrap=crypto_scalarmult_base"
read -ra libs <<<"${SIM_LIBS:--lsodium}"
if [ -n "${PARLEY_TEST_SHORT:-}" ]; then echo 'SKIP: hashes_test.sh: it compiles for itself, and finds the same in every build'; exit 77; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for compiler in gcc clang; do
  command -v $compiler >/dev/null || { echo "SKIP: hashes_test.sh: there is no $compiler"; exit 77; }
done
sources=()
for file in "$top"/tests/sim/*.c "$top"/proto/*.c "$top"/crypto/*.c; do
  case $file in *_test.c | */bench_*.c | */twin_sim.c) ;; *) sources+=("$file") ;; esac
done
# compiled NAME COMPILER FLAG...
compiled() { timeout 300 "$2" "${@:3}" "${flags[@]}" "${sources[@]}" -o "$work/$1" "${libs[@]}"; }
hash_of() { "$work/$1" --seed "$2" --crypto "$3" | grep '^trace hash'; }

others=(clang-O2 clang-O0 gcc-asan)
for name in gcc-O2 "${others[@]}"; do
  case $name in
    gcc-asan) compiled $name gcc -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all ;;
    *) compiled $name ${name/-/ -} ;;
  esac
done
while read -r seed crypto; do
  first=$(hash_of gcc-O2 "$seed" "$crypto")
  for name in "${others[@]}"; do
    other=$(hash_of $name "$seed" "$crypto")
    if [ "$first" != "$other" ]; then
      echo "seed $seed: gcc -O2 has $first, $name $other; the first line that differs is where to look (parley-sim --seed $seed --crypto $crypto --trace)"
      exit 1
    fi
  done
  echo "seed $seed, $crypto: $first with gcc-O2 ${others[*]}"
done <<'END'
1 keyed-hash
2 real
33 keyed-hash
END
