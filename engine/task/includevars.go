package task

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// varExtensions are those of files of variables.
var varExtensions = []string{"yaml", "yml", "json"}

// includeVars reads a file or folder of variables, and returns the files that it read.
func (p *play) includeVars(c *call) (vars *value.Dict, files []string, err error) {
	args, err := c.ownedArgs()
	if err != nil {
		return nil, nil, err
	}
	find := Folders(c.s.dirs(p.o.Project))
	if dir, ok := args.Get("dir"); ok {
		root, err := find.Find("vars", value.Text(dir))
		if err != nil {
			return nil, nil, err
		}
		if files, err = (&varFolder{root: root}).files(args); err != nil {
			return nil, nil, err
		}
		if c.s.role != nil { // the role has these already
			files = slices.DeleteFunc(files, func(f string) bool { return f == filepath.Join(c.s.role.dir, "vars", "main.yml") })
		}
	} else {
		name, _ := args.Get("file")
		path, err := find.Find("vars", value.Text(name))
		if st, serr := os.Stat(path); err == nil && (serr != nil || st.IsDir()) {
			err = fmt.Errorf("%s is no file", path)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", notFound, err)
		}
		files = []string{path}
	}
	vars = value.NewDict()
	for _, path := range files {
		d, err := ReadVars(path)
		if err != nil {
			return nil, nil, err
		}
		for k, v := range d.All() {
			vars.Set(k, v)
		}
	}
	if name, ok := args.Get("name"); ok && value.Text(name) != "" {
		vars = value.NewDict(value.Text(name), vars)
	}
	how, _ := args.Get("hash_behaviour")
	switch value.Text(how) {
	case "", "replace":
	case "merge":
		vars = c.merged(vars)
	default:
		return nil, nil, fmt.Errorf("hash_behaviour %q is neither replace nor merge", value.Text(how))
	}
	return vars, files, nil
}

// merged lays mappings over what the variables of their names hold already.
func (c *call) merged(vars *value.Dict) *value.Dict {
	out := value.NewDict()
	for k, v := range vars.All() {
		old, _ := c.vars.Raw(value.Text(k))
		below, ok := old.(*value.Dict)
		if above, is := v.(*value.Dict); ok && is {
			v = value.Merge(below, above)
		}
		out.Set(k, v)
	}
	return out
}

// varFolder is a folder of files of variables, and which of them are read.
type varFolder struct {
	root       string
	folders    int // how many, the first in order; 0 = all
	match      *regexp.Regexp
	ignore     []*regexp.Regexp
	extensions []string
	lenient    bool // other files are passed over rather than refused
}

// files lists the files as the arguments of include_vars say: folder by folder, sorted.
func (v *varFolder) files(args *value.Dict) ([]string, error) {
	if err := v.set(args); err != nil {
		return nil, err
	}
	var folders []string
	err := filepath.WalkDir(v.root, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(folders)
	if v.folders > 0 && v.folders < len(folders) {
		folders = folders[:v.folders]
	}
	var files []string
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			path := filepath.Join(folder, e.Name())
			if st, err := os.Stat(path); err != nil || st.IsDir() || !v.wants(e.Name()) {
				continue
			}
			switch ext := strings.TrimPrefix(filepath.Ext(path), "."); {
			case slices.Contains(v.extensions, ext):
				files = append(files, path)
			case !v.lenient:
				return nil, fmt.Errorf("%s does not have a valid extension: %s; ignore_unknown_extensions passes over such files", path, strings.Join(v.extensions, ", "))
			}
		}
	}
	return files, nil
}

func (v *varFolder) wants(name string) bool {
	return (v.match == nil || v.match.MatchString(name)) &&
		!slices.ContainsFunc(v.ignore, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}

// set reads the arguments.
func (v *varFolder) set(args *value.Dict) (err error) {
	v.extensions = varExtensions
	for k, raw := range args.All() {
		switch k {
		case "depth":
			var n int64
			n, err = value.ParseInt(raw)
			v.folders = int(n)
		case "files_matching":
			if raw != nil {
				v.match, err = regexp.Compile(value.Text(raw))
			}
		case "ignore_files":
			for _, pattern := range words(raw) {
				re, rerr := regexp.Compile("(?:" + pattern + ")$")
				if rerr != nil {
					return fmt.Errorf("ignore_files: %w", rerr)
				}
				v.ignore = append(v.ignore, re)
			}
		case "extensions":
			v.extensions = words(raw)
		case "ignore_unknown_extensions":
			v.lenient, err = value.ParseBool(raw)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", value.Text(k), err)
		}
	}
	return nil
}

// words is a list of texts, or text with blanks or commas between them.
func words(v any) []string {
	list, ok := v.([]any)
	if !ok {
		return strings.FieldsFunc(value.Text(v), func(r rune) bool { return r == ' ' || r == ',' })
	}
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = value.Text(x)
	}
	return out
}

// ReadVars reads a YAML or JSON file that holds a mapping of variables; an empty file has none.
func ReadVars(path string) (*value.Dict, error) {
	text, err := source.ReadText(path)
	if err != nil {
		return nil, err
	}
	f, err := source.Parse(path, text)
	if err != nil {
		return nil, err
	}
	v, err := value.FromNode(f, f.Root)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return value.NewDict(), nil
	}
	d, ok := v.(*value.Dict)
	if !ok {
		return nil, source.Errorf(source.Pos{File: path, Line: 1, Col: 1}, "variables are a mapping, not %s", strings.TrimPrefix(value.Kind(v), "a "))
	}
	return d, nil
}
