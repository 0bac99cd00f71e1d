# What contrib/demo and contrib/check share; sourced by both, in the top folder of the tree, with say() and die() defined.
# shellcheck shell=bash disable=SC2154

usage() { awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$top/contrib/${0##*/}"; }

# Makes ./configure if it is not there. Once it is, make keeps it up to date.
autoreconf_once() {
  mkdir -p build/log
  [ -e configure ] && [ -e Makefile.in ] && return
  say 'autoreconf -i'
  autoreconf -i > build/log/autoreconf.log 2>&1 || { tail -n 20 build/log/autoreconf.log; die 'autoreconf -i failed; see build/log/autoreconf.log'; }
}

# Configures build/NAME with the words given, unless it is; works in a shell of its own whose folder becomes build/NAME.
configured() {
  local dir=$top/build/$1
  shift
  mkdir -p "$dir"
  cd "$dir" || return
  if [ ! -e config.status ] || [ "$(cat words 2>/dev/null)" != "$*" ]; then
    rm -f words
    "$top/configure" "$@"
    echo "$*" > words
  fi
}
# What demo runs and check's first stage tests are one build.
configured_gcc() { configured gcc --enable-werror CC=gcc; }
