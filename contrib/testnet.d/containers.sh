# The backend containers: each node a container of podman or docker with a folder of the machine, each link a private network. A node is
# found by its state's name in the networks that it has with others. What is made is named after the network's id, which $dir/testnet has.
# shellcheck shell=bash disable=SC2154 # what is not set here is set in contrib/testnet

engine() { ${known[engine]} "$@"; }
link_network() { printf '%s-%s' "$(namespace "$1")" "${2,,}"; }

# find_engine: the first that answers; $PARLEY_TESTNET_ENGINE names one. Where podman has runc beside crun it gets runc, which also works where
# the machine has cgroups of both versions.
find_engine() {
  local why='' one tried=(podman docker)
  [ -z "${PARLEY_TESTNET_ENGINE:-}" ] || tried=("$PARLEY_TESTNET_ENGINE")
  for one in "${tried[@]}"; do
    command -v "${one%% *}" >/dev/null || { why+="; ${one%% *} is not here"; continue; }
    if [ "$one" = podman ] && command -v runc >/dev/null; then one='podman --runtime runc'; fi
    # shellcheck disable=SC2086 # a command and its options
    if timeout 60 $one ps >/dev/null 2>&1; then known[engine]=$one; break; fi
    # shellcheck disable=SC2086
    why+="; ${one%% *} does not answer: $($one ps 2>&1 | tail -n 1 || true)"
  done
  [ -n "${known[engine]:-}" ] ||
    die $lacking "--backend containers needs podman or docker that works$why; apt-get install podman runc netavark aardvark-dns, as root"
  if [ "${known[engine]%% *}" = podman ] && [ "$EUID" -ne 0 ]; then
    die $lacking '--backend containers needs podman as root, for networks between containers: sudo contrib/testnet up …, or --backend processes'
  fi
}

# An image of the programs and the libraries that they are linked with, and no more.
make_image() {
  local root=$dir/image program library
  mkdir -p "$root/etc" "$root/tmp"
  for program in parleyd parley; do
    cp "${known[$program]}" "$root/$program"
    ldd "${known[$program]}" | grep -oE '/[^ ]+' | while read -r library; do
      mkdir -p "$root${library%/*}"
      cp -nL "$library" "$root$library"
    done
  done
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
  chmod -R go+rX "$root"
  tar -C "$root" -cf "$dir/image.tar" .
  engine import "$dir/image.tar" "$(image)" >/dev/null 2>"$dir/err" || die $failed "the image cannot be made: $(tail -n 1 "$dir/err")"
  rm -r "$root" "$dir/image.tar" "$dir/err"
}
image() { printf 'localhost/parley-testnet:%s' "${known[id]}"; }

make_containers() {
  local link a b state networks
  done_by_engine() { engine "$@" >/dev/null 2>"$dir/err" || die $failed "${known[engine]} $1 $2: $(tail -n 1 "$dir/err")"; }
  make_image
  for link in "${links[@]}"; do
    read -r a b _ <<<"$link"
    done_by_engine network create --internal "$(link_network "$a" "$b")"
  done
  for state in "${states[@]}"; do
    mapfile -t networks < <(networks_of "$state")
    done_by_engine create --name "$(namespace "$state")" --hostname "${state,,}" --network "${networks[0]}" --network-alias "${state,,}" \
      --ulimit nofile=1024:1024 --ulimit nproc=20000:20000 --volume "$dir/$state:$dir/$state" "$(image)" /parleyd --dir "$dir/$state"
    for link in "${networks[@]:1}"; do done_by_engine network connect --alias "${state,,}" "$link" "$(namespace "$state")"; done
  done
  rm -f "$dir/err"
}
# networks_of FIN: the names of those that it should have
networks_of() {
  local link a b
  for link in "${links[@]}"; do
    read -r a b _ <<<"$link"
    if [ "$a" = "$1" ] || [ "$b" = "$1" ]; then link_network "$a" "$b"; echo; fi
  done
}
has_network() {
  local has
  has=$(engine inspect --format '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}' "$(namespace "$1")")
  [[ " $has" == *" $2 "* ]]
}

