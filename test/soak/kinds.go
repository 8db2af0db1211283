package main

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// kind is one kind of job.
type kind struct {
	name   string
	weight int
	// script is the body of main() after it has written its number, which replaces NUMBER; if whole
	// is true, it is the whole module, which writes none.
	script string
	whole  bool
	// codes are the expected ends; "" is success. A worker that dies, and the short wall limit on a
	// busy machine, cause others; see load.verify.
	codes []string
	// sync is the probability that the client waits.
	sync float64
	// act is what else the client does, if anything.
	act action
}

// action is what a client does besides posting its job and reading its end.
type action int

const (
	actNothing action = iota
	// actCancel cancels the job, soon after it was accepted.
	actCancel
	// actRepeat posts the same again, several times at once.
	actRepeat
	// actMismatch posts another body under the same key.
	actMismatch
	// actHangUp does not wait for the first answer.
	actHangUp
	// actAbandon hangs up on a request without a key, and never comes back.
	actAbandon
	// actPostAgainAndWait posts the same again and waits for its answer, or hangs up.
	actPostAgainAndWait
	// actList lists jobs meanwhile.
	actList
	// actWatch follows the job's events to the end.
	actWatch
	// actWebhook waits for the job's webhook after its end.
	actWebhook
)

// kinds are all kinds of jobs.
var kinds = []*kind{
	{name: "success", weight: 20, script: "return 'job NUMBER'", codes: []string{""}, sync: 0.6},
	{
		name: "pandas", weight: 6,
		script: "import pandas as pd; assert int(pd.Series([1, 2]).sum()) == 3; return 'job NUMBER'",
		codes:  []string{""}, sync: 0.6,
	},
	{name: "exception", weight: 6, script: "raise ValueError('job NUMBER')", codes: []string{"exception"}, sync: 0.6},
	{name: "exit", weight: 3, script: "import os; os._exit(3)", codes: []string{"exit"}, sync: 0.6},
	{
		name: "killed", weight: 3, script: "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
		codes: []string{"killed"}, sync: 0.6,
	},
	{name: "timeout", weight: 8, script: "import time; time.sleep(60)", codes: []string{"timeout"}, sync: 0.6},
	{name: "timeout, busy", weight: 2, script: "while True: pass", codes: []string{"timeout"}, sync: 0.6},
	{
		name: "memory", weight: 6, script: "x = [bytearray(8 << 20) for _ in range(64)]",
		codes: []string{"memory_limit"}, sync: 0.6,
	},
	{
		name: "children", weight: 4,
		script: "import subprocess; [subprocess.Popen(['setsid', 'sleep', '1000']) for _ in range(4)]; " +
			"return 'job NUMBER'", codes: []string{""}, sync: 0.6,
	},
	{
		name: "files", weight: 4, script: "open('/tmp/f', 'wb').write(bytes(4 << 20)); return 'job NUMBER'",
		codes: []string{""}, sync: 0.6,
	},
	{
		name: "big output", weight: 4,
		script: "import sys; sys.stdout.write('x' * (1 << 20)); sys.stderr.write('y' * (1 << 20)); return 'job NUMBER'",
		codes:  []string{""}, sync: 0.6,
	},
	{name: "big result", weight: 3, script: "return 'job NUMBER' + ' ' * 100000", codes: []string{""}, sync: 0.6},
	{
		name: "result too large", weight: 2, script: "return 'x' * 200000",
		codes: []string{"result_too_large"}, sync: 0.6,
	},
	{name: "not serializable", weight: 2, script: "return {1, 2}", codes: []string{"not_serializable"}, sync: 0.6},
	{name: "syntax error", weight: 2, script: "def main(:", whole: true, codes: []string{"syntax_error"}, sync: 0.6},
	{
		name: "cancelled", weight: 6, script: "import time; time.sleep(60)", codes: []string{"cancelled", "timeout"},
		act: actCancel,
	},
	{name: "repeated", weight: 5, script: "return 'job NUMBER'", codes: []string{""}, sync: 0.5, act: actRepeat},
	{name: "key with another body", weight: 2, script: "return 'job NUMBER'", codes: []string{""}, act: actMismatch},
	{
		name: "client hangs up", weight: 5, script: "import time; time.sleep(0.03); return 'job NUMBER'",
		codes: []string{""}, sync: 1, act: actHangUp,
	},
	{
		name: "client hangs up for good", weight: 5, script: "import time; time.sleep(0.03); return 'job NUMBER'",
		codes: []string{"", "cancelled", "unavailable"}, sync: 1, act: actAbandon,
	},
	{
		name: "asynchronous, then waited for", weight: 5, script: "import time; time.sleep(0.02); return 'job NUMBER'",
		codes: []string{""}, act: actPostAgainAndWait,
	},
	{name: "listed", weight: 2, script: "return 'job NUMBER'", codes: []string{""}, act: actList},
	{name: "watched", weight: 6, script: talking, codes: []string{""}, act: actWatch},
	{name: "called back", weight: 5, script: "return 'job NUMBER'", codes: []string{""}, act: actWebhook},
}

// talking prints now and then, on both streams and with multi-byte characters.
const talking = "import sys, time\n    for i in range(4): print('é', i); sys.stderr.write('NUMBER'); " +
	"time.sleep(0.01)\n    return 'job NUMBER'"

// plain are the kinds without an action.
var plain = slices.DeleteFunc(slices.Clone(kinds), func(k *kind) bool { return k.act != actNothing })

// pick returns a random kind, by weight.
func pick(kinds []*kind) *kind {
	all := 0
	for _, k := range kinds {
		all += k.weight
	}
	n := rand.IntN(all)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			return k
		}
	}
	return nil // never reached: n is below the sum
}

// body returns the script of a job of this kind. It first writes its number to the file that only
// this program mounts into the sandbox.
func (k *kind) body(number int) string {
	if k.whole {
		return k.script
	}
	text := "def main():\n    open('/runs', 'a').write('NUMBER\\n')\n    " + k.script + "\n"
	return strings.ReplaceAll(text, "NUMBER", strconv.Itoa(number))
}
