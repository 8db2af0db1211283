package clients

import (
	"os"
	"os/exec"
	"testing"
)

// TestNode runs a JavaScript program that uses the API without a client library.
func TestNode(t *testing.T) {
	cmd := exec.CommandContext(testContext(t), "node", "testdata/client.mjs")
	cmd.Env = append(os.Environ(), "CELLBLOCK_URL="+service.URL, "CELLBLOCK_TOKEN="+token)
	got := finish(t, cmd, "")
	want := `["keepalive",[0,1,2,3,4,5,6,7,8,9]]
["stream",[200,"é"]]
["sse",[["stdout","end"],"succeeded",7,"é\n"]]
["bigint","[9007199254740993,100000000000000000000]"]
["file",[256,true]]
`
	if got != (programResult{stdout: want}) {
		t.Errorf("got %+v, want %s", got, want)
	}
}
