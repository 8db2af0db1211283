package sandboxfusion

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
)

// The values of Response.Status.
const (
	statusSuccess = "Success"
	statusFailed  = "Failed"
	// statusSandboxError means that there is no verdict on the code. Clients do not read a result beside it.
	statusSandboxError = "SandboxError"
)

// The values of CommandResult.Status.
const (
	commandFinished = "Finished"
	commandTimeout  = "TimeLimitExceeded"
)

// Response is the body of a response, but for its last member, "files".
type Response struct {
	Status string `json:"status"`
	// Message is a sentence for people, "" after a success.
	Message string `json:"message"`
	// CompileResult is always nil: Python has no compile step.
	CompileResult *CommandResult `json:"compile_result"`
	// RunResult is nil with statusSandboxError.
	RunResult *CommandResult `json:"run_result"`
	// ExecutorPodName is always nil.
	ExecutorPodName *string `json:"executor_pod_name"`
}

// CommandResult is how the script ended. Times are in seconds.
type CommandResult struct {
	Status        string   `json:"status"`
	ExecutionTime float64  `json:"execution_time"`
	CPUTime       *float64 `json:"cpu_time"`
	// ReturnCode is the exit code, or a negative number of the signal that ended the script; nil if it was stopped at
	// a time limit.
	ReturnCode *int   `json:"return_code"`
	Stdout     string `json:"stdout"`
	Stderr     string `json:"stderr"`
}

// ErrorResponse returns the body for a call without a verdict on its code.
func ErrorResponse(message string) Response {
	return Response{Status: statusSandboxError, Message: message}
}

// NewResponse returns the body for a job that ended. It returns an error instead if the end is no verdict on the code:
// the failure's code and message.
func NewResponse(call Call, outcome *jobs.Outcome) (Response, error) {
	result := &CommandResult{
		Status: commandFinished, ExecutionTime: inSeconds(outcome.Usage.RunMS),
		ReturnCode: outcome.ExitCode, Stdout: outcome.Stdout, Stderr: stderr(outcome),
	}
	if cpu := outcome.Usage.CPUMS; cpu != nil {
		time := inSeconds(*cpu)
		result.CPUTime = &time
	}
	response := Response{Status: statusSuccess, RunResult: result}
	failure := outcome.Failure
	if failure == nil {
		result.setReturnCode(0)
		response.Message = call.omitted(outcome)
		return response, nil
	}
	response.Status, response.Message = statusFailed, failure.Message
	if result.ReturnCode == nil {
		result.ReturnCode = failure.ExitCode
	}
	switch code := failure.Code; {
	case code == jobs.CodeTimeout, code == jobs.CodeCPULimit:
		result.Status, result.ReturnCode = commandTimeout, nil
		response.Message = joined(response.Message, call.shortened())
		return response, nil
	case code == jobs.CodeMemoryLimit, code == jobs.CodeProcessLimit, code == jobs.CodeKilled:
		result.setReturnCode(-signalOf(failure.Signal))
	case code.Reported() && code != jobs.CodeInputTooLarge,
		code == jobs.CodeFilesTooLarge, code == jobs.CodeResultTooLarge:
		result.setReturnCode(1)
	default:
		return Response{}, &jobs.Error{Code: code, Message: failure.Message, Limit: failure.Limit}
	}
	response.Message = joined(response.Message, call.omitted(outcome))
	return response, nil
}

// stderr returns what the script wrote there, and after it what Python writes for an exception or a syntax error.
func stderr(outcome *jobs.Outcome) string {
	written, failure := outcome.Stderr, outcome.Failure
	if failure == nil {
		return written
	}
	report := failure.Traceback
	if report == "" && failure.Code == jobs.CodeSyntaxError {
		report = fmt.Sprintf("  File \"script.py\", line %d\n    %s\n%s\n", failure.Line, failure.Text, failure.Message)
	}
	if report != "" && written != "" && !strings.HasSuffix(written, "\n") {
		written += "\n"
	}
	return written + report
}

// setReturnCode sets the return code of a script whose exit code is unknown.
func (r *CommandResult) setReturnCode(code int) {
	if r.ReturnCode == nil {
		r.ReturnCode = &code
	}
}

// signalOf returns a signal's number; SIGKILL's for an unknown name.
func signalOf(name string) int {
	if signal := unix.SignalNum(name); signal != 0 {
		return int(signal)
	}
	return int(syscall.SIGKILL)
}

// shortened describes that the run was shorter than requested; "" if it was not.
func (c Call) shortened() string {
	if c.RequestedRun <= c.Run {
		return ""
	}
	return fmt.Sprintf(`"run_timeout" is %s s, and this service runs a script for at most %s s`,
		plainNumber(c.RequestedRun.Seconds()), plainNumber(c.Run.Seconds()))
}

func plainNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// inSeconds converts milliseconds, with a resolution of a microsecond.
func inSeconds(milliseconds float64) float64 { return math.Round(milliseconds*1e3) / 1e6 }

// omitted describes the wanted files that were there and are not in the response; "" for none.
func (c Call) omitted(outcome *jobs.Outcome) string {
	var large, unchanged []string
	for _, wanted := range c.Fetch {
		_, found := wanted.Find(outcome)
		isOver := func(f jobs.OmittedFile) bool { return wanted.isNamed(f.Name) }
		switch name := strconv.Quote(wanted.Name); {
		case found:
		case slices.ContainsFunc(outcome.FilesOmitted, isOver):
			large = append(large, name)
		case wanted.IsInput:
			unchanged = append(unchanged, name)
		}
	}
	return joined(list("files over a limit were not fetched: ", large),
		list("files that the code did not change, or removed, were not fetched: ", unchanged))
}

// list returns a sentence about names; "" for none.
func list(sentence string, names []string) string {
	if names == nil {
		return ""
	}
	return sentence + strings.Join(names, ", ")
}

// isNamed reports whether a file that a job left is the wanted one. The names of those in outputs/ have no folder.
func (f Fetch) isNamed(name string) bool { return name == f.Path || "outputs/"+name == f.Path }

// Find returns the file that is wanted among those that the job left.
func (f Fetch) Find(outcome *jobs.Outcome) (file jobs.OutputFile, ok bool) {
	i := slices.IndexFunc(outcome.Files, func(left jobs.OutputFile) bool { return f.isNamed(left.Name) })
	if i < 0 {
		return jobs.OutputFile{}, false
	}
	return outcome.Files[i], true
}

func joined(sentences ...string) string {
	return strings.Join(slices.DeleteFunc(sentences, func(s string) bool { return s == "" }), "; ")
}
