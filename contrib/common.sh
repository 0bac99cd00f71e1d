# What contrib/demo, contrib/check and contrib/testnet share; sourced by them with $top, say() and die() defined.
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

# JSON of one line on stdin, a line for each value on stdout: ".peers[0].node<tab>CHE".
flatten() {
  awk '
    function emit(value,  k, path) {
      for (k = 1; k <= depth; k++) path = path (is_list[k] ? "[" at[k] "]" : "." at[k])
      print path "\t" value
    }
    function flush() { if (word != "") emit(word); word = "" }
    {
      n = split($0, part, "\"")
      for (i = 1; i <= n; i++) {
        for (j = 1; j <= length(part[i]); j++) {
          ch = substr(part[i], j, 1)
          if (ch == "{") { depth++; is_list[depth] = 0; wants_key = 1 }
          else if (ch == "[") { depth++; is_list[depth] = 1; at[depth] = 0; wants_key = 0 }
          else if (ch == "}" || ch == "]") { flush(); depth-- }
          else if (ch == ",") { flush(); if (is_list[depth]) at[depth]++; wants_key = !is_list[depth] }
          else if (ch == ":") wants_key = 0
          else if (ch != " ") word = word ch
        }
        if (++i > n) break
        text = part[i]
        while (match(text, /\\+$/) && RLENGTH % 2 == 1) text = substr(text, 1, length(text) - 1) "\"" part[++i]
        gsub(/\\\\/, "\\", text)
        if (wants_key) at[depth] = text; else emit(text)
      }
    }'
}
value() { flatten | awk -F '\t' -v path="$1" '$1 == path {print $2}'; }
