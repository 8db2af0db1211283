// Package faults breaks the parts of a running service one by one, under load, and checks the
// promises of docs/reliability.md: no script runs twice, every accepted job has an end that its
// client can read, and no client gets another's result.
//
// Each job appends its number to a file that only the test mounts into the sandbox, so a second run
// is visible whatever Cellblock's own records contain.
package faults