# Its process is known by its number, as those of the other backends are: it is stopped and found by that, since podman loses count of the networks
# of a container that it has paused itself.
container_start() {
  engine start "$(namespace "$1")" >/dev/null 2>"$dir/err" || die $failed "$1 does not start: $(tail -n 1 "$dir/err")"
  record "$1" "$(engine inspect --format '{{.State.Pid}}' "$(namespace "$1")")"
}
container_kill() {
  engine kill "$(namespace "$1")" >/dev/null
  wait_for 10 is_over "$1" || die $failed "$1 does not end"
}
is_over() { has_ended "$1" && [ "$(engine inspect --format '{{.State.Running}}' "$(namespace "$1")")" = false ]; }
container_logs() {
  local state
  if [ -n "$2" ] && [ $# -gt 3 ]; then die $usage 'of containers, the log of one at a time can be followed: name it'; fi
  for state in "${@:3}"; do
    [ $# -eq 3 ] || say "==> $state <=="
    engine logs --tail "$1" ${2:+--follow} "$(namespace "$state")" 2>&1
  done
}
# The image has no shell; this one has the files of the machine, and the network of the container.
container_shell() {
  local pid
  [ "$(node_state "$1")" != down ] || die $absent "$1 is down, and has no network to look at; start it first"
  command -v nsenter >/dev/null || die $lacking 'shell needs nsenter, which is not here: apt-get install util-linux'
  pid=$(engine inspect --format '{{.State.Pid}}' "$(namespace "$1")")
  exec nsenter --net --target "$pid" "${@:2}"
}

# A link "A B" as the topology has it, as its network is named.
network_between() {
  local link a b
  for link in "${links[@]}"; do
    read -r a b _ <<<"$link"
    case "$1 $2" in "$a $b" | "$b $a") link_network "$a" "$b" ;; esac
  done
}
container_cut() {
  local network
  [ -z "$3" ] || die $usage 'links of containers can only be cut both ways; for one way make a network with --backend processes or netns'
  network=$(network_between "$1" "$2")
  if has_network "$1" "$network" && has_network "$2" "$network"; then
    engine network disconnect "$network" "$(namespace "$1")" 2>"$dir/err" || die $failed "the link of $1 and $2 cannot be cut: $(tail -n 1 "$dir/err")"
  fi
}
container_heal() {
  local link a b state network
  for link in "${links[@]}"; do
    read -r a b _ <<<"$link"
    [ -z "$1" ] || [ "$1 $2" = "$a $b" ] || [ "$2 $1" = "$a $b" ] || continue
    network=$(link_network "$a" "$b")
    for state in "$a" "$b"; do
      has_network "$state" "$network" || engine network connect --alias "${state,,}" "$network" "$(namespace "$state")" 2>"$dir/err" ||
        die $failed "$state cannot be connected again: $(tail -n 1 "$dir/err")"
    done
  done
}
container_ways() {
  local link a b state
  for link in "${links[@]}"; do
    read -r a b _ <<<"$link"
    state="cut"
    if has_network "$a" "$(link_network "$a" "$b")" && has_network "$b" "$(link_network "$a" "$b")"; then state="open"; fi
    printf '%s\n' "$a $b $state - - - - -" "$b $a $state - - - - -"
  done
}

containers_down() {
  local state link a b left=0
  # gone KIND NAME [-f]: what is there is removed
  gone() { ! engine "$1" inspect "$2" >/dev/null 2>&1 || engine "$1" rm ${3:+"$3"} "$2" >/dev/null || left=1; }
  for state in "${states[@]}"; do gone container "$(namespace "$state")" -f; done
  for link in "${links[@]}"; do
    read -r a b _ <<<"$link"
    gone network "$(link_network "$a" "$b")"
  done
  gone image "$(image)" -f
  rm -rf "$dir/image"
  return $left
}
