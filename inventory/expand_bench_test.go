package inventory

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func benchText(n int) string {
	var b strings.Builder
	b.WriteString("all:\n  hosts:\n    localhost:\n      config:\n        permutations:\n          targets: [t1, t2, t3, t4]\n          platforms:\n")
	for i := range n / 4 {
		fmt.Fprintf(&b, "            - p%d\n", i)
	}
	b.WriteString("targets:\n")
	for i := range 4 {
		fmt.Fprintf(&b, "  t%d: {arch: x86_64, machine: q35}\n", i+1)
	}
	b.WriteString("platforms:\n")
	for i := range n / 4 {
		fmt.Fprintf(&b, "  p%d: {extends: debian_12, ram: %d}\n", i, 512+i)
	}
	return b.String()
}

func benchmarkExpand(b *testing.B, n int) {
	dir := write(b, map[string]string{"inventory.yaml": benchText(n)})
	b.ReportAllocs()
	for b.Loop() {
		inv, err := Load(filepath.Join(dir, "inventory.yaml"), Options{})
		if err != nil {
			b.Fatal(err)
		}
		vms, err := inv.Expand(context.Background(), ExpandOptions{})
		if err != nil || len(vms) != n {
			b.Fatal(len(vms), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/VM")
}

func BenchmarkExpand10000(b *testing.B) { benchmarkExpand(b, 10_000) }

func BenchmarkExpand100000(b *testing.B) { benchmarkExpand(b, 100_000) }

// BenchmarkExpandRatio reports how many times longer ten times as many VMs take; 10 is linear.
func BenchmarkExpandRatio(b *testing.B) {
	expand := func(n int) time.Duration {
		dir := write(b, map[string]string{"inventory.yaml": fmt.Sprintf("all: {hosts: {localhost: {config: {list: [{platform: p1, target: t1, count: %d}]}}}}\n", n) + someDefinitions})
		start := time.Now()
		inv, err := Load(filepath.Join(dir, "inventory.yaml"), Options{})
		if err != nil {
			b.Fatal(err)
		}
		vms, err := inv.Expand(context.Background(), ExpandOptions{})
		if err != nil || len(vms) != n {
			b.Fatal(len(vms), err)
		}
		return time.Since(start)
	}
	for b.Loop() {
		small, large := expand(10_000), expand(100_000)
		b.ReportMetric(small.Seconds(), "s/10000")
		b.ReportMetric(large.Seconds(), "s/100000")
		b.ReportMetric(large.Seconds()/small.Seconds(), "ratio")
	}
}
