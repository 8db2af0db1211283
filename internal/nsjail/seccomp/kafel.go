package seccomp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Kafel returns the list for user code as a policy for nsjail's seccomp_string. Calls whose names
// the Kafel of nsjail 3.6 may not know are written by number, with the name in a comment.
//
// Language: the "Kafel policy language" page in google/kafel.
func Kafel(a Arch, o Options) string { return forUserCode(a, o).kafel() }

// ZygoteKafel returns the policy for a zygote: the same list, and the calls that set up a sandbox.
func ZygoteKafel(a Arch, o Options) string { return forZygotes(a, o).kafel() }

func (l list) kafel() string {
	var p strings.Builder
	p.WriteString("POLICY cellblock {\n")
	p.WriteString("  ALLOW {\n" + namesOf(l.arch, l.allowed) + "  }")
	for _, r := range l.conditional {
		if _, exists := l.arch.number(r.Name); exists {
			p.WriteString(r.kafel())
		}
	}
	for _, refusal := range l.refusals() {
		fmt.Fprintf(&p, ",\n  ERRNO(%d) {\n%s  }", int(refusal.errno), namesOf(l.arch, refusal.names))
	}
	fmt.Fprintf(&p, "\n}\nUSE cellblock DEFAULT ERRNO(%d)\n", int(syscall.ENOSYS))
	return p.String()
}

type refusal struct {
	errno syscall.Errno
	names []string
}

// refusals groups the refused calls by their error. Conditional calls are listed too: they fail
// with theirs when none of their conditions holds.
func (l list) refusals() []refusal {
	byErrno := map[syscall.Errno][]string{
		0:              slices.Clone(ignored),
		syscall.EACCES: slices.Clone(unreachable),
		syscall.EPERM:  l.refusedNames(),
		syscall.ENOSYS: slices.Clone(l.absent),
	}
	for _, r := range l.conditional {
		byErrno[r.Errno] = append(byErrno[r.Errno], r.Name)
	}
	var all []refusal
	for errno, names := range byErrno {
		all = append(all, refusal{errno, names})
	}
	slices.SortFunc(all, func(x, y refusal) int { return int(x.errno) - int(y.errno) })
	return all
}

// kafel returns a conditional call in Kafel's syntax: what is allowed, then the failures. The first
// action that matches counts.
func (r rule) kafel() string {
	var text strings.Builder
	text.WriteString(",\n  ALLOW { " + r.expression(r.AnyOf) + " }")
	for _, f := range r.Failures {
		fmt.Fprintf(&text, ",\n  ERRNO(%d) { %s }", int(f.Errno), r.expression([][]condition{f.When}))
	}
	return text.String()
}

// expression returns alternatives in Kafel's syntax, with the call's arguments named a0, a1, ….
func (r rule) expression(anyOf [][]condition) string {
	highest := 0
	alternatives := make([]string, 0, len(anyOf))
	for _, all := range anyOf {
		terms := make([]string, 0, len(all))
		for _, c := range all {
			highest = max(highest, c.Arg)
			if c.Mask == pointerMask {
				terms = append(terms, fmt.Sprintf("a%d == %d", c.Arg, c.Value))
			} else {
				terms = append(terms, fmt.Sprintf("(a%d & %#x) == %d", c.Arg, c.Mask, c.Value))
			}
		}
		alternatives = append(alternatives, strings.Join(terms, " && "))
	}
	arguments := make([]string, highest+1)
	for i := range arguments {
		arguments[i] = "a" + strconv.Itoa(i)
	}
	return fmt.Sprintf("%s(%s) { %s }", r.Name, strings.Join(arguments, ", "), strings.Join(alternatives, " || "))
}

// firstNumbered is the first call number that is the same on every architecture (Linux 5.1). Kafel
// knows few calls from there on by name.
const firstNumbered = 424

// kafelNames are older calls that Kafel knows by another name than user space does.
var kafelNames = []string{"_sysctl", "fstat", "lstat", "sendfile", "stat", "uname", "umount2", "uprobe"}

func namesOf(a Arch, names []string) string {
	var lines strings.Builder
	line := "   "
	var terms []string
	for _, name := range names {
		n, exists := a.number(name)
		if !exists {
			continue
		}
		term := name
		if n >= firstNumbered || slices.Contains(kafelNames, name) {
			term = fmt.Sprintf("SYSCALL[%d] /* %s */", n, name)
		}
		terms = append(terms, term)
	}
	for i, term := range terms {
		if i < len(terms)-1 {
			term += ","
		}
		if len(line)+len(term) > 110 {
			lines.WriteString(line + "\n")
			line = "   "
		}
		line += " " + term
	}
	lines.WriteString(line + "\n")
	return lines.String()
}
