package jobs

import (
	"testing"
	"time"
)

func TestStartWithinInRequests(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		`0.25`: 250 * time.Millisecond, `3600`: time.Hour, `1e400`: maxRequested * time.Second,
	} {
		inJSON, err := DecodeRequest([]byte(`{"script":"","start_within":` + text + `}`))
		if err != nil || inJSON.StartWithin != want || inJSON.Inputs != nil {
			t.Errorf("%s: got %+v, %v", text, inJSON, err)
		}
		inForm, err := DecodeForm([]FormPart{{Name: "script"}, {Name: "start_within", Content: []byte(text)}})
		if err != nil || inForm.StartWithin != want {
			t.Errorf("%s in a form: got %+v, %v", text, inForm, err)
		}
		lines, err := DecodeBatch([]byte(`{"script":"","start_within":` + text + "}\n"))
		if err != nil || lines[0].Err != nil || lines[0].Request.StartWithin != want {
			t.Errorf("%s in a batch: got %+v, %v", text, lines, err)
		}
	}
}

func TestStartWithinAboveTheServersIsRefusedByName(t *testing.T) {
	t.Parallel()
	for within, refused := range map[time.Duration]bool{
		0: false, time.Hour: false,
		time.Hour + time.Millisecond: true,
	} {
		request := Request{StartWithin: within}
		err := request.CheckStartWithin(time.Hour)
		if (err != nil) != refused {
			t.Errorf("%s: %v", within, err)
		}
		if want := `"start_within" is 3600.001, at most 3600 is allowed here`; refused &&
			(err == nil || AsError(err).Message != want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
