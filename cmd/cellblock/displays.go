package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/client"
)

// showDisplays shows what the script showed, on standard output, and lists what exceeded a limit.
func showDisplays(job *client.Job) {
	for _, display := range job.Displays {
		if text := displayText(display); text != "" {
			fmt.Fprintln(standardOutput, strings.TrimRight(text, "\n"))
		}
	}
	for _, omitted := range job.DisplaysOmitted {
		size, form := "", "display"
		if omitted.Bytes != nil {
			size = fmt.Sprintf(" (%d bytes)", *omitted.Bytes)
		}
		if omitted.Type != "" {
			form = omitted.Type + " of display"
		}
		fmt.Fprintf(os.Stderr, "cellblock: omitted %s %d%s: the limit %s\n", form, omitted.Display, size, omitted.Limit)
	}
}

// displayText returns the form of a display that suits a terminal best: plain text, any other text, JSON, or the name
// of its file.
func displayText(display client.Display) string {
	var text, encoded, file string
	for _, form := range display.Forms {
		switch {
		case form.Text != nil && form.Type == "text/plain":
			return *form.Text
		case form.Text != nil && text == "":
			text = *form.Text
		case len(form.JSON) > 0 && encoded == "":
			value := form.JSON.Clone()
			if value.Indent(jsontext.WithIndent("  ")) == nil {
				encoded = string(value)
			}
		case form.File != "" && file == "":
			file = fmt.Sprintf("<%s: %s>", form.Type, form.File)
		}
	}
	switch {
	case text != "":
		return text
	case encoded != "":
		return encoded
	default:
		return file
	}
}
