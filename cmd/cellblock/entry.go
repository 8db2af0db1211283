package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"cellblock/client"
)

// entryFlags select how a script is run.
type entryFlags struct {
	Entry *string  `enum:"main,script,cell" placeholder:"ENTRY" help:"How the script is run: main calls its main(), script runs it as a program, cell as a cell of a notebook. Without this flag: main, or script if the file has no main()."`
	Argv  []string `arg:"" optional:"" name:"argument" complete:"file" help:"Arguments of a script (sys.argv[1:]), after --; main() takes --arg instead."`
}

// choose returns the entry for a script read from source (a path, or - for standard input). named reports whether the
// flags have arguments for main().
func (f *entryFlags) choose(script, source string, named bool) (string, error) {
	if source == "-" {
		source = "standard input"
	}
	entry := client.EntryMain
	switch {
	case f.Entry != nil:
		entry = *f.Entry
	case named || mayDefineMain(script):
	default:
		entry = client.EntryScript
		fmt.Fprintf(os.Stderr, "cellblock: no main() in %s: running it as a script (--entry script)\n", source)
	}
	if len(f.Argv) > 0 && entry != client.EntryScript {
		return "", usagef("%q: arguments like this need --entry script; main() takes --arg NAME=VALUE", f.Argv[0])
	}
	if named && entry != client.EntryMain {
		return "", usagef("--arg and --args-json are main()'s arguments; those of a script follow its name, after --")
	}
	return entry, nil
}

var (
	// mainBinding matches a line that may bind the name main: a definition, an assignment, an import. What follows
	// neither calls it nor reads an attribute of it.
	mainBinding = regexp.MustCompile(`(?:^|[^.\w])(?:(?:def|class)\s+main\b|main\s*(?:[^\s\w.(\[]|$)|main\s+\w)`)
	starImport  = regexp.MustCompile(`\bimport\s*\*`)
	globalMain  = regexp.MustCompile(`\bglobal\b.*\bmain\b`)
	// localHeader matches the first line of a block whose names are not the module's.
	localHeader = regexp.MustCompile(`^\s*(?:async\s+)?(?:def|class)\b`)
)

// mayDefineMain reports whether a script binds main at module level. It is exact only for the common forms, and true
// whenever it is in doubt: a script without main() then ends as missing_main, whose hint names the other entries.
func mayDefineMain(script string) bool {
	code, ok := withoutText(strings.TrimPrefix(strings.ReplaceAll(script, "\r\n", "\n"), "\ufeff"))
	if !ok {
		return true
	}
	if starImport.MatchString(code) || globalMain.MatchString(code) {
		return true
	}
	var open []block
	for line := range strings.Lines(code) {
		line = strings.TrimRight(line, " \t\f\n")
		indent := len(line) - len(strings.TrimLeft(line, " \t\f"))
		if indent == len(line) {
			continue
		}
		for len(open) > 0 && open[len(open)-1].indent >= indent {
			open = open[:len(open)-1]
		}
		local := len(open) > 0 && open[len(open)-1].local
		if !local && mainBinding.MatchString(line) {
			return true
		}
		open = append(open, block{indent: indent, local: local || localHeader.MatchString(line)})
	}
	return false
}

// block is a line that may be the header of the lines below it that are indented further. The names that these bind are
// not the module's if it is local.
type block struct {
	indent int
	local  bool
}

// withoutText returns Python source without its comments, without what its strings contain, and with continued lines
// joined. It reports false if a string does not end, or if it ends in a way that this function does not know.
func withoutText(source string) (string, bool) {
	var code strings.Builder
	for i := 0; i < len(source); {
		switch rest := source[i:]; {
		case rest[0] == '#':
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				return code.String(), true
			}
			i += end
		case rest[0] == '"' || rest[0] == '\'':
			size := stringLength(rest)
			if size == 0 {
				return "", false
			}
			code.WriteString(`""`)
			i += size
		case strings.HasPrefix(rest, "\\\n"):
			code.WriteByte(' ')
			i += 2
		default:
			code.WriteByte(rest[0])
			i++
		}
	}
	return code.String(), true
}

// stringLength returns the length of the string literal at the start of source; 0 if it does not end.
func stringLength(source string) int {
	quote := source[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(source, triple) {
		quote = triple
	}
	for i := len(quote); i < len(source); i++ {
		switch {
		case source[i] == '\\':
			i++
		case source[i] == '\n' && len(quote) == 1:
			return 0
		case strings.HasPrefix(source[i:], quote):
			return i + len(quote)
		}
	}
	return 0
}
