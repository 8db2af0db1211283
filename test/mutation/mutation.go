// Package mutation removes the protections of the service, one at a time, in a copy of this repository, and runs the
// attempts of a suite that must then succeed: an attempt that fails without its protection too tests nothing.
//
// A suite has a command of its own with the list of its mutants, which calls Main.
package mutation

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// Edit replaces a text, which must be in the file once. File is relative to the root of the repository.
type Edit struct{ File, From, To string }

// Mutant is the source without one protection.
type Mutant struct {
	Name string
	// Edits are the replacements, in order.
	Edits []Edit
	// Tests is the pattern of the tests that must fail.
	Tests string
	// Variant is a word for the report, "" for none.
	Variant string
	// Env are further variables for the suite, each NAME=value.
	Env []string
}

// Suite is the suite that must notice the mutants.
type Suite struct {
	// Folder is that of the suite's package, relative to the root of the repository, where the command runs.
	Folder string
	// Programs is the name of the variable with the folder of the programs under test.
	Programs string
	// Mutated are the packages of the programs that are built with each mutant, and Unchanged of those that no mutant
	// concerns, which are built once.
	Mutated, Unchanged []string
	// Evidence is what the output of a suite that has noticed a mutant has.
	Evidence string
}

// bound is the timeout of one mutant: to build, start and run it, on a busy machine too.
const bound = 6 * time.Minute

// Main tries the mutants that the flags select, and exits with 1 if one was not noticed.
func Main(suite Suite, mutants []Mutant) {
	only := flag.String("run", "", "regular expression for the mutants' names")
	parallel := flag.Int("parallel", 2, "how many at once")
	flag.Parse()
	survived, err := suite.run(mutants, regexp.MustCompile(*only), *parallel)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
	if survived > 0 {
		fmt.Fprintf(os.Stderr, "%d mutants were not caught\n", survived)
		os.Exit(1)
	}
}

func (s Suite) run(mutants []Mutant, only *regexp.Regexp, parallel int) (survived int, err error) {
	dir, err := os.MkdirTemp("", "cellblock-mutants-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	program := filepath.Join(dir, "suite.test")
	if out, err := command(context.Background(), ".", nil, "go", "test", "-c", "-o", program,
		"./"+s.Folder); err != nil {
		return 0, fmt.Errorf("build the suite: %w\n%s", err, out)
	}
	unchanged := filepath.Join(dir, "unchanged") + "/"
	if len(s.Unchanged) > 0 {
		args := append([]string{"build", "-trimpath", "-o", unchanged}, s.Unchanged...)
		if out, err := command(context.Background(), ".", nil, "go", args...); err != nil {
			return 0, fmt.Errorf("build the other programs: %w\n%s", err, out)
		}
	}
	var all sync.WaitGroup
	var counting sync.Mutex
	slots := make(chan struct{}, parallel)
	for i, m := range mutants {
		if !only.MatchString(m.Name) {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			began := time.Now()
			verdict, caught := s.try(m, filepath.Join(dir, strconv.Itoa(i)), program, unchanged)
			fmt.Printf("%-8s %-4s  %-44s %4.0f s\n", verdict, m.Variant, m.Name, time.Since(began).Seconds())
			if !caught {
				counting.Lock()
				survived++
				counting.Unlock()
			}
		})
	}
	all.Wait()
	return survived, nil
}
