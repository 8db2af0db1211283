package stack

// TightLimits are limits of a worker and its API that are quickly reached. They are far apart where a job could reach
// the wrong one first: on a busy machine half a second of CPU time takes seconds of wall time.
var TightLimits = Env{
	"LIMIT_WALL": "20s", "LIMIT_CPU": "500ms", "LIMIT_MEMORY_MB": "128", "LIMIT_PROCESSES": "16",
	"LIMIT_OPEN_FILES": "64", "LIMIT_TMP_MB": "8", "LIMIT_OUTPUT_KB": "64", "LIMIT_RESULT_KB": "64",
}
