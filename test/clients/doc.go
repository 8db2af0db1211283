// Package clients holds tests of the Go client and of the command line against
// the real service: one stack, with a worker, for all of them.
package clients
