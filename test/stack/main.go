package stack

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
)

// Main runs the tests of a suite by a function that returns their exit code, and an error for a failure around them,
// and exits. It is for TestMain. The deferred calls of run come before the exit.
func Main(m *testing.M, suite string, run func(*testing.M) (code int, err error)) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, suite+":", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// RunAtOnce lets n tests of a suite run at once, unless the flag -parallel has another number. Call it before the tests
// run.
func RunAtOnce(n int) {
	flag.Parse()
	if !IsSet("test.parallel") {
		_ = flag.Set("test.parallel", strconv.Itoa(n)) // fails only outside of a test binary
	}
}

// IsSet reports whether the command line has a flag. Call it after flag.Parse.
func IsSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}
