package expr

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ncruces/go-strftime"
)

func timeFilters() map[string]function {
	return map[string]function{"strftime": strftimeFilter, "to_datetime": toDatetime}
}

func (m *machine) now() time.Time { return m.vars.e.o.Now() }

// strftimeFilter formats seconds since 1970; by default now.
func strftimeFilter(c *call) any {
	t := c.m.now()
	if s := c.value(0, "second", nil); s != nil {
		n, ok := number(s)
		if str, isText := s.(string); isText {
			f, err := strconv.ParseFloat(strings.TrimSpace(str), 64)
			n, ok = f, err == nil
		}
		if !ok {
			throw("Invalid value for epoch value (%s)", text(s))
		}
		f := toFloat(n)
		t = time.Unix(int64(f), int64((f-float64(int64(f)))*1e9))
	}
	if c.bool(1, "utc", false) {
		t = t.UTC()
	}
	return strftime.Format(c.text(), t)
}

func toDatetime(c *call) any {
	format := c.str(0, "format", "%Y-%m-%d %H:%M:%S")
	t, err := strftime.Parse(format, c.text())
	if err != nil {
		throw("%q is no time in the format %q", c.text(), format)
	}
	return moment{t: t}
}

func (t moment) String() string {
	layout := "2006-01-02 15:04:05"
	if t.t.Nanosecond() >= 1000 {
		layout += ".000000"
	}
	if t.zone {
		layout += "-07:00"
	}
	return t.t.Format(layout)
}

func (t moment) attr(name string) any {
	switch name {
	case "year":
		return int64(t.t.Year())
	case "month":
		return int64(t.t.Month())
	case "day":
		return int64(t.t.Day())
	case "hour":
		return int64(t.t.Hour())
	case "minute":
		return int64(t.t.Minute())
	case "second":
		return int64(t.t.Second())
	case "microsecond":
		return int64(t.t.Nanosecond() / 1000)
	}
	return &undefined{name: name, keys: []string{"year", "month", "day", "hour", "minute", "second", "microsecond"}}
}

func (t moment) method(name string, args []any) any {
	switch name {
	case "strftime":
		if len(args) == 1 {
			return strftime.Format(text(args[0]), t.t)
		}
	case "timestamp":
		return float64(t.t.UnixMicro()) / 1e6
	case "isoformat":
		layout := "2006-01-02T15:04:05"
		if t.t.Nanosecond() >= 1000 {
			layout += ".000000"
		}
		return t.t.Format(layout)
	case "date":
		y, m, d := t.t.Date()
		return moment{t: time.Date(y, m, d, 0, 0, 0, 0, t.t.Location())}
	}
	throwHint("strftime, timestamp, isoformat or date", "a time has no method %q with %d arguments", name, len(args))
	return nil
}

func (s span) seconds() float64 { return time.Duration(s).Seconds() }

func (s span) String() string {
	d := time.Duration(s)
	days := d / (24 * time.Hour)
	if d < 0 && d%(24*time.Hour) != 0 {
		days--
	}
	d -= days * 24 * time.Hour
	out := fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	if us := d % time.Second / time.Microsecond; us != 0 {
		out += fmt.Sprintf(".%06d", us)
	}
	switch {
	case days == 1 || days == -1:
		return fmt.Sprintf("%d day, %s", days, out)
	case days != 0:
		return fmt.Sprintf("%d days, %s", days, out)
	}
	return out
}
