package jobs

import "github.com/go-json-experiment/json/jsontext"

// Bounds on the displays of a job.
const (
	// MaxDisplays is the largest number of displays.
	MaxDisplays = 64
	// MaxDisplayForms is the largest number of forms of one display.
	MaxDisplayForms = 16
	// MaxDisplayTextBytes bounds the text or JSON of one form.
	MaxDisplayTextBytes = 256 * kib
	// MaxDisplaysBytes bounds the text and JSON of all forms together.
	MaxDisplaysBytes = 1 * mib
	// MaxDisplaysOmitted is the largest number of forms that are listed as omitted.
	MaxDisplaysOmitted = 256
)

// Display is what a cell showed: one value, in one or more forms, the richest first.
type Display struct {
	Forms []DisplayForm `json:"forms"`
}

// DisplayForm is one form of a display. Exactly one of Text, File and JSON is set.
type DisplayForm struct {
	// Type is the media type, such as "text/html".
	Type string `json:"type"`
	// Text is the form itself, valid UTF-8; nil for another one.
	Text *string `json:"text,omitzero"`
	// File is the Name of one of the job's OutputFiles; "" for another one.
	File string `json:"file,omitzero"`
	// JSON is the form itself, valid JSON; nil for another one.
	JSON jsontext.Value `json:"json,omitzero"`
}

// Size returns the number of bytes of the form's text or JSON.
func (f DisplayForm) Size() int {
	size := len(f.JSON)
	if f.Text != nil {
		size += len(*f.Text)
	}
	return size
}

// DisplaysSize returns the number of bytes of all texts and JSON in displays.
func DisplaysSize(displays []Display) int {
	size := 0
	for _, display := range displays {
		for _, form := range display.Forms {
			size += form.Size()
		}
	}
	return size
}

// OmittedDisplay is a form that exceeded a limit, or a whole display of which no form is left.
type OmittedDisplay struct {
	// Display is the number of the display, from 1, omitted ones counted.
	Display int `json:"display"`
	// Type is the media type of the form; "" for the whole display.
	Type string `json:"type"`
	// Bytes is the size of the form; nil if it is not known.
	Bytes *int64 `json:"bytes,omitzero"`
	// Limit is the name of the exceeded limit: "displays", "display_forms", "display_bytes", or that of a LimitHit.
	Limit string `json:"limit"`
}
