// Package zygote makes warm sandboxes. A zygote is an nsjail with a Python interpreter that has packages loaded; a
// sandbox is a fork of it, which confines itself with namespaces and a filter of its own before a job needs it
// (runner/confine.py). Process 1 of a fork is a tiny init (package tinyinit); the zygote reports the wait status of
// process 2, which runs the script, on its control socket.
//
// A Provider has up to four pools: plain, with the first package of PRELOAD, with all of them, and with those of
// PRELOAD_ON_DEMAND as well; the last one starts when a script names one of these, or while there is no job. A pool
// keeps forks of its zygote ready and replaces the zygote:
//
//	serving   forks on request
//	retiring  has made its number of forks: a successor starts, and it still forks
//	retired   forks no more, since the successor has made its first sandbox, or after twice its number of forks, or
//	          because it hangs or is dead; its ready sandboxes are replaced one by one
//	closed    killed, once its last sandbox is gone
package zygote
