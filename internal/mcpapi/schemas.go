package mcpapi

import "encoding/json"

// The schemas of the tools' arguments and of the structured content of their answers. They are written by hand, as
// short as they can be: a model reads the first ones in every conversation.
var (
	runSchema = json.RawMessage(`{"type":"object","properties":{` +
		`"code":{"type":"string","description":"Python source, at most 50 KiB"},` +
		`"entry":{"type":"string","enum":["cell","main","script"],"default":"cell",` +
		`"description":"cell: a notebook cell; main: calls main(**args); ` +
		`script: a program with sys.argv[1:] = args"},` +
		`"args":{"anyOf":[{"type":"object"},{"type":"array","items":{"type":"string"}}],` +
		`"description":"object for main, array for script"},` +
		`"stdin":{"type":"string"},` +
		`"files":{"type":"array","description":"input files: content, content_base64, or job_id and name of a file ` +
		`that an earlier job left","items":{"type":"object","properties":{` +
		`"path":{"type":"string"},"content":{"type":"string"},"content_base64":{"type":"string"},` +
		`"job_id":{"type":"string"},"name":{"type":"string"},"file_id":{"type":"string"}},` +
		`"required":["path"],"additionalProperties":false}},` +
		`"timeout_seconds":{"type":"number","description":"less than the default, usually 15"},` +
		`"environment":{"type":"string","description":"see list_environments"}},` +
		`"required":["code"],"additionalProperties":false}`)

	getSchema = json.RawMessage(`{"type":"object","properties":{"job_id":{"type":"string"},` +
		`"wait_seconds":{"type":"number","default":20,"minimum":0,"maximum":30,` +
		`"description":"how long to wait for the end"}},"required":["job_id"],"additionalProperties":false}`)

	cancelSchema = json.RawMessage(`{"type":"object","properties":{"job_id":{"type":"string"}},` +
		`"required":["job_id"],"additionalProperties":false}`)

	readFileSchema = json.RawMessage(`{"type":"object","properties":{"job_id":{"type":"string"},` +
		`"path":{"type":"string","description":"name of a file, or @stdout, @stderr, @result"},` +
		`"offset":{"type":"integer","default":0,"minimum":0,"description":"in bytes"},` +
		`"length":{"type":"integer","default":16384,"minimum":1,"maximum":65536}},` +
		`"required":["job_id","path"],"additionalProperties":false}`)

	noArguments = json.RawMessage(`{"type":"object","properties":{},"additionalProperties":false}`)
)

// errorSchema describes an errorOutput.
const errorSchema = `{"type":"object","properties":{"code":{"type":"string"},"message":{"type":"string"},` +
	`"traceback":{"type":"string"},"hint":{"type":"string"},"retry_after_seconds":{"type":"integer"}},` +
	`"required":["code","message"]}`

var (
	// jobSchema describes a jobOutput.
	jobSchema = json.RawMessage(`{"type":"object","properties":{"job_id":{"type":"string"},` +
		`"status":{"type":"string","enum":["queued","running","succeeded","failed","cancelled","refused"]},` +
		`"result":{},"result_bytes":{"type":"integer"},` +
		`"stdout":{"type":"string"},"stderr":{"type":"string"},"exit_code":{"type":"integer"},` +
		`"error":` + errorSchema + `,"notes":{"type":"array","items":{"type":"string"}},` +
		`"files":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},` +
		`"size":{"type":"integer"},"media_type":{"type":"string"}},"required":["name","size","media_type"]}}},` +
		`"required":["status"]}`)

	// readSchema describes a readOutput.
	readSchema = json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"},` +
		`"size":{"type":"integer"},"media_type":{"type":"string"},"offset":{"type":"integer"},` +
		`"text":{"type":"string"},"next_offset":{"type":"integer"},"url":{"type":"string"},` +
		`"error":` + errorSchema + `},"required":["size","offset"]}`)

	// environmentsSchema describes an environmentsOutput.
	environmentsSchema = json.RawMessage(`{"type":"object","properties":{"environments":{"type":"array",` +
		`"items":{"type":"object","properties":{"name":{"type":"string"},"description":{"type":"string"},` +
		`"python":{"type":"string"},"packages":{"type":"array","items":{"type":"string"}},` +
		`"available":{"type":"boolean"}},"required":["name","available"]}},` +
		`"error":` + errorSchema + `},"required":["environments"]}`)
)
