package tenants

import (
	"strings"
	"testing"
)

// searcher is a script that looks for texts, which it gets backwards so as not to find itself, in what a sandbox shows
// of the service and of other jobs.
const searcher = `import os

def main(backwards):
    needles = [text[::-1].encode() for text in backwards]
    found = []
    def look(where, content):
        found.extend(where for needle in needles if needle in content)
    for name, value in os.environ.items():
        look("the variable " + name, value.encode() + name.encode())
    for top in ("/proc", "/tmp", "/dev", "/run", "/etc", "/home", "/root", os.getcwd()):
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if name not in ("task", "map_files", "fdinfo", "net")]
            for name in files + folders:
                path = os.path.join(folder, name)
                look(path, path.encode())
                try:
                    look(path, os.readlink(path).encode())
                except OSError:
                    pass
                if name in ("pagemap", "mem", "random", "urandom", "zero", "full"):
                    continue
                try:
                    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                    try:
                        look(path, os.read(file, 1 << 20))
                    finally:
                        os.close(file)
                except OSError:
                    pass
    return found[:10]
`

func sandboxAttempts() []attempt {
	return []attempt{
		{name: "sandbox/names_and_keys", try: func(t *testing.T, as *actor) string {
			return search(t, as, nil)
		}, control: func(t *testing.T) string {
			return search(t, world.acme, map[string]any{"PLANTED": world.acme.key})
		}},
		{name: "sandbox/left_by_the_job_before", try: func(t *testing.T, as *actor) string {
			for range 3 {
				world.acme.send(request{method: "POST", path: "/execute", body: job(map[string]any{
					"script": "def main():\n    for path in ('/tmp/x', '/dev/shm/x'):\n" +
						"        open(path, 'w').write('" + secret + "')\n",
				})})
			}
			return search(t, as, nil)
		}, control: func(t *testing.T) string {
			return search(t, world.acme, map[string]any{"PLANTED": secret})
		}},
	}
}

// search looks for keys, tenants, tokens and secrets in a sandbox with further variables, and returns where they are.
func search(t *testing.T, as *actor, env map[string]any) string {
	var backwards []string
	for _, text := range []string{
		world.acme.key, world.mallory.key, world.acme.keyID, world.mallory.keyID, apiToken, webhookSecret, secret,
		world.RedisURL, "mallory", world.owned.ended, world.owned.running,
	} {
		letters := []rune(text)
		for i, j := 0, len(letters)-1; i < j; i, j = i+1, j-1 {
			letters[i], letters[j] = letters[j], letters[i]
		}
		backwards = append(backwards, string(letters))
	}
	fields := map[string]any{"script": searcher, "args": map[string]any{"backwards": backwards}}
	if env != nil {
		fields["env"] = env
	}
	got := as.send(request{method: "POST", path: "/execute", body: job(fields)})
	if got.text("status") != "succeeded" {
		t.Fatal(got)
	}
	if found, _ := got.object()["result"].([]any); len(found) > 0 {
		return strings.TrimSpace(got.body)
	}
	return ""
}
