# Making a network, and taking it down.
# shellcheck shell=bash disable=SC2154 # what is not set here is set in contrib/testnet

# find_programs: which parleyd, parley and wire; builds them as contrib/demo does, unless $PARLEY, $PARLEYD and $PARLEY_WIRE name them
find_programs() {
  local build=$top/build/gcc name
  [ -z "${known[wire]:-}" ] || return 0
  if [ -n "${PARLEY:-}" ] && [ -n "${PARLEYD:-}" ] && [ -n "${PARLEY_WIRE:-}" ]; then
    known[parley]=$(realpath -m "$PARLEY") known[parleyd]=$(realpath -m "$PARLEYD") known[wire]=$(realpath -m "$PARLEY_WIRE")
  else
    if [ -e "$top/config.status" ]; then build=$top; fi
    [ -e "$build/config.status" ] || (cd "$top" && contrib/setup && autoreconf_once && mkdir -p build/log && configured_gcc >build/log/testnet.log) ||
      die $failed "the build could not be configured; see $top/build/log/testnet.log"
    mkdir -p "$top/build/log"
    make -C "$build" node/parley node/parleyd contrib/testnet.d/wire >"$top/build/log/testnet.log" 2>&1 </dev/null ||
      die $failed "the build does not work; see $top/build/log/testnet.log"
    known[parley]=$build/node/parley known[parleyd]=$build/node/parleyd known[wire]=$build/contrib/testnet.d/wire
  fi
  for name in parley parleyd wire; do [ -x "${known[$name]}" ] || die $usage "there is no program ${known[$name]}"; done
}

# needs PROGRAM PACKAGE: of this machine
needs() { command -v "$1" >/dev/null || die $lacking "--backend ${known[backend]} needs the command $1, which is not here: apt-get install $2"; }
look_at_machine() {
  case ${known[backend]} in
    processes) ;;
    netns)
      needs ip iproute2
      [ "$EUID" -eq 0 ] || die $lacking '--backend netns makes network namespaces, for which one has to be root: sudo contrib/testnet up …, or --backend processes'
      [ -c /dev/net/tun ] || die $lacking '--backend netns needs /dev/net/tun, which is not here: modprobe tun, or --backend processes'
      { ip netns add "parley-probe-$$" && nsenter --net="/run/netns/parley-probe-$$" true && ip netns delete "parley-probe-$$"; } 2>/dev/null ||
        die $lacking '--backend netns: this machine lets nobody make network namespaces; --backend processes needs none'
      ;;
    containers) find_engine ;;
    *) die $usage "--backend ${known[backend]}: it is processes, netns or containers" ;;
  esac
}

