package httpapi

import (
	"cellblock/api"
	"cellblock/internal/jobs"
)

// displaysBody returns what a script showed as responses encode it.
func displaysBody(displays []jobs.Display) []api.Display {
	bodies := make([]api.Display, 0, len(displays))
	for _, display := range displays {
		forms := make([]api.DisplayForm, 0, len(display.Forms))
		for _, form := range display.Forms {
			forms = append(forms, api.DisplayForm{Type: form.Type, Text: form.Text, File: form.File, JSON: form.JSON})
		}
		bodies = append(bodies, api.Display{Forms: forms})
	}
	return bodies
}

// omittedDisplaysBody describes the displays and forms that exceeded a limit.
func omittedDisplaysBody(omitted []jobs.OmittedDisplay) []api.OmittedDisplay {
	bodies := make([]api.OmittedDisplay, 0, len(omitted))
	for _, o := range omitted {
		bodies = append(bodies, api.OmittedDisplay(o))
	}
	return bodies
}
