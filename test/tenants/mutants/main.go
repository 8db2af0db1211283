// Command mutants removes the checks between tenants, one at a time, and runs the attempts of the suite of tenants that
// must then succeed; see package mutation. It needs the same as the suite, and git.
package main

import "cellblock/test/mutation"

func main() {
	mutation.Main(mutation.Suite{
		Folder: "test/tenants", Programs: "TENANTS_PROGRAMS", Evidence: "THE ATTACK SUCCEEDED",
		Mutated: []string{"./cmd/api"}, Unchanged: []string{"./cmd/worker"},
	}, mutants)
}
