package modules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"farm/inventory/value"
)

func TestSetFact(t *testing.T) {
	b := newBench(t)
	r := b.check("set_fact", "{a: 1, b: [x], cacheable: yes}", "ok")
	if got := fmt.Sprint(r.Facts.Keys()); got != "[a b]" {
		t.Error(got)
	}
	r = b.check("set_fact", `{a: "1", b: "x y", c: "Yes"}`, "ok")
	for k, want := range map[string]any{"a": "1", "b": "x y", "c": true} {
		if got, _ := r.Facts.Get(k); got != want {
			t.Errorf("%s is %#v, want %#v", k, got, want)
		}
	}
	b.check("set_fact", "{not-a-name: 1}", "failed")
	b.check("set_fact", "{}", "failed")
}

func TestDebug(t *testing.T) {
	b := newBench(t)
	b.vars["x"] = []any{int64(1), "two"}
	if r := b.check("debug", "msg: plain", "ok"); r.Msg != "plain" {
		t.Error(r.Msg)
	}
	if r := b.check("debug", "{}", "ok"); r.Msg != "Hello world!" {
		t.Error(r.Msg)
	}
	b.values(b.check("debug", "var: x", "ok"), "x", []any{1, "two"})
	b.values(b.check("debug", `msg: "{{ x }}"`, "ok"), "msg", []any{1, "two"})
	r := b.check("debug", "var: nope", "ok")
	if v, _ := r.Values.Get("nope"); !strings.HasPrefix(fmt.Sprint(v), "VARIABLE IS NOT DEFINED!") {
		t.Error(v)
	}
	b.check("debug", "{msg: x, verbosity: 2}", "skipped")
	b.check("debug", "{msg: x, var: y}", "failed")
}

func TestAssert(t *testing.T) {
	b := newBench(t)
	for name, v := range map[string]any{"yes_": true, "no_": false, "zero": int64(0), "one": 1.0, "blank": "", "word": "False", "none": nil,
		"list": []any{}, "dict": value.NewDict("a", 1)} {
		b.vars[name] = v
	}
	for that, want := range map[string]string{
		"yes_": "ok", "no_": "failed", "zero": "failed", "one": "ok", "blank": "failed", "word": "ok", "none": "failed", "list": "failed", "dict": "ok",
		"[yes_, one]": "ok", "[yes_, no_]": "failed", "true": "ok", "[yes_, false]": "failed", "undefined_": "failed",
		`"{{ yes_ }}"`: "ok", `"{{ no_ }}"`: "failed", `"{{ word }} == 'x'"`: "failed",
	} {
		b.check("assert", "that: "+that, want)
	}
	r := b.check("assert", "{that: [no_], fail_msg: why}", "failed")
	b.values(r, "assertion", "no_", "evaluated_to", false)
	if r.Msg != "why" {
		t.Error(r.Msg)
	}
	if r := b.check("assert", "{that: [yes_], success_msg: fine}", "ok"); r.Msg != "fine" {
		t.Error(r.Msg)
	}
}

func TestFailPingPause(t *testing.T) {
	b := newBench(t)
	if r := b.check("fail", "msg: because", "failed"); r.Msg != "because" {
		t.Error(r.Msg)
	}
	b.values(b.check("ping", "{}", "ok"), "ping", "pong")
	b.values(b.check("ping", "data: x", "ok"), "ping", "x")
	b.check("pause", "seconds: 0.01", "ok")
	b.check("pause", "prompt: press a key", "ok")
	if !strings.Contains(b.shown(), "press a key") {
		t.Error(b.shown())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := b.module("pause", "minutes: 10").Run(ctx, b.task); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestAddHostAndGroupBy(t *testing.T) {
	b := newBench(t)
	r := b.check("add_host", "{name: 'web:2222', groups: 'a, b', ansible_user: me}", "changed")
	port, _ := r.AddHost.Vars.Get("ansible_ssh_port")
	user, _ := r.AddHost.Vars.Get("ansible_user")
	if r.AddHost.Name != "web" || fmt.Sprint(r.AddHost.Groups) != "[a b]" || port != int64(2222) || user != "me" {
		t.Errorf("%+v", r.AddHost)
	}
	r = b.check("add_host", `"name=x groups=a,b k='v w'"`, "changed")
	if v, _ := r.AddHost.Vars.Get("k"); v != "v w" || len(r.AddHost.Groups) != 2 {
		t.Errorf("%+v", r.AddHost)
	}
	b.vars["group_names"] = []any{"all", "os_Debian-12"}
	b.check("group_by", "key: os_Debian 12", "ok")
	r = b.check("group_by", "{key: other, parents: [p]}", "changed")
	if fmt.Sprint(r.AddHost.Groups) != "[other p]" || r.AddHost.Name != "guest" {
		t.Errorf("%+v", r.AddHost)
	}
}

func TestSetStats(t *testing.T) {
	b := newBench(t)
	for args, want := range map[string]string{
		"data: {n: 1}": `{"data":{"n":1},"per_host":false,"aggregate":true}`,
		"{data: {n: 1}, per_host: 'yes', aggregate: x}": `{"data":{"n":1},"per_host":true,"aggregate":false}`,
		"{}": `{"data":{},"per_host":false,"aggregate":true}`,
	} {
		v, _ := b.check("set_stats", args, "ok").Values.Get("ansible_stats")
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", args, got, err)
		}
	}
	b.check("set_stats", "data: [1]", "failed")
	b.check("set_stats", "data: {a-b: 1}", "failed")
}
