// Package conformance tests what every build of Cellblock must do, seen from outside: scripts with
// their expected responses, over HTTP through the whole service, in each kind of sandbox.
//
// The scripts are in cases/, one file per topic; case_test.go describes the format. What a script
// cannot express (raw request bodies, waiting, concurrent requests, remains on the host) is in Go.
//
// CONFORMANCE_SANDBOXES ("warm cold") lists the kinds of sandbox to test, and
// CONFORMANCE_WORKER_ENV ("NAME=value NAME=value") adds settings to every worker. CONFORMANCE_PROGRAMS is a folder with
// programs to test instead of new ones.
package conformance
