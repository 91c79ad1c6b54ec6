package expr

import "maps"

// filters is the table of all filters by name, one part a theme.
func filters() map[string]function {
	all := map[string]function{}
	for _, part := range []map[string]function{
		basicFilters(), numberFilters(), textFilters(), listFilters(), selectFilters(),
		dictFilters(), pathFilters(), dataFilters(), hashFilters(), timeFilters(), regexFilters(),
	} {
		maps.Copy(all, part)
	}
	return all
}

func regexFilters() map[string]function {
	return map[string]function{
		"regex_replace": regexReplace, "regex_search": regexSearch,
		"regex_findall": regexFindall, "regex_escape": regexEscape,
	}
}
