// Package configdoc writes the settings of the programs into docs/configuration.md, and checks that the page has them.
package configdoc

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update-docs", false, "write the settings into docs/configuration.md instead of comparing them")

// page is the path of the document from a program's folder.
const page = "../../docs/configuration.md"

// Vars are the variables of the programs' help, with the values that they have for root and without CELLBLOCK_PREFIX.
func Vars() kong.Vars {
	return kong.Vars{"version": "", "data": "/var/lib/cellblock", "prefix": "/opt/cellblock"}
}

// Check compares the tables of a program in the page with the flags of its command. With -update-docs it writes them
// instead. The tables are between two comments that name the program.
func Check(t *testing.T, program string, command *kong.Node) {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	opening, closing := "<!-- settings of "+program+" -->\n", "<!-- end of "+program+" -->\n"
	before, rest, opened := strings.Cut(text, opening)
	_, after, closed := strings.Cut(rest, closing)
	if !opened || !closed {
		t.Fatalf("%s does not have the comments around the settings of %s", page, program)
	}
	want := before + opening + tables(command) + closing + after
	if want == text {
		return
	}
	if !*update {
		t.Fatalf("%s does not have the settings of %s as they are; run `make generate`", page, program)
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tables returns a table of the flags for each group, in the order of the help, with the group's title above it.
func tables(command *kong.Node) string {
	var b strings.Builder
	title := ""
	for _, f := range command.Flags {
		if f.Hidden || len(f.Envs) == 0 {
			continue
		}
		group := ""
		if f.Group != nil {
			group = f.Group.Title
		}
		if b.Len() == 0 || group != title {
			title = group
			b.WriteString(heading(title))
		}
		fmt.Fprintf(&b, "| `%s` | `--%s` | %s | %s |\n", strings.Join(f.Envs, "`, `"), f.Name, initial(f), cell(f.Help))
	}
	b.WriteString("\n")
	return b.String()
}

func heading(title string) string {
	columns := "\n| variable | flag | default | |\n|---|---|---|---|\n"
	if title == "" {
		return columns
	}
	return "\n### " + title + "\n" + columns
}

// initial returns the value that a flag has when it is not set.
func initial(f *kong.Flag) string {
	switch {
	case f.IsBool() && f.Default == "":
		return "`false`"
	case f.Default == "":
		return "empty"
	default:
		return "`" + f.Default + "`"
	}
}

// cell escapes the characters that Markdown reads as markup within a table.
func cell(help string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`).Replace(help)
}
