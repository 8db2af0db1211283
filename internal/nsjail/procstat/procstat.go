// Package procstat reads lines of /proc/<pid>/stat (proc_pid_stat(5)).
package procstat

import "bytes"

// Fields returns the fields after the program's name; the first is the state. A process chooses its name, which may
// have spaces and parentheses, but not what follows the last ")".
func Fields(line []byte) [][]byte { return bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:]) }
