# bash completion for contrib/testnet, to be sourced in a clone: . contrib/completion/testnet.bash
_parley_testnet() {
	local line current=${COMP_WORDS[COMP_CWORD]} IFS=$' \t\n'
	COMPREPLY=()
	while IFS= read -r line; do
		case $line in
			:file) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current") && compopt -o filenames ;;
			*) COMPREPLY+=("$line") ;;
		esac
	done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _parley_testnet testnet
