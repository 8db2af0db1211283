package stack

import "testing"

// StartFor starts a stack for a test, and stops it at the test's end. If the test failed, it shows the logs.
func StartFor(t testing.TB, config Config) *Stack {
	t.Helper()
	s, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}
