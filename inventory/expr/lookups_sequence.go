package expr

import (
	"regexp"
	"strconv"
	"strings"

	"farm/inventory/source"
)

var shortSequence = regexp.MustCompile(`^(?:(\d+|0x[0-9a-fA-F]+)-)?(\d+|0x[0-9a-fA-F]+)(?:/(-?\d+))?(?::(.*))?$`)

// sequenceLookup counts: "start=1 end=5 stride=2 format=%02d", "count=3", or "1-5/2:%02d".
func sequenceLookup(c *call) any {
	out := []any{}
	for _, a := range append([]any{}, c.args...) {
		params := map[string]string{}
		term := text(a)
		if g := shortSequence.FindStringSubmatch(term); g != nil {
			params = map[string]string{"start": g[1], "end": g[2], "stride": g[3], "format": g[4]}
		} else {
			for _, word := range strings.Fields(term) {
				k, v, ok := strings.Cut(word, "=")
				known := []string{"start", "end", "count", "stride", "format"}
				if !ok || !contains(known, k) {
					throwHint(source.DidYouMean(k, known), "%q is no argument of sequence", word)
				}
				params[k] = v
			}
		}
		out = append(out, c.count(params)...)
	}
	if len(c.args) == 0 {
		params := map[string]string{}
		for k, v := range c.named {
			params[k] = text(v)
		}
		out = c.count(params)
	}
	return out
}

func (c *call) count(params map[string]string) []any {
	num := func(key string, def int64) int64 {
		if params[key] == "" {
			return def
		}
		n, err := strconv.ParseInt(params[key], 0, 64)
		if err != nil {
			throw("%s=%s of sequence is no whole number", key, params[key])
		}
		return n
	}
	start, stride := num("start", 1), num("stride", 1)
	end := num("end", start)
	if params["count"] != "" {
		n := num("count", 0)
		if n == 0 {
			return nil
		}
		end = start + stride*(n-1)
	} else if params["end"] == "" {
		throw("sequence needs end= or count=")
	}
	if stride == 0 || stride > 0 && end < start || stride < 0 && end > start {
		throw("sequence from %d to %d by %d does not end", start, end, stride)
	}
	format := params["format"]
	if format == "" {
		format = "%d"
	}
	var out []any
	for i := start; stride > 0 && i <= end || stride < 0 && i >= end; i += stride {
		if len(out) >= maxItems {
			throw("a sequence of more than %d numbers", maxItems)
		}
		out = append(out, percent(format, tuple{i}))
	}
	return out
}
