package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"farm/inventory/source"
	"farm/inventory/value"
	"farm/phases"
)

// kept are the phases whose outcome is kept.
var kept = []string{phases.Dependencies, phases.Init}

// parseAge reads a time that may be given in days or weeks: "7d", "2w", "36h".
func parseAge(v any) (time.Duration, error) {
	text, _ := v.(string)
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			if n, err := strconv.ParseFloat(number, 64); err == nil && n > 0 && n < 1e4 {
				return time.Duration(n * float64(length)), nil
			}
		}
	}
	if d, err := value.ParseDuration(v); err == nil && d > 0 {
		return d, nil
	}
	return 0, fmt.Errorf(`%q is no time above 0 such as "7d" or "12h"`, value.Text(v))
}

// maxAges reads phase_max_age: a time for all phases that are kept, or a mapping from phases to times.
func maxAges(v any) (func(string) time.Duration, error) {
	if v == nil {
		return nil, nil
	}
	d, ok := v.(*value.Dict)
	if !ok {
		age, err := parseAge(v)
		if err != nil {
			return nil, fmt.Errorf("phase_max_age: %w", err)
		}
		return func(phase string) time.Duration {
			if !slices.Contains(kept, phase) {
				return 0
			}
			return age
		}, nil
	}
	by := map[string]time.Duration{}
	for k, item := range d.All() {
		phase := value.Text(k)
		if !slices.Contains(kept, phase) {
			return nil, fmt.Errorf("phase_max_age: the outcome of %q is not kept; it is for %s", phase, strings.Join(kept, " and "))
		}
		age, err := parseAge(item)
		if err != nil {
			return nil, fmt.Errorf("phase_max_age of %q: %w", phase, err)
		}
		by[phase] = age
	}
	return func(phase string) time.Duration { return by[phase] }, nil
}

// checkMaxAge judges phase_max_age, each fault at its value; d is the dict that it is in.
func checkMaxAge(v any, d *value.Dict) error {
	if _, err := maxAges(v); err != nil {
		return &source.Error{Pos: d.ValPos("phase_max_age"), What: err.Error()}
	}
	return nil
}

// refreshable are the phases that --refresh takes.
var refreshable = []string{phases.Startup, phases.Dependencies, phases.Init}

// refreshed checks the phases of --refresh.
func refreshed(list []string) (map[string]bool, error) {
	set := map[string]bool{}
	for _, phase := range list {
		if !slices.Contains(refreshable, phase) {
			hint := source.DidYouMean(phase, refreshable)
			return nil, &usageError{fmt.Errorf("--refresh is %q, not one of %s%s", phase, strings.Join(refreshable, ", "), bracket(hint))}
		}
		set[phase] = true
	}
	return set, nil
}
