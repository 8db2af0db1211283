package stack

// StartProgram starts a program that is no part of a stack, with exactly this environment. It ends with the test's
// process, at the latest.
func StartProgram(name, path string, args, env []string) (*Process, error) {
	return start(name, path, args, env)
}
