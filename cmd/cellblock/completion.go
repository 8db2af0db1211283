package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand is `cellblock completion`.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the text of `cellblock completion --help`.
func (*completionCommand) Help() string {
	return `Commands, flags, their values, and files where files go.

    source <(cellblock completion bash)                                    # in ~/.bashrc
    source <(cellblock completion zsh)                                     # in ~/.zshrc, after compinit
    cellblock completion fish > ~/.config/fish/completions/cellblock.fish`
}

// Run prints the script.
func (c *completionCommand) Run() error {
	_, err := fmt.Print(map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Shell])
	return err
}

// The scripts run the program's hidden command __complete. It prints one line for each possible word, with its meaning
// after a tab, or :file or :dir for the shell's own completion.
const (
	bashScript = `_cellblock() {
    local line cur=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    [[ $cur == = ]] && cur=
    while IFS= read -r line; do
        case $line in
        :file) compopt -o filenames 2>/dev/null; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur") ;;
        :dir) compopt -o filenames 2>/dev/null; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$cur") ;;
        *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _cellblock cellblock
`
	zshScript = `#compdef cellblock
_cellblock() {
    local line
    local -a found
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
        :file) _files ;;
        :dir) _files -/ ;;
        ?*) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done
    (( $#found )) && _describe cellblock found
}
if [[ $funcstack[1] == _cellblock ]]; then _cellblock "$@"; else compdef _cellblock cellblock; fi
`
	//nolint:dupword // fish ends each block so
	fishScript = `function __cellblock_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
        switch $line
            case :file
                __fish_complete_path (commandline -ct)
            case :dir
                __fish_complete_directories (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c cellblock -f -a '(__cellblock_complete)'
`
)

// completeCommand is the command that the scripts run.
type completeCommand struct {
	Words []string `arg:"" optional:"" help:"The words after cellblock, of which the last is being written."`
}

// Run prints the completions of the last word.
func (c *completeCommand) Run(k *kong.Context) error {
	_, err := fmt.Println(strings.Join(complete(k.Model.Node, c.Words), "\n"))
	return err
}
