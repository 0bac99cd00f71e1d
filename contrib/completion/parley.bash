# bash completion for parley. It asks the command itself, so it knows what that version of the command knows.
_parley() {
	local word line joined='' IFS=$' \t\n'
	local -a words=()
	# bash takes --to=SGP apart into three words
	for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
		if [[ ($word == = || -n $joined) && ${#words[@]} -gt 0 ]]; then
			words[-1]+=$word
			[[ $word == = ]] && joined=1 || joined=''
		else
			words+=("$word")
		fi
	done
	local current=${words[-1]-}
	COMPREPLY=()
	while IFS= read -r line; do
		case $line in
			:file) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "${current#--*=}") && compopt -o filenames ;;
			:folder) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "${current#--*=}") && compopt -o filenames ;;
			--*=*) COMPREPLY+=("$(line=${line%%$'\t'*} && echo "${line#*=}")") ;;
			*) COMPREPLY+=("${line%%$'\t'*}") ;;
		esac
	done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
}
complete -F _parley parley
