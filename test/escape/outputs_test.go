package escape

import (
	"fmt"
	"testing"
	"time"

	"cellblock/test/stack"
)

// swapsPipes leaves files and a child that puts a pipe into the place of each, and a file again, without end.
const swapsPipes = `
import os, subprocess, sys, time

swap = """
import os
os.mkfifo("pipe")
open("file", "w").close()
while True:
    for i in range(50):
        os.link("pipe", ".next")
        os.rename(".next", f"outputs/{i:02}")
        os.link("file", ".next")
        os.rename(".next", f"outputs/{i:02}")
"""

def main():
    for i in range(50):
        open(f"outputs/{i:02}", "w").close()
    subprocess.Popen([sys.executable, "-c", swap], stderr=subprocess.DEVNULL)
    while not os.path.exists("file"):
        time.sleep(0.01)
    return 1
`

// TestPipesInThePlaceOfFiles checks that the reader of a job's files does not wait for the other end of a pipe that
// took the place of a file after the reader looked at it. Each run meets that moment every other time or so.
func TestPipesInThePlaceOfFiles(t *testing.T) {
	for _, k := range kinds {
		for range 15 {
			got := execute(t, k.standard, swapsPipes, nil)
			if string(got.Result) != "1" || got.took > stack.Scaled(6*time.Second) {
				t.Fatalf("%s: took %s: %s", k.name, got.took, got.body)
			}
		}
		fmt.Printf("held   %s  pipes in the place of files\n", k.name)
	}
}
