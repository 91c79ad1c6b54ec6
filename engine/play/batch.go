package play

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// orders are the values of the keyword order.
var orders = []string{"inventory", "reverse_inventory", "sorted", "reverse_sorted"}

// freely reports whether a strategy has each host go at its own pace.
func freely(strategy any, pos source.Pos) (bool, error) {
	switch strings.TrimPrefix(value.Text(strategy), "ansible.builtin.") {
	case "linear", "":
		return false, nil
	case "free", "host_pinned":
		return true, nil
	}
	return false, &source.Error{Pos: pos, What: fmt.Sprintf("there is no strategy %q", value.Text(strategy)), Hint: "linear, free or host_pinned"}
}

// ordered is the name of an order of hosts.
func ordered(order any, pos source.Pos) (string, error) {
	text := value.Text(order)
	if order != nil && !slices.Contains(orders, text) {
		return "", &source.Error{Pos: pos, What: fmt.Sprintf("there is no order %q", text), Hint: strings.Join(orders, ", ")}
	}
	return text, nil
}

// arrange puts hosts in the order that a play asks for.
func arrange(hosts []string, order string) []string {
	hosts = slices.Clone(hosts)
	if strings.HasSuffix(order, "sorted") {
		slices.Sort(hosts)
	}
	if strings.HasPrefix(order, "reverse") {
		slices.Reverse(hosts)
	}
	return hosts
}

// batches cuts hosts into batches of the given sizes, the last of which counts for all
// that follow.
func batches(hosts []string, sizes []any) ([][]string, error) {
	if len(sizes) == 0 {
		return [][]string{hosts}, nil
	}
	var out [][]string
	total := len(hosts)
	for i := 0; len(hosts) > 0; i++ {
		n, err := batchSize(sizes[min(i, len(sizes)-1)], total)
		if err != nil {
			return nil, fmt.Errorf("serial: %w", err)
		}
		if n == 0 || n > len(hosts) {
			n = len(hosts)
		}
		out = append(out, hosts[:n])
		hosts = hosts[n:]
	}
	return out, nil
}

// batchSize is a number of hosts, or a share of total such as "30%", at least 1 then; 0
// means all.
func batchSize(v any, total int) (int, error) {
	text := value.Text(v)
	if share, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.ParseFloat(share, 64)
		if err != nil || n < 0 || n > 100 {
			return 0, fmt.Errorf("%q is no share of hosts", text)
		}
		return max(1, int(n*float64(total)/100)), nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is neither a number of hosts nor a share such as \"30%%\"", text)
	}
	return n, nil
}

// percent reads a share in percent, with or without the sign.
func percent(v any) (float64, error) {
	text := strings.TrimSuffix(value.Text(v), "%")
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n > 100 {
		return -1, fmt.Errorf("%q is not between 0 and 100", value.Text(v))
	}
	return n, nil
}
