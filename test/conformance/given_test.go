package conformance

import (
	"flag"
	"os"
	"testing"

	"cellblock/test/stack"
)

// testsOfGiven are the tests that need nothing but HTTP.
const testsOfGiven = "^(TestCases|TestPublicCases|TestBadRequests|TestGoodRequests|TestScriptSize|TestEndlessBody|TestMediaType|TestRoutes|" +
	"TestOperation|TestAsync|TestAsyncFailures|TestJobNotFound|TestWaitParameter|TestPreferWait|TestPreferNoWait|" +
	"TestManyAtOnce|TestJobsSeeNothingOfEachOther)$"

// runAt judges a service that somebody else runs. Without a second one that has
// stack.TightLimits and a SYNC_WAIT of 30s, the cases for those are left out.
func runAt(m *testing.M, url, tight string) int {
	k := &kind{name: "given", standard: stack.At(url)}
	if tight != "" {
		k.tight = stack.At(tight)
	}
	kinds = append(kinds, k)
	if !isSet("test.run") {
		_ = flag.Set("test.run", testsOfGiven)
	}
	return m.Run()
}

// possible reports whether the service under test can meet a case.
func possible(k *kind, c testCase) bool {
	return (!c.Tight || k.tight != nil) && (!c.Cgroups || os.Getenv("CONFORMANCE_CGROUPS") != "none")
}
