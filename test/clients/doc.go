// Package clients has tests of the Go client and the command line against the real service: one stack, with one
// worker, for all tests.
package clients
