package inventory

// Select lists those of hosts that a host pattern selects, as Inventory.Hosts does; groups
// are the members of each group, which are among hosts. "localhost" is always there.
func Select(pattern string, hosts []string, groups map[string][]string) ([]string, error) {
	u := &universe{groups: make(map[string][]int, len(groups))}
	index := make(map[string]int, len(hosts))
	for i, name := range hosts {
		index[name] = i
		u.names = append(u.names, []string{name})
	}
	for name, members := range groups {
		var items []int
		for _, m := range members {
			if i, known := index[m]; known {
				items = append(items, i)
			}
		}
		u.groups[name] = items
	}
	items, err := u.sel(pattern)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = hosts[item]
	}
	if len(out) == 0 && pattern == "localhost" {
		out = []string{"localhost"}
	}
	return out, nil
}
