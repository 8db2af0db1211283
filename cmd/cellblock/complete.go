package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// complete gives what the last of the words after the program's name could be, as
// the scripts of completion take it.
func complete(root *kong.Node, words []string) []string {
	// bash breaks --status=failed into three.
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

// position is where in the grammar the words have led.
type position struct {
	node *kong.Node
	// passed is how many positional arguments were there.
	passed int
	// open is the flag whose value comes next; nil for none.
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

// known are the flags that may stand here.
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

// arguments are commands, and values of the positional argument that comes next.
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

// values are what a flag or an argument can be.
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

// brief is the first sentence of a help text.
func brief(help string) string {
	if first, _, more := strings.Cut(help, ". "); more {
		return first
	}
	return strings.TrimSuffix(help, ".")
}
