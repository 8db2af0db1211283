package stack

// TightLimits are limits, a worker's and its API's, so small that meeting them takes little
// time. They are far apart where one could be met instead of another: on a busy
// machine half a second of CPU time takes seconds of wall time.
var TightLimits = Env{
	"LIMIT_WALL": "8s", "LIMIT_CPU": "500ms", "LIMIT_MEMORY_MB": "128", "LIMIT_PROCESSES": "16",
	"LIMIT_OPEN_FILES": "64", "LIMIT_TMP_MB": "8", "LIMIT_OUTPUT_KB": "64", "LIMIT_RESULT_KB": "64",
}
