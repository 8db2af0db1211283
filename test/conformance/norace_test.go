//go:build !race

package conformance

var raceFlags []string
