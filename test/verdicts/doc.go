// Package verdicts tests the table of verdicts: the response to each way in which a script can die,
// in warm and cold sandboxes, with this machine's cgroups and with rlimits only. It also checks
// that docs/verdicts.md has the same table.
package verdicts
