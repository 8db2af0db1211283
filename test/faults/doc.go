// Package faults breaks the parts of a running service one after the other,
// under load, and checks what docs/reliability.md promises: no script runs
// twice, every accepted job has an end that its client can read, and no client
// gets another's result.
//
// Each job appends its number to a file that only the test mounts into the
// sandbox, so a second run shows whatever Cellblock's own records say.
package faults
