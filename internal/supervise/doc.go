// Package supervise keeps a few programs running together in the foreground of
// a terminal: it starts them as processes of their own, prints their output
// line by line under their names, tells when one ends that should not, and
// stops them in the order that its user says.
//
// Nothing outlives its user: each process is told by the kernel to end when
// the supervising process dies, however it dies.
package supervise
