package stack

import "testing"

// StartFor starts the parts for a test, and ends them with it. If the test failed,
// it shows what they wrote.
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
