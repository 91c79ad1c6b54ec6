package callbacks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"farm/engine"
)

// programAnswer is what an executable may print.
type programAnswer struct {
	Failed    bool     `json:"failed"`
	Msg       string   `json:"msg"`
	Installed []string `json:"installed"` // files that it put into the pool folder
	HostKeys  []string `json:"host_keys"` // SSH host keys that the guest will show
}

// readAnswer reads what a program printed; nothing is an answer too.
func readAnswer(out engine.Output) (a programAnswer, err error) {
	if out.Dropped > 0 {
		return a, fmt.Errorf("its answer on standard output is too long by %d bytes; messages go to standard error", out.Dropped)
	}
	text := bytes.TrimSpace(out.Stdout)
	if len(text) == 0 {
		return a, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(&a)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field == "":
		return a, fmt.Errorf("its answer is a JSON %s, not an object such as {\"installed\": [\"disk.qcow2\"]}", wrong.Value)
	case errors.As(err, &wrong):
		return a, fmt.Errorf("its answer: %q is a JSON %s, not %s", wrong.Field, wrong.Value, answerTypes[wrong.Field])
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field "):
		return a, fmt.Errorf("its answer has the unknown key %s; there are failed, msg, installed and host_keys",
			strings.TrimPrefix(err.Error(), "json: unknown field "))
	case err != nil:
		return a, fmt.Errorf("its answer on standard output is no JSON: %w; messages go to standard error", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return a, errors.New("its answer goes on behind the JSON object; messages go to standard error")
	}
	return a, nil
}

var answerTypes = map[string]string{
	"failed": "true or false", "msg": "text", "installed": "a list of file names", "host_keys": "a list of public keys",
}

// tellTime tells every minute that a program still runs, until stop is called.
func tellTime(im *engine.Image, program string) (stop func()) {
	began, done := time.Now(), make(chan struct{})
	tick := time.NewTicker(time.Minute)
	go func() {
		for {
			select {
			case <-tick.C:
				emit(im, engine.Progress, "%s still runs, for %s now", program, time.Since(began).Round(time.Second))
			case <-done:
				return
			}
		}
	}()
	return func() {
		tick.Stop()
		close(done)
	}
}
