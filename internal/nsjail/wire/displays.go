package wire

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
)

// maxDisplaysBytes is the most bytes of a frameDisplays: jobs.MaxDisplaysBytes of text, and its escapes.
const maxDisplaysBytes = 2 << 20

// ResultDisplays are what the script showed. User code can forge them, for its own job only.
type ResultDisplays struct {
	Displays        []jobs.Display
	DisplaysOmitted []jobs.OmittedDisplay
}

// displaysFrame is the payload of a frameDisplays.
type displaysFrame struct {
	Displays        []jobs.Display        `json:"displays"`
	DisplaysOmitted []jobs.OmittedDisplay `json:"displays_omitted"`
}

// readDisplays reads the payload of a frameDisplays, which came after files. It returns an error wrapping ErrMalformed
// if the payload exceeds a bound, is invalid, or names a file that did not come.
func readDisplays(r io.Reader, length int64, files outputFiles) (ResultDisplays, error) {
	if length > maxDisplaysBytes {
		return ResultDisplays{}, malformed("%d bytes of displays", length)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return ResultDisplays{}, malformed("cut short")
	}
	// Answers nest the JSON of a form deeper than this frame does.
	if openBrackets(payload) > maxDepth && !jsontext.Value(nestDeeper(payload)).IsValid() {
		return ResultDisplays{}, malformed("displays that are nested too deep")
	}
	var frame displaysFrame
	if err := json.Unmarshal(payload, &frame); err != nil {
		return ResultDisplays{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(frame.Displays) > jobs.MaxDisplays || len(frame.DisplaysOmitted) > jobs.MaxDisplaysOmitted {
		return ResultDisplays{}, malformed("too many displays")
	}
	for i := range frame.Displays {
		if err := checkDisplay(&frame.Displays[i], files); err != nil {
			return ResultDisplays{}, err
		}
	}
	if jobs.DisplaysSize(frame.Displays) > jobs.MaxDisplaysBytes {
		return ResultDisplays{}, malformed("the displays are larger than allowed")
	}
	for _, omitted := range frame.DisplaysOmitted {
		if err := checkOmitted(omitted); err != nil {
			return ResultDisplays{}, err
		}
	}
	return ResultDisplays(frame), nil
}

func malformed(format string, values ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, values...)...)
}

// mediaType matches a media type without parameters, as RFC 6838 (4.2) restricts it.
var mediaType = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,62}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,62}$`)

// checkDisplay checks a display and replaces the names of files by those under which the job's files are returned.
func checkDisplay(display *jobs.Display, files outputFiles) error {
	if len(display.Forms) == 0 || len(display.Forms) > jobs.MaxDisplayForms {
		return malformed("a display with %d forms", len(display.Forms))
	}
	var types []string
	for i := range display.Forms {
		form := &display.Forms[i]
		if !mediaType.MatchString(form.Type) || slices.Contains(types, form.Type) {
			return malformed("a form whose type is no media type, or there twice")
		}
		types = append(types, form.Type)
		if err := checkForm(form, files); err != nil {
			return err
		}
	}
	return nil
}

func checkForm(form *jobs.DisplayForm, files outputFiles) error {
	contents := 0
	if form.Text != nil {
		contents++
	}
	if form.JSON != nil {
		contents++
	}
	if form.File != "" {
		contents++
		name, sent := files.safe[form.File]
		if !sent {
			return malformed("a form whose file was not sent")
		}
		form.File = name
	}
	if contents != 1 || form.Size() > jobs.MaxDisplayTextBytes {
		return malformed("a form without exactly one content, or larger than allowed")
	}
	return nil
}

// checkOmitted checks what was left out. The runner knows the names of limits only.
func checkOmitted(omitted jobs.OmittedDisplay) error {
	_, known := fileLimit(omitted.Limit, jobs.Limits{})
	known = known || slices.Contains([]string{"displays", "display_forms", "display_bytes"}, omitted.Limit)
	named := omitted.Type == "" || mediaType.MatchString(omitted.Type)
	sized := omitted.Bytes == nil || *omitted.Bytes >= 0
	if !known || !named || !sized || omitted.Display < 1 || omitted.Display > math.MaxInt32 {
		return malformed("an omitted display without a valid number, type, size or limit")
	}
	return nil
}
