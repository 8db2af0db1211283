// Package verdicts holds the table of verdicts: each way for a script to die,
// with what the reply says about it, in warm and cold sandboxes, with this
// machine's cgroups and with rlimits only. docs/verdicts.md is held to it.
package verdicts
