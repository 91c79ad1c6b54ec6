package expr

import (
	"regexp"
	"strconv"
	"strings"

	"farm/inventory/source"
)

var shortSequence = regexp.MustCompile(`(?i)^(?:(0?x?[0-9a-f]+)-)?(0?x?[0-9a-f]+)(?:/(-?0?x?[0-9a-f]+))?(?::(.+))?$`)

var sequenceArgs = []string{"start", "end", "count", "stride", "format"}

// sequenceLookup counts: "start=1 end=5 stride=2 format=%02d", "count=3", or "1-5/2:%02d".
func sequenceLookup(c *call) any {
	c.open = true
	out := []any{}
	for _, a := range c.args {
		params, unknown := map[string]string{}, []any{}
		term := text(a)
		if g := shortSequence.FindStringSubmatch(term); g != nil {
			params = map[string]string{"start": g[1], "end": g[2], "stride": g[3], "format": g[4]}
		} else {
			for _, word := range inlineWords(term) {
				k, v, ok := strings.Cut(word, "=")
				if !ok || !contains(sequenceArgs, k) {
					unknown = append(unknown, k)
				}
				params[k] = unquoted(v)
			}
		}
		out = append(out, c.count(params, unknown)...)
	}
	if len(c.args) == 0 {
		params := map[string]string{}
		for k, v := range c.named {
			params[k] = text(v)
		}
		out = append(out, c.count(params, nil)...)
	}
	return out
}

// count gives the numbers in words; unknown are arguments that there are not.
func (c *call) count(params map[string]string, unknown []any) []any {
	num := func(key string, def int64) int64 {
		if params[key] == "" {
			return def
		}
		n, err := strconv.ParseInt(params[key], 0, 64)
		if err != nil {
			throw("can't parse %s=%s as integer", key, params[key])
		}
		return n
	}
	start, stride := num("start", 1), num("stride", 1)
	end, n := num("end", start), num("count", 0)
	format := params["format"]
	if format == "" {
		format = "%d"
	}
	switch counts, ends := params["count"] != "", params["end"] != ""; {
	case len(unknown) > 0:
		throwHint(source.DidYouMean(text(unknown[0]), sequenceArgs), "unrecognized arguments to with_sequence: %s", repr(unknown))
	case !counts && !ends:
		throw("must specify count or end in with_sequence")
	case counts && ends:
		throw("can't specify both count and end in with_sequence")
	case counts && n == 0 || stride == 0:
		return nil
	case counts:
		end = start + stride*(n-1)
	}
	switch {
	case stride > 0 && end < start:
		throw("to count backwards make stride negative")
	case stride < 0 && end > start:
		throw("to count forward don't make stride negative")
	case strings.Count(format, "%") != 1:
		throw("bad formatting string: %s", format)
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
