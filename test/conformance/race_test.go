//go:build race

package conformance

// raceFlags build the programs with the race detector, like the suite itself.
var raceFlags = []string{"-race"}
