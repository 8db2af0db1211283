package conformance

import (
	"flag"
	"os"
	"testing"

	"cellblock/test/stack"
)

// testsOverHTTP are the tests that need nothing but HTTP.
const testsOverHTTP = "^(TestCases|TestPublicCases|TestBadRequests|TestGoodRequests|TestScriptSize|TestEndlessBody|" +
	"TestMediaType|TestRoutes|TestOperation|TestAsync|TestAsyncFailures|TestJobNotFound|" +
	"TestWaitParameter|TestPreferWait|TestPreferNoWait|" +
	"TestManyAtOnce|TestJobsSeeNothingOfEachOther)$"

// runAgainst tests a service that is already running at url. tight is the URL of a second one with
// stack.TightLimits and a SYNC_WAIT of 30s; if it is empty, the cases for those limits are skipped.
func runAgainst(m *testing.M, url, tight string) int {
	k := &kind{name: "given", standard: stack.Attach(url)}
	if tight != "" {
		k.tight = stack.Attach(tight)
	}
	kinds = append(kinds, k)
	if !stack.IsSet("test.run") {
		_ = flag.Set("test.run", testsOverHTTP)
	}
	return m.Run()
}

// canSatisfy reports whether the service under test can satisfy a case.
func canSatisfy(k *kind, c testCase) bool {
	return (!c.Tight || k.tight != nil) && (!c.Cgroups || os.Getenv("CONFORMANCE_CGROUPS") != "none") &&
		(!c.Linux || !stack.InGVisor())
}
