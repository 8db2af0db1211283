package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// complete returns the completions of the last word, in the format that the completion scripts read.
func complete(root *kong.Node, words []string) []string {
	// bash splits --status=failed into three words.
	words = slices.DeleteFunc(slices.Clone(words), func(word string) bool { return word == "=" })
	if len(words) == 0 {
		words = []string{""}
	}
	at := position{node: root}
	for _, word := range words[:len(words)-1] {
		at.pass(word)
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
	case strings.HasPrefix(current, "-"):
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
	// open is the flag that takes the next word as its value; nil for none.
	open *kong.Flag
}

func (p *position) pass(word string) {
	switch {
	case p.open != nil:
		p.open = nil
	case strings.HasPrefix(word, "-") && word != "-":
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

// known returns the flags that are allowed here.
func (p *position) known() []*kong.Flag {
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
	for _, flag := range p.known() {
		if word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short) {
			return flag
		}
	}
	return nil
}

func (p *position) flags(prefix string) []string {
	var found []string
	for _, flag := range p.known() {
		if name := "--" + flag.Name; !flag.Hidden && strings.HasPrefix(name, prefix) {
			found = append(found, name+"\t"+brief(flag.Help))
		}
	}
	return found
}

// arguments returns subcommands, and values of the next positional argument.
func (p *position) arguments(prefix string) []string {
	var found []string
	for _, child := range p.node.Children {
		if p.passed == 0 && !child.Hidden && strings.HasPrefix(child.Name, prefix) {
			found = append(found, child.Name+"\t"+brief(child.Help))
		}
	}
	takes := p.node.Positional
	if p.node.DefaultCmd != nil {
		takes = p.node.DefaultCmd.Positional
	}
	if p.passed < len(takes) {
		found = append(found, values(takes[p.passed], prefix, "")...)
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

// brief returns the first sentence of a help text.
func brief(help string) string {
	if first, _, more := strings.Cut(help, ". "); more {
		return first
	}
	return strings.TrimSuffix(help, ".")
}
