// Package nsjail runs untrusted scripts, each in a sandbox of its own made with Google's nsjail, and decides how they
// ended. NewProvider puts the parts together; each part is a package below this one, and imports only those before it:
//
//	procstat reads lines of /proc/<pid>/stat
//	watchdog bounds waits by the time in which the machine lets processes run
//	cgroup   a control group for each sandbox: limits and counters
//	wire     the worker's half of the protocol with the runner
//	sandbox  runs one script in given processes, and decides the verdict
//	seccomp  the one list of system calls, as a policy for nsjail and as a filter for forks
//	tinyinit the program that is process 1 of a warm sandbox
//	gvisor   what nsjail needs in order to run inside gVisor
//	host     what sandboxes need of this machine: user ids, directories, cgroups, and checks of all three
//	jail     cold sandboxes: one nsjail for each job
//	zygote   warm sandboxes: forks of an interpreter that has packages loaded
//	trial    scripts that find out whether what holds a sandbox bites
//
// A sandbox is used once: it is acquired ready, runs one script, and is discarded. Both kinds have the same limits and
// look the same from inside: process 1 never runs user code, process 2 runs the script, and three descriptors lead out:
// stdout, stderr, and the channel, which carries the script in and the runner's report out.
//
// The packages depend on neither HTTP nor Redis.
package nsjail
