# Which states, and which links between them.
# shellcheck shell=bash disable=SC2154,SC2034 # what is not set here is set in contrib/testnet, and the other way round

all_states=(FIN CHE SGP EST SWE NOR DNK NLD BEL FRA DEU AUT POL CZE LVA LTU ISL IRL PRT ESP ITA GRC JPN KOR CAN NZL)
fibre_us_per_km=8 # light in glass takes 5, and no cable is straight

# read_topology WHAT NODES: sets $states and $links. WHAT is ring, mesh or a file.
read_topology() {
  local i k n
  case $1 in
    ring | mesh)
      number --nodes "${2:-7}"
      n=$((10#${2:-7}))
      [ "$n" -ge 2 ] && [ "$n" -le ${#all_states[@]} ] || die $usage "--nodes $2: a network has 2 to ${#all_states[@]} nodes"
      states=("${all_states[@]:0:n}")
      for ((i = 0; i < n; i++)); do
        for ((k = i + 1; k < n; k++)); do
          if [ "$1" = mesh ] || [ $k -eq $((i + 1)) ] || { [ $i -eq 0 ] && [ $k -eq $((n - 1)) ]; }; then links+=("${states[i]} ${states[k]}"); fi
        done
      done
      ;;
    *)
      [ -f "$1" ] && [ -r "$1" ] || die $usage "--topology $1: it is ring, mesh or a file, and there is no such file that can be read"
      [ -z "$2" ] || die $usage "--nodes does not go with a file: $1 says which nodes there are"
      read_topology_file "$1"
      ;;
  esac
}

# A line is a link, "FIN CHE" and perhaps its faults as contrib/testnet link has them; or a place, "FIN 60.2 24.9", in degrees north and
# east. A link between two states that have a place has a delay by their distance, unless it says another.
read_topology_file() {
  local file=$1 line=0 words key link known_links=' ' fault faults check
  local -A place=()
  local given=()
  local code='^[A-Z]{3}$' degrees='^-?[0-9]{1,3}(\.[0-9]{1,9})?$'
  wrong() { die $usage "$file:$line: $*"; }
  add_state() {
    [[ $1 =~ $code ]] || wrong "$1 is not a state's code of three capitals"
    [[ " ${states[*]} " == *" $1 "* ]] || states+=("$1")
  }
  while read -ra words || [ ${#words[@]} -gt 0 ]; do
    line=$((line + 1))
    [ ${#words[@]} -gt 0 ] && [[ ${words[0]} != \#* ]] || continue
    [ ${#words[@]} -ge 2 ] || wrong "\"${words[*]}\" is neither a link, as FIN CHE, nor a place, as FIN 60.2 24.9"
    if [[ ${words[1]} =~ $degrees ]]; then
      [ ${#words[@]} -eq 3 ] && [[ ${words[2]} =~ $degrees ]] || wrong 'a place is a state, its latitude and its longitude, as FIN 60.2 24.9'
      add_state "${words[0]}"
      place[${words[0]}]="${words[1]} ${words[2]}"
      continue
    fi
    add_state "${words[0]}"
    add_state "${words[1]}"
    [ "${words[0]}" != "${words[1]}" ] || wrong "${words[0]} needs no link to itself"
    case $known_links in *" ${words[0]}-${words[1]} "* | *" ${words[1]}-${words[0]} "*) wrong "the link of ${words[0]} and ${words[1]} stands here a second time" ;; esac
    known_links+="${words[0]}-${words[1]} "
    link="${words[0]} ${words[1]}" faults=''
    words=("${words[@]:2}")
    while [ ${#words[@]} -gt 0 ]; do
      fault=${words[0]#--}
      [ "$fault" != "${words[0]}" ] || wrong "${words[0]}: a fault is written as --loss 2%"
      if [[ $fault != *=* ]]; then fault+=${words[1]:+=${words[1]}}; words=("${words[@]:1}"); fi
      words=("${words[@]:1}")
      find_programs
      check=$("${known[wire]}" --check "$fault" 2>&1) || wrong "$check"
      faults+=" $fault"
    done
    given+=("$link$faults")
  done <"$file"
  [ ${#given[@]} -gt 0 ] || die $usage "$file: no line of it is a link, as FIN CHE"
  [ ${#states[@]} -le ${#all_states[@]} ] || die $usage "$file: ${#states[@]} states; a network has at most ${#all_states[@]}"
  for link in "${given[@]}"; do
    read -ra words <<<"$link"
    if [[ $link != *' delay='* ]] && [ -n "${place[${words[0]}]:-}" ] && [ -n "${place[${words[1]}]:-}" ]; then
      link+=" delay=$(travel_ms ${place[${words[0]}]} ${place[${words[1]}]})ms"
    fi
    links+=("$link")
  done
  for key in "${states[@]}"; do
    [[ $known_links == *[\ -]"$key"[\ -]* ]] || die $usage "$file: $key has a place and no link"
  done
  require_one_part "$file"
}
# Parts of a network that no link joins would wait for each other.
require_one_part() {
  local reached=" ${states[0]} " before='' link a b
  while [ "$reached" != "$before" ]; do
    before=$reached
    for link in "${links[@]}"; do
      read -r a b _ <<<"$link"
      case $reached in *" $a "*) [[ $reached == *" $b "* ]] || reached+="$b " ;; *" $b "*) reached+="$a " ;; esac
    done
  done
  for key in "${states[@]}"; do
    [[ $reached == *" $key "* ]] || die $usage "$1: no way leads from${reached% } to $key; a network is in one part to begin with (cut takes it apart)"
  done
}
# travel_ms NORTH EAST NORTH EAST: how long light takes
travel_ms() {
  awk -v a="$1" -v b="$2" -v c="$3" -v d="$4" -v us_per_km=$fibre_us_per_km 'BEGIN {
    rad = atan2(0, -1) / 180
    h = sin((c - a) * rad / 2) ^ 2 + cos(a * rad) * cos(c * rad) * sin((d - b) * rad / 2) ^ 2
    printf "%.1f", 2 * 6371 * atan2(sqrt(h), sqrt(1 - h)) * us_per_km / 1000
  }'
}
