// Package stack starts the whole service as in production: Redis, the API and workers as real processes, built from
// this repository's source. Test suites and the benchmark use it over HTTP; tests of faults use the process handles.
//
// Everything listens on free loopback ports or unix sockets in a temporary folder, so that several stacks can run at
// the same time. No process outlives the program that started it: the kernel kills them when that program dies.
package stack
