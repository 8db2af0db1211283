package seccomp

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

//go:generate go test -count=1 -run ^TestKernelSurfacePage$ . -update-docs

var update = flag.Bool("update-docs", false, "write the filter into docs/kernel-surface.md instead of comparing them")

const surfacePage = "../../../docs/kernel-surface.md"

// TestKernelSurfacePage compares the tables of docs/kernel-surface.md with the filter: every call and argument that is
// allowed, every call that is refused, and what the refusals close.
func TestKernelSurfacePage(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(surfacePage)
	if err != nil {
		t.Fatal(err)
	}
	const opening, closing = "<!-- the filter -->\n", "<!-- end of the filter -->\n"
	before, rest, opened := strings.Cut(string(content), opening)
	_, after, closed := strings.Cut(rest, closing)
	if !opened || !closed {
		t.Fatalf("%s does not have the comments around the filter", surfacePage)
	}
	want := before + opening + surface() + closing + after
	if want == string(content) {
		return
	}
	if !*update {
		t.Fatalf("%s does not have the filter as it is; run `make generate`", surfacePage)
	}
	if err := os.WriteFile(surfacePage, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each closing names refusals: of a call, or of some arguments by a condition.
func TestClosingsAreRefusals(t *testing.T) {
	t.Parallel()
	l := forUserCode(AMD64, Options{})
	refused := slices.Concat(l.refusedNames(), l.absent, unreachable, ignored)
	for _, c := range closings {
		for _, call := range c.Calls {
			byArgument := slices.ContainsFunc(l.conditional, func(r rule) bool { return r.Name == call })
			switch {
			case c.Arguments == "" && !slices.Contains(refused, call):
				t.Errorf("%s is not refused", call)
			case c.Arguments != "" && !byArgument && !slices.Contains(refused, call):
				t.Errorf("%s is not refused with %s", call, c.Arguments)
			}
		}
	}
}

// surface returns the tables of the page.
func surface() string {
	l := forUserCode(AMD64, Options{})
	var b strings.Builder
	b.WriteString("\n## Allowed with any arguments\n\n| for | calls | needed by |\n|---|---|---|\n")
	for _, g := range groups {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", g.Purpose, code(g.Calls), g.Needs)
	}
	fmt.Fprintf(&b, "| epoll, with `SANDBOX_EPOLL` only | %s | `select.epoll()` |\n", code(epoll))
	b.WriteString("\n## Allowed with some arguments\n\nThe second column is exact for x86-64: arguments are numbered " +
		"from 0, in hexadecimal.\n\n| call | exactly | in words | otherwise | needed by |\n|---|---|---|---|---|\n")
	rules := slices.SortedFunc(slices.Values(l.conditional), func(x, y rule) int { return cmp.Compare(x.Name, y.Name) })
	for _, r := range rules {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.Name, exactly(r.AnyOf), r.Allows, otherwise(r), r.Needs)
	}
	b.WriteString("\n## Refused\n\n| how | calls |\n|---|---|\n")
	for _, row := range []struct {
		how   string
		calls []string
	}{
		{"succeed and do nothing", ignored},
		{"EACCES, as a firewall", unreachable},
		{"ENOSYS, as a kernel without them", slices.Concat(absent, epoll)},
		{"EPERM", l.refusedNames()},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", row.how, code(row.calls))
	}
	b.WriteString("| ENOSYS | every number that is not on this page |\n| the process is killed | every call through " +
		"another ABI (i386, x32, arm) |\n\n## What the refusals keep out of reach\n\n" +
		"| refused | keeps out of reach |\n|---|---|\n")
	for _, c := range closings {
		calls := code(c.Calls)
		if c.Arguments != "" {
			calls += ": " + c.Arguments
		}
		fmt.Fprintf(&b, "| %s | %s |\n", calls, c.Keeps)
	}
	b.WriteString("\n")
	return b.String()
}

func code(calls []string) string {
	return "`" + strings.Join(slices.Sorted(slices.Values(calls)), "`, `") + "`"
}

// exactly returns alternatives in mathematical form. Those that differ in the value of one argument only are one set.
func exactly(anyOf [][]condition) string {
	var parts []string
	var set []string
	last := condition{Arg: -1}
	flush := func() {
		if len(set) > 0 {
			parts = append(parts, fmt.Sprintf("a%d ∈ {%s}", last.Arg, strings.Join(set, ", ")))
		}
		set = nil
	}
	for _, all := range anyOf {
		if len(all) == 1 && all[0].Mask == intMask {
			last = all[0]
			set = append(set, fmt.Sprintf("%#x", last.Value))
			continue
		}
		terms := make([]string, 0, len(all))
		for _, c := range all {
			terms = append(terms, c.text())
		}
		parts = append(parts, strings.Join(terms, " and "))
	}
	flush()
	return strings.Join(parts, "; or ")
}

func (c condition) text() string {
	if c.Mask == intMask || c.Mask == pointerMask {
		return fmt.Sprintf("a%d = %#x", c.Arg, c.Value)
	}
	return fmt.Sprintf("a%d & %#x = %#x", c.Arg, c.Mask, c.Value)
}

func otherwise(r rule) string {
	errors := []syscall.Errno{}
	for _, f := range r.Failures {
		errors = append(errors, f.Errno)
	}
	names := []string{}
	for _, errno := range append(errors, r.Errno) {
		if errno == 0 {
			names = append(names, "does nothing")
			continue
		}
		names = append(names, unix.ErrnoName(errno))
	}
	return strings.Join(names, ", ")
}
