//go:build ignore

// gen_config writes the system call policy into nsjail.cfg.
package main

import (
	"log"
	"os"

	"cellblock/internal/nsjail/jail"
	"cellblock/internal/nsjail/seccomp"
)

const file = "../../../nsjail.cfg"

func main() {
	config, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	written, err := jail.WithPolicy(string(config), seccomp.Kafel(seccomp.AMD64, seccomp.Options{}))
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(written), 0o644); err != nil {
		log.Fatal(err)
	}
}
