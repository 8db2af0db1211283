// Package stack starts the whole service as it runs in production: Redis, the
// API and workers as real processes, made from this repository's source. Test
// suites and the benchmark talk to it over HTTP; tests of faults reach each
// process by its handle.
//
// Everything binds loopback on free ports or sits in a temporary folder, so
// stacks run beside one another. Nothing outlives the program that started it:
// the kernel kills what is left when that program dies.
package stack
