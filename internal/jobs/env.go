package jobs

import (
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// OwnEnv returns the variables of every sandbox. nsjail.cfg sets them.
func OwnEnv() []string {
	return append([]string{"PATH", "HOME", "LANG"}, changeableEnv...)
}

// changeableEnv are the ones among them that a request may set.
var changeableEnv = []string{
	"USER", "LOGNAME", "TZ", "OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE",
	"MPLBACKEND", "MPLCONFIGDIR",
}

// appliedEnv are the variables of Python that the runner applies (runner/variables.py). Python itself reads them at
// its start, which is before the request is known.
var appliedEnv = []string{
	"PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "PYTHONIOENCODING", "PYTHONNOUSERSITE", "PYTHONPATH",
	"PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONWARNINGS",
}

// pythonEnv matches the names that Python reads: all without an underscore, and the newer ones with it. It ignores
// others, such as PYTHON_HOME.
var pythonEnv = regexp.MustCompile(
	`^PYTHON([A-Z0-9]+|_(BASIC_REPL|COLORS|CONTEXT_AWARE_WARNINGS|CPU_COUNT|DISABLE_REMOTE_DEBUG|` +
		`FROZEN_MODULES|GIL|HISTORY|JIT|PERF_JIT_SUPPORT|PRESITE|THREAD_INHERIT_CONTEXT|TLBC|UOPS))$`)

// utf8Encoding matches values of PYTHONIOENCODING that keep the output UTF-8.
var utf8Encoding = regexp.MustCompile(`^(?i:utf[-_]?8)?(:[a-z]*)?$`)

// checkEnvName returns an error for a variable that a request cannot set.
func checkEnvName(name string) error {
	switch {
	case len(name) > maxEnvName || !envName.MatchString(name):
		return Errorf(CodeInvalidRequest,
			`"env": %s is no name for a variable: at most %d of A-Z a-z 0-9 _, no digit first`,
			quoteName(name), maxEnvName)
	case slices.Contains(OwnEnv(), name) && !slices.Contains(changeableEnv, name):
		return Errorf(CodeInvalidRequest, `"env": %s is the sandbox's own and cannot be set`, quoteName(name))
	case pythonEnv.MatchString(name) && !slices.Contains(appliedEnv, name):
		return Errorf(CodeInvalidRequest,
			`"env": %s cannot be set: Python reads it when it starts, which is before the job; `+
				`those that can be are %s`,
			quoteName(name), strings.Join(appliedEnv, ", "))
	}
	return nil
}

// checkEnvValue returns an error for a value that a variable cannot have.
func checkEnvValue(name, value string) error {
	if name == "PYTHONIOENCODING" && !utf8Encoding.MatchString(value) {
		return Errorf(CodeInvalidRequest,
			`"env": PYTHONIOENCODING can be utf-8 only, with an error handler after a colon: answers are UTF-8`)
	}
	return checkNoNUL("env."+name, value)
}

func decodeEnv(value jsontext.Value) (map[string]string, error) {
	env, size := map[string]string{}, 0
	err := eachMember("env", value, func(name string, value jsontext.Value) error {
		if err := checkEnvName(name); err != nil {
			return err
		}
		if len(env) == MaxEnv {
			return Errorf(CodeInvalidRequest, `"env" has more than %d variables`, MaxEnv)
		}
		text, err := decodeText("env."+name, value)
		if err != nil {
			return err
		}
		env[name] = text
		size += len(name) + len(text)
		return checkEnvValue(name, text)
	})
	if err == nil && size > MaxEnvBytes {
		err = tooLarge("env", size, MaxEnvBytes)
	}
	return env, err
}

// limitNames are the limits that a request may set.
var limitNames = []string{"wall_seconds", "cpu_seconds", "memory_mb", "processes", "output_bytes"}