run_up() {
  options --nodes= --topology= --backend= --seed= --set=
  no_words
  local begun=$SECONDS line
  known=([backend]=${opt[--backend]:-processes} [seed]=${opt[--seed]:-1})
  states=()
  number --seed "${known[seed]}"
  while IFS= read -r line; do
    [ -z "$line" ] || [[ $line =~ ^[a-z_0-9]+\ *= ]] || die $usage "--set $line: it is KEY=VALUE, as stands in parley.conf"
    case $line in listen* | peer* | dial* | socket* | charter* | key* | passphrase* | store*) die $usage "--set $line: this key a test network sets itself" ;; esac
  done <<<"${opt[--set]:-}"
  [ ! -e "$dir" ] || { [ -d "$dir" ] && [ -z "$(ls -A "$dir")" ]; } ||
    die $usage "$dir is there already$([ ! -f "$dir/testnet" ] || echo ', and is a test network'); name another folder with --dir, or take that one down first"
  [ ${#dir} -le 88 ] || die $usage "$dir: too long a path for the Unix sockets below it; name a shorter one with --dir"
  read_topology "${opt[--topology]:-ring}" "${opt[--nodes]:-}"
  look_at_machine
  find_programs
  known[id]=$(od -An -N 3 -tx1 /dev/urandom | tr -d ' ')
  known[loop]=127.$((16#${known[id]:0:2} % 250 + 2)).$((16#${known[id]:2:2})) # processes: addresses that nobody else is likely to use
  known[states]="${states[*]}"
  known[begun]=$(date +%s)
  mkdir -p "$dir" || die $failed "$dir cannot be made"
  for line in backend id seed loop states parley parleyd wire begun engine; do [ -z "${known[$line]:-}" ] || echo "$line ${known[$line]}"; done >"$dir/testnet.new"
  for line in "${links[@]}"; do echo "link $line"; done >>"$dir/testnet.new"
  mv "$dir/testnet.new" "$dir/testnet"
  trap 'half_up $?' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  make_folders
  make_links
  for line in "${states[@]}"; do node_start "$line"; done
  for line in "${states[@]}"; do node_wait "$line"; done
  wait_for 60 is_whole || die $failed "not all nodes know of one another within 60 s; look into $dir/*.log"
  trap - EXIT
  say "$(count_of ${#states[@]} node), $(count_of ${#links[@]} link), ${known[backend]}: up in $((SECONDS - begun)) s, in $dir"
  [ "$dir" = "$default_dir" ] || say "the other commands need --dir $dir, or: export PARLEY_TESTNET_DIR=$dir"
}
count_of() { if [ "$1" -eq 1 ]; then echo "1 $2"; else echo "$1 $2s"; fi; }
# What up has begun and not finished is taken away again; logs are shown before they go.
half_up() {
  local log
  trap '' HUP INT TERM EXIT
  for log in "$dir"/*.log; do
    if [ -s "$log" ]; then printf -- '--- the end of %s\n%s\n' "${log##*/}" "$(tail -n 4 "$log")" >&2; fi
  done
  printf 'testnet: up has not worked; what it had made is taken away again\n' >&2
  take_down >&2 || true
  exit "$1"
}

# Keys, folders and the charter of all.
make_folders() {
  local state line key peers sheets=()
  parley_does() { "${known[parley]}" --quiet "$@" >/dev/null 2>"$dir/err" || die $failed "parley ${*:1:2}: $(cat "$dir/err")"; }
  mkdir "$dir/keys"
  head -c 18 /dev/urandom | base64 >"$dir/keys/pass"
  for state in "${states[@]}"; do
    mkdir "$dir/$state"
    cp "$dir/keys/pass" "$dir/$state/pass"
    mapfile -t peers < <(peers_of "$state")
    parley_does key new --role root --out "$dir/keys/$state.key" --cost small --passphrase-file "$dir/keys/pass"
    parley_does init --dir "$dir/$state" --state "$state" --cost small --passphrase-file "$dir/$state/pass" --listen "$(listens_at "$state")" "${peers[@]}"
    parley_does key certify --state "$state" --name "State of $state" --root "$dir/keys/$state.key" --passphrase-file "$dir/keys/pass" \
      --node "$dir/$state/node.pub" --out "$dir/keys/$state.sheet"
    sheets+=("$dir/keys/$state.sheet")
    sed -i -E 's/^#?dial = .*/dial = configured/' "$dir/$state/parley.conf"
    while IFS= read -r line; do
      [ -n "$line" ] || continue
      key=${line%%[ =]*}
      sed -i "/^$key *=/d" "$dir/$state/parley.conf"
      echo "$line" >>"$dir/$state/parley.conf"
    done <<<"${opt[--set]:-}"
  done
  parley_does charter new --name "Test network ${known[id]}" --out "$dir/keys/charter.plc" "${sheets[@]}"
  for state in "${states[@]}"; do
    parley_does charter sign "$dir/keys/charter.plc" --root "$dir/keys/$state.key" --passphrase-file "$dir/keys/pass"
  done
  for state in "${states[@]}"; do parley_does init --dir "$dir/$state" --charter "$dir/keys/charter.plc"; done
  rm "$dir/err"
  # shellcheck disable=SC2016 # for the shell that reads it
  echo '[ ! -r ~/.bashrc ] || . ~/.bashrc; PS1="$PARLEY_STATE \w\\$ "' >"$dir/shellrc"
}
# Where a node listens; and of a link the node that is named first dials the other, there.
index_of() { local i; for i in "${!states[@]}"; do if [ "${states[i]}" = "$1" ]; then echo "$i"; fi; done; }
listens_at() {
  case ${known[backend]} in
    processes) echo "${known[loop]}.$(($(index_of "$1") + 1)):7100" ;;
    netns) echo "198.18.0.$(($(index_of "$1") + 1)):7100" ;;
    containers) echo 0.0.0.0:7100 ;;
  esac
}
# dials_at A B: in processes B has an address and the wire a port of it for each that dials
dials_at() {
  case ${known[backend]} in
    processes) echo "${known[loop]}.$(($(index_of "$2") + 1)):$((7200 + $(index_of "$1")))" ;;
    netns) listens_at "$2" ;;
    containers) echo "${2,,}:7100" ;;
  esac
}
peers_of() {
  local link a b
  for link in "${links[@]}"; do
    read -r a b _ <<<"$link"
    [ "$a" != "$1" ] || printf '%s\n' --peer "$b $(dials_at "$a" "$b")"
  done
}

