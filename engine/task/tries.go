package task

import (
	"context"
	"fmt"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// eachTry is the time between tries of `until` where delay does not say.
const eachTry = 5 * time.Second

// tries runs the module, with `until` again and again.
func (c *call) tries(ctx context.Context) (*value.Dict, error) {
	until, has := c.t.Keys.Get("until")
	_, retrying := c.t.Keys.Get("retries")
	if !has && !retrying {
		return c.attempt(ctx, nil)
	}
	retries, err := c.number("retries", 3)
	if err != nil {
		return c.failed(engine.UserFault, err)
	}
	delay, err := c.number("delay", eachTry.Seconds())
	if err != nil {
		return c.failed(engine.UserFault, err)
	}
	for n := 1; ; n++ {
		res, ferr := c.attempt(ctx, nil)
		if ferr != nil && !rescuable(ferr) {
			return res, ferr
		}
		res.Set("attempts", int64(n))
		content := ferr == nil
		if has {
			vars := c.vars.With(c.registered(res))
			content, err = all(vars, until, c.t.Keys.KeyPos("until"))
			if err != nil {
				return c.failed(engine.UserFault, err)
			}
		}
		if content {
			return res, ferr
		}
		if n > int(retries) {
			res.Set("attempts", int64(max(n-1, 1))) // Ansible does not count the last one when it gives up
			res.Set("failed", true)
			if ferr == nil && !spared(res) {
				ferr = c.failure(engine.TestFault, fmt.Sprintf("not content after %d tries: until %s", n, value.Text(until)), res, nil)
			}
			return res, ferr
		}
		select {
		case <-ctx.Done():
			return res, context.Cause(ctx)
		case <-time.After(time.Duration(delay * float64(time.Second))):
		}
	}
}

// registered is the layer in which until, changed_when and failed_when see the result.
func (c *call) registered(res *value.Dict) *value.Dict {
	d := value.NewDict()
	if name, ok := c.t.Keys.Get("register"); ok {
		d.Set(value.Text(name), res)
	}
	return d
}
