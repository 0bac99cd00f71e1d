# fish completion for parley. It asks the command itself, so it knows what that version of the command knows.
function __parley_complete
	set -l words (commandline -opc) (commandline -ct)
	set -l option (string match -r '^--[^=]*=' -- $words[-1])
	set -l path (string replace -r '^--[^=]*=' '' -- $words[-1])
	for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
		switch $line
			case :file
				string replace -r -- '^' "$option" (__fish_complete_path "$path")
			case :folder
				string replace -r -- '^' "$option" (__fish_complete_directories "$path")
			case '*'
				echo $line
		end
	end
end
complete -c parley -f -a '(__parley_complete)'
