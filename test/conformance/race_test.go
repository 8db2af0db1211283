//go:build race

package conformance

// raceFlags build the programs as the suite itself is built.
var raceFlags = []string{"-race"}
