// Package host prepares this machine for sandboxes. A Host has:
//
//   - a slot among the workers of the machine (Slot): a number, a range of user ids, of which each sandbox has its own,
//     and a name for cgroups;
//   - a directory, below RUN_DIR, with the runner's files, compiled, which sandboxes mount;
//   - the cgroups, where they can be used, and the reason where not;
//   - a complete /proc, where a container runtime covers parts of this machine's;
//   - a bounded number of teardowns that run after the verdicts of the jobs.
//
// Where sandboxes cannot be made, Explain names what the machine or the container denies them. The checks of
// `cellblock doctor` that need no sandbox are here too.
package host
