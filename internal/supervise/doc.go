// Package supervise runs a few programs together in the foreground of a terminal: it starts each as a process, prints
// its output line by line under its name, restarts it if it exits by itself, reports it if it exits too often, and
// stops the programs in the order that the caller chooses.
//
// No process outlives the supervisor: the kernel sends each one a signal when the supervisor dies, for any reason.
package supervise