make_links() {
  local link a b state
  case ${known[backend]} in containers) make_containers; return ;; esac
  if [ "${known[backend]}" = netns ]; then
    for state in "${states[@]}"; do
      ip netns add "$(namespace "$state")"
      echo "node $state /run/netns/$(namespace "$state") 198.18.0.$(($(index_of "$state") + 1))"
    done
  fi >"$dir/wire.conf"
  for link in "${links[@]}"; do
    read -r a b _ <<<"$link"
    if [ "${known[backend]}" = processes ]; then echo "link $a $b $(dials_at "$a" "$b") $(listens_at "$b")"; else echo "link $a $b"; fi
  done >>"$dir/wire.conf"
  setsid "${known[wire]}" "$dir/wire.sock" "${known[seed]}" <"$dir/wire.conf" >>"$dir/wire.log" 2>&1 &
  record wire $!
  wait_for 10 wire_answers_or_ended || true
  find_process wire || die $failed "the wire between the nodes does not start: $(tail -n 1 "$dir/wire.log")"
  if [ "${known[backend]}" = netns ]; then
    for state in "${states[@]}"; do
      in_namespace "$state" ip link set lo up
      in_namespace "$state" ip address add "198.18.0.$(($(index_of "$state") + 1))/24" dev wire0
      in_namespace "$state" ip link set wire0 up
    done
  fi
  link_heal '' ''
}
wire_answers_or_ended() { "${known[wire]}" --tell "$dir/wire.sock" list >/dev/null 2>&1 || has_ended wire; }
# is_whole: each node has keys of all, as is seen from an entry of each being there, and all hold the same
is_whole() {
  local state first='' root entries
  ask_nodes || return
  for state in "${states[@]}"; do
    read -r entries root < <(awk -F '\t' '$1 == ".store.entries" {n = $2} $1 == ".frontier.root" {r = $2} END {print n + 0, r}' "$dir/ask/$state")
    [ "$entries" -ge ${#states[@]} ] && [ "${first:=$root}" = "$root" ] || return
  done
}

# take_down: what was made in $dir, and nothing else. Says what cannot be taken away.
take_down() {
  local state name result=0
  if in_containers; then containers_down || result=1; fi
  for state in "${states[@]}"; do signal "$state" TERM && signal "$state" CONT; done || true
  for state in "${states[@]}" wire; do end_process "$state" || result=1; done
  if [ "${known[backend]}" = netns ]; then
    for state in "${states[@]}"; do
      name=$(namespace "$state")
      [ ! -e "/run/netns/$name" ] || ip netns delete "$name" || result=1
    done
  fi
  [ $result -eq 0 ] || return $result
  for name in "${states[@]}" ask keys; do rm -rf "${dir:?}/$name"; done
  for name in "${states[@]}" wire; do rm -f "$dir/$name.pid" "$dir/$name.log"; done
  rm -f "$dir"/wire.{sock,conf,err} "$dir/err" "$dir/shellrc" "$dir/image.tar" "$dir/testnet.new" "$dir/testnet"
  rmdir "$dir" 2>/dev/null || say "$dir stays, with what was not made by testnet: $(cd "$dir" && echo *)"
}
run_down() {
  options
  no_words
  load
  take_down || die $failed "not all could be taken away; what is left is still recorded in $dir: contrib/testnet down --dir $dir tries again"
  say "down: $(count_of ${#states[@]} node) of $dir"
}
