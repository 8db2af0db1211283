// Package supervise keeps a few programs running together in the foreground of
// a terminal: it starts them as processes of their own, prints their output
// line by line under their names, starts one again that ends by itself, reports
// one that ends too often, and stops them in the order that its user chooses.
//
// Nothing outlives its user: each process is told by the kernel to end when
// the supervising process dies, however it dies.
package supervise
