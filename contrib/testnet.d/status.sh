# What nodes and links are like.
# shellcheck shell=bash disable=SC2154 # what is not set here is set in contrib/testnet

# ask_nodes: leaves in $dir/ask/FIN what each says of itself, a line for each value: ".frontier.root<tab>9f2c…"; nothing of one that does
# not answer. All are asked at once.
ask_nodes() {
  local state asked=()
  mkdir -p "$dir/ask"
  for state in "${states[@]}"; do
    {
      if [ "$(node_state "$state")" = running ]; then
        { timeout 5 "${known[parley]}" --dir "$dir/$state" --json status; timeout 5 "${known[parley]}" --dir "$dir/$state" --json peers; } 2>/dev/null
      fi | flatten >"$dir/ask/$state.new"
      mv "$dir/ask/$state.new" "$dir/ask/$state"
    } &
    asked+=($!)
  done
  wait "${asked[@]}" || true
}

# rows: "FIN STATE LIVE LINKS ENTRIES FRONTIER LAG HELD", a line a node; - for what is not known. LAG: entries that others have, and it has not.
rows() {
  local state link
  ask_nodes
  {
    for link in "${links[@]}"; do echo "link $link"; done
    for state in "${states[@]}"; do
      printf 'node %s %s\n' "$state" "$(node_state "$state")"
      sed "s/^/value\t$state\t/" "$dir/ask/$state"
    done
  } | awk '
    $1 == "link" {links[$2]++; links[$3]++; next}
    $1 == "node" {order[++count] = $2; state[$2] = $3; next}
    {
      split($0, part, "\t")
      node = part[2]; path = part[3]; value = part[4]
      if (path == ".frontier.root") root[node] = value
      else if (path == ".store.entries") entries[node] = value
      else if (path ~ /^\.peers\[[0-9]+\]\.state$/ && value == "live") live[node]++
      else if (path ~ /^\.held\./) held[node] += value
      else if (path ~ /^\.frontier\.lanes\[[0-9]+\]\.node$/) author = value
      else if (path ~ /^\.frontier\.lanes\[[0-9]+\]\.lane$/) lane = value
      else if (path ~ /^\.frontier\.lanes\[[0-9]+\]\.durable$/) {
        has[node] += value
        if (value > most[author, lane]) { all += value - most[author, lane]; most[author, lane] = value }
      }
    }
    END {
      for (i = 1; i <= count; i++) {
        node = order[i]
        if (node in root) print node, state[node], live[node] + 0, links[node] + 0, entries[node], root[node], all - has[node], held[node] + 0
        else print node, (state[node] == "running" ? "silent" : state[node]), "-", links[node] + 0, "-", "-", "-", "-"
      }
    }'
}

show_table() {
  local node state live count entries root lag held from to passed rest bad=0 roots='' answering=0 all
  say "$(count_of ${#states[@]} node), ${known[backend]}, seed ${known[seed]}, up since $(date -d "@${known[begun]}" +%T), in $dir"
  printf '\n%-6s%-9s%-8s%8s  %-18s%5s%8s\n' NODE STATE LINKS ENTRIES FRONTIER LAG HELD
  while read -r node state live count entries root lag held; do
    printf '%-6s%-9s%-8s%8s  %-18s%5s%8s\n' "$node" "$state" "$live/$count" "$entries" "${root:0:16}" "$lag" "$held"
    if [ "$root" != - ]; then roots+="$root"$'\n' answering=$((answering + 1)); fi
  done < <(rows)
  all=$(ways)
  printf '\n%-6s%-6s%-6s%s\n' FROM TO STATE FAULTS
  while read -r from to state passed _ _ _ _ rest; do
    if [ "$state" != open ] || [ -n "$rest" ]; then
      printf '%-6s%-6s%-6s%s\n' "$from" "$to" "$state" "$rest"
      bad=$((bad + 1))
    fi
  done <<<"$all"
  [ $bad -gt 0 ] || say "no faults in force on $(count_of ${#links[@]} link)"
  if [ $answering -lt ${#states[@]} ]; then
    printf '\n%s of %s nodes answer' $answering ${#states[@]}
  else
    printf '\nAll nodes answer'
  fi
  case $(printf %s "$roots" | sort -u | wc -l) in
    0) say '.' ;;
    1) say ', and hold the same.' ;;
    *) say ', and do not hold the same yet.' ;;
  esac
}

show_json() {
  local node state live count entries root lag held from to passed lost duplicated reordered flipped rest comma='' all
  quantity() { if [ "$1" = - ]; then printf null; else printf %s "$1"; fi; }
  printf '{"dir":"%s","backend":"%s","seed":%s,"nodes":[' "$(sed 's/["\\]/\\&/g' <<<"$dir")" "${known[backend]}" "$((10#${known[seed]}))"
  while read -r node state live count entries root lag held; do
    printf '%s{"node":"%s","state":"%s","links_live":%s,"links":%s,"entries":%s,"frontier":%s,"lag":%s,"held":%s}' "$comma" "$node" "$state" \
      "$(quantity "$live")" "$count" "$(quantity "$entries")" "$([ "$root" = - ] && echo null || echo "\"$root\"")" "$(quantity "$lag")" "$(quantity "$held")"
    comma=,
  done < <(rows)
  printf '],"ways":['
  comma=''
  all=$(ways)
  while read -r from to state passed lost duplicated reordered flipped rest; do
    printf '%s{"from":"%s","to":"%s","state":"%s","faults":"%s","passed":%s,"lost":%s,"duplicated":%s,"reordered":%s,"flipped":%s}' "$comma" \
      "$from" "$to" "$state" "$rest" "$(quantity "$passed")" "$(quantity "$lost")" "$(quantity "$duplicated")" "$(quantity "$reordered")" "$(quantity "$flipped")"
    comma=,
  done <<<"$all"
  printf ']}\n'
}

run_status() {
  local screen
  options --once --json --every=
  no_words
  load
  number --every "${opt[--every]:-1}"
  if [ -n "${opt[--json]:-}" ]; then show_json; return; fi
  if [ -n "${opt[--once]:-}" ] || [ ! -t 1 ]; then show_table; return; fi
  while
    screen=$(show_table) || exit
    printf '\e[H\e[2J%s\n\n(every %s s; Ctrl-C ends this)\n' "$screen" "${opt[--every]:-1}"
  do
    sleep "${opt[--every]:-1}"
    [ -f "$dir/testnet" ] || die $absent "the network in $dir has been taken down"
  done
}
