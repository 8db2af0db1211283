// Command mutants removes the protections of a sandbox, one at a time, and runs the attempts of the escape suite that
// must then succeed; see package mutation. It needs the same as the escape suite, and git.
package main

import "cellblock/test/mutation"

func main() {
	mutation.Main(mutation.Suite{
		Folder: "test/escape", Programs: "ESCAPE_PROGRAMS", Evidence: "--- FAIL: ",
		Mutated: []string{"./cmd/api", "./cmd/worker"},
	}, all())
}

// all returns the mutants.
func all() []mutation.Mutant {
	list := make([]mutation.Mutant, 0, len(mutants))
	for _, m := range mutants {
		shared := mutation.Mutant{
			Name: m.name, Tests: m.tests, Variant: m.sandbox,
			Env: []string{"ESCAPE_SANDBOXES=" + m.sandbox, "ESCAPE_WORKER_ENV=PRELOAD="},
		}
		for _, e := range m.edits {
			shared.Edits = append(shared.Edits, mutation.Edit{File: e.file, From: e.from, To: e.to})
		}
		list = append(list, shared)
	}
	return list
}
