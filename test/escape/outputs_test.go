package escape

import (
	"fmt"
	"testing"
	"time"

	"cellblock/test/stack"
)

// swapsPipes leaves files and children that put a pipe into the place of each, and a file again, without end.
const swapsPipes = `
import os, subprocess, sys, time

swap = """
import os, sys
me = sys.argv[1]
os.mkfifo("pipe" + me)
open("file" + me, "w").close()
while True:
    for i in range(25):
        os.link("pipe" + me, ".next" + me)
        os.rename(".next" + me, f"outputs/{i:02}")
        os.link("file" + me, ".next" + me)
        os.rename(".next" + me, f"outputs/{i:02}")
"""

def main():
    for i in range(25):
        open(f"outputs/{i:02}", "w").close()
    for me in "ab":
        subprocess.Popen([sys.executable, "-c", swap, me], stderr=subprocess.DEVNULL)
    while not os.path.exists("filea") or not os.path.exists("fileb"):
        time.sleep(0.01)
    return 1
`

// TestPipesInThePlaceOfFiles checks that the reader of a job's files does not wait for the other end of a pipe that
// took the place of a file after the reader looked at it. A run meets that moment every other time or so, and less
// often on a busy machine.
func TestPipesInThePlaceOfFiles(t *testing.T) {
	for _, k := range kinds {
		runs := 15
		if k.name == "warm" {
			runs = 60
		}
		for range runs {
			got := execute(t, k.standard, swapsPipes, nil)
			if string(got.Result) != "1" || got.took > stack.Scaled(6*time.Second) {
				t.Fatalf("%s: took %s: %s", k.name, got.took, got.body)
			}
		}
		fmt.Printf("held   %s  pipes in the place of files\n", k.name)
	}
}
