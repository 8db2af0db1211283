// Package wire is the worker's half of the protocol with the runner. runner/protocol.md describes both halves; this
// package has what the worker reads and writes:
//
//   - Frames on the channel of a sandbox: the worker writes input files and one Task, the runner writes that it is
//     ready, output files, notes, and one result or error (Report).
//   - Messages on the control socket of a zygote and on the status socket of a supervisor (ControlMessage, ExitStatus).
//
// User code shares a process with the runner and can write any bytes to the channel. Every length is therefore checked
// against a limit before memory is allocated, and a Report proves nothing. User code cannot reach the control and
// status sockets.
package wire
