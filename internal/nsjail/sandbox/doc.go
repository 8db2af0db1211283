// Package sandbox runs one script in processes that are already confined, and decides how it ended. It knows neither
// nsjail nor how the processes were made: package jail starts them for each job, package zygote forks them ahead of
// need. Both implement ProcessTree.
//
// Run hands the script over, enforces the limits by the worker's clock and by the counters of the cgroup, and collects
// the evidence for a verdict:
//
//   - enforced: why the worker killed the processes, what the cgroup counted, and the exit status of the script's
//     process, which user code cannot forge;
//   - reported: what the runner sent on the channel, which user code can forge.
//
// An enforced verdict wins; see decide. Where the kernel shows the exit status of a process before it has removed the
// process's namespaces (ExitWatcher), the verdict does not wait for that.
package sandbox
