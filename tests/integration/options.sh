# The options of a script that has some: sourced first, once their defaults are set. $values has the names of those that take a value, $switches
# of those that take none: --as-fast sets $as_fast, to the value or to true.
# shellcheck shell=bash disable=SC2154 # what is not set here is set by the script
for ((i = 1; i <= $#; i++)); do
  option=${!i}
  case " ${values:-} | ${switches:-} " in
    *" ${option#--} "*'|'*)
      [ $i -lt $# ] || { echo "${0##*/}: $option needs a value" >&2; exit 2; }
      i=$((i + 1))
      printf -v "$(tr - _ <<<"${option#--}")" %s "${!i}"
      ;;
    *'|'*" ${option#--} "*) printf -v "$(tr - _ <<<"${option#--}")" true ;;
    *) echo "${0##*/}: unknown option $option" >&2; exit 2 ;;
  esac
done
