// Package jail makes cold sandboxes: one nsjail for each job, started when the job needs it. It also has what package
// zygote needs of nsjail: a running one (Process), and its configuration (MachineConfig).
//
// The configuration is nsjail.cfg with what differs between machines; the command line has what differs between jobs.
// Process 1 inside is the runner's supervisor, which never runs user code and is out of its reach. It forks process 2,
// which runs the script, and reports its wait status on the status socket.
package jail

//go:generate go run gen_config.go
