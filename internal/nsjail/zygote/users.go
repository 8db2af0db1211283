package zygote

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/jail"
)

// userName is the name of a job's user and group, whatever their id. nsjail.cfg has the same name
// for cold sandboxes.
const userName = "sandbox"

// writeUsers writes the passwd and group files of warm sandboxes and returns their mounts. All
// forks of a zygote share the two files, so these list every id that a fork may have. To look up an
// id takes a script a third of a millisecond; files for each fork would cost every job two mounts.
func writeUsers(h *host.Host) ([]string, error) {
	if h.Slot.SingleUID {
		return nil, nil // each job has InsideUID, which nsjail.cfg lists
	}
	var passwd, group strings.Builder
	passwd.WriteString("root:x:0:0:root:/:/bin/false\n")
	group.WriteString("root:x:0:\n")
	for id := 1; id < host.UIDsPerWorker; id++ {
		fmt.Fprintf(&passwd, "%s:x:%d:%d:%s:/tmp:/bin/sh\n", userName, id, id, userName)
		fmt.Fprintf(&group, "%s:x:%d:\n", userName, id)
	}
	passwd.WriteString("nobody:x:65534:65534:nobody:/:/bin/false\n")
	group.WriteString("nogroup:x:65534:\n")
	var mounts []string
	for name, content := range map[string]string{"passwd": passwd.String(), "group": group.String()} {
		path := filepath.Join(h.Dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return nil, err
		}
		mounts = append(mounts, path+":/etc/"+name)
	}
	return mounts, nil
}

// withUsers replaces the passwd and group files that nsjail.cfg writes with the mounts users.
// Nothing can be mounted over those files, because nsjail unlinks them.
func withUsers(config string, users []string) string {
	var kept strings.Builder
	for line := range strings.Lines(config) {
		written := strings.HasPrefix(line, `mount { dst: "/etc/passwd" src_content:`) ||
			strings.HasPrefix(line, `mount { dst: "/etc/group" src_content:`)
		if len(users) == 0 || !written {
			kept.WriteString(line)
		}
	}
	return kept.String() + jail.ReadOnlyMounts(users...)
}
