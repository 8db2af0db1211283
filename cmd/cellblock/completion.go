package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand is `cellblock completion`.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the text of `cellblock completion --help`.
func (*completionCommand) Help() string {
	return `The shell then completes commands, flags, their values, and names of files.

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
	Words []string `arg:"" optional:"" help:"The words after cellblock; the last one is incomplete."`
}

// Run prints the completions of the last word.
func (c *completeCommand) Run(k *kong.Context) error {
	_, err := fmt.Println(strings.Join(complete(k.Model.Node, c.Words), "\n"))
	return err
}

// complete returns the completions of the last word, in the format that the completion scripts read.
func complete(root *kong.Node, words []string) []string {
	// bash splits --status=failed into three words.
	words = slices.DeleteFunc(slices.Clone(words), func(word string) bool { return word == "=" })
	if len(words) == 0 {
		words = []string{""}
	}
	at := position{node: root}
	for _, word := range words[:len(words)-1] {
		at.advance(word)
	}
	current := words[len(words)-1]
	if name, value, ok := strings.Cut(current, "="); ok && at.open == nil && strings.HasPrefix(name, "--") {
		if flag := at.flag(name); flag != nil {
			return values(flag.Value, value, name+"=")
		}
	}
	switch {
	case at.open != nil:
		return values(at.open.Value, current, "")
	case strings.HasPrefix(current, "-") && !at.rest:
		return at.flags(current)
	default:
		return at.arguments(current)
	}
}

// position is the place in the grammar that the words lead to.
type position struct {
	node *kong.Node
	// passed is the number of positional arguments so far.
	passed int
	// rest is true after --, which no flag follows.
	rest bool
	// open is the flag that takes the next word as its value; nil for none.
	open *kong.Flag
}

func (p *position) advance(word string) {
	switch {
	case p.open != nil:
		p.open = nil
	case word == "--":
		p.rest = true
	case strings.HasPrefix(word, "-") && word != "-" && !p.rest:
		if flag := p.flag(word); flag != nil && !flag.IsBool() {
			p.open = flag
		}
	default:
		for _, child := range p.node.Children {
			if child.Name == word && p.passed == 0 {
				p.node = child
				return
			}
		}
		p.passed++
	}
}

// allowedFlags returns the flags that are allowed here.
func (p *position) allowedFlags() []*kong.Flag {
	var all []*kong.Flag
	for node := p.node; node != nil; node = node.Parent {
		all = append(all, node.Flags...)
	}
	if p.node.DefaultCmd != nil {
		all = append(all, p.node.DefaultCmd.Flags...)
	}
	return all
}

func (p *position) flag(word string) *kong.Flag {
	for _, flag := range p.allowedFlags() {
		if word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short) {
			return flag
		}
	}
	return nil
}

func (p *position) flags(prefix string) []string {
	var found []string
	for _, flag := range p.allowedFlags() {
		if name := "--" + flag.Name; !flag.Hidden && strings.HasPrefix(name, prefix) {
			found = append(found, name+"\t"+firstSentence(flag.Help))
		}
	}
	return found
}

// arguments returns subcommands, and values of the next positional argument.
func (p *position) arguments(prefix string) []string {
	var found []string
	for _, child := range p.node.Children {
		if p.passed == 0 && !child.Hidden && strings.HasPrefix(child.Name, prefix) {
			found = append(found, child.Name+"\t"+firstSentence(child.Help))
		}
	}
	takes := p.node.Positional
	if p.node.DefaultCmd != nil {
		takes = p.node.DefaultCmd.Positional
	}
	if n := len(takes); n > 0 && (p.passed < n || takes[n-1].IsCumulative()) {
		found = append(found, values(takes[min(p.passed, n-1)], prefix, "")...)
	}
	return found
}

// values returns the possible values of a flag or an argument.
func values(value *kong.Value, prefix, before string) []string {
	if kind := value.Tag.Get("complete"); kind != "" {
		return []string{":" + kind}
	}
	var found []string
	for _, choice := range value.EnumSlice() {
		if choice != "" && strings.HasPrefix(choice, prefix) {
			found = append(found, before+choice+"\t"+value.Name)
		}
	}
	return found
}

// firstSentence returns the first sentence of a help text.
func firstSentence(help string) string {
	if first, _, more := strings.Cut(help, ". "); more {
		return first
	}
	return strings.TrimSuffix(help, ".")
}
