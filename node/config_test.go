// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/villas-ext/villas-ext/internal/conf"
)

func TestTheThreeSyntaxesSayTheSame(t *testing.T) {
	want := Config{Node: "sim", Name: "/villas1", QueueLen: 512, SampleLen: 4, Polling: true, Exec: []string{"a", "b c"}}
	for file, text := range map[string]string{
		"a.conf": "nodes = {\n other = { type = \"socket\" }\n // one\n sim = { type = \"shmem\", # two\n name = \"/vil\" \"las1\"; /* three\n */ " +
			"queuelen : 0x200 samplelen = 004L; polling = TRUE; exec = (\"a\", \"b c\",) };\n};\npaths = ( )",
		"b.JSON": `{"nodes": {"sim": {"type": "shmem", "name": "/villas1", "samplelen": 4, "mode": "polling", "exec": ["a", "b c"]}, "x": {"type": "file"}}, "http": {}}`,
		"c.yaml": "base: &base\n  samplelen: 4\n  polling: false\nnodes:\n  sim:\n    <<: *base\n    type: shmem\n    name: !!str /villas1\n    polling: true\n    exec: [a, 'b c']\n",
		"d.yml":  `{nodes: {sim: {type: shmem, name: "/villas1", queuelen: 0x200, samplelen: 4, mode: polling, exec: ["a", "b\x20c"]}}}`,
	} {
		f, err := Parse(file, text)
		if err != nil {
			t.Error(err)
		} else if len(f.Nodes) != 1 || !reflect.DeepEqual(f.Nodes[0], want) {
			t.Errorf("%s: %+v", file, f.Nodes)
		}
	}
}

func TestDefaultsAndAllSettings(t *testing.T) {
	f, err := Parse("x.conf", `name = "/v"`)
	if want := []Config{{Name: "/v", QueueLen: 512, SampleLen: 64}}; err != nil || !reflect.DeepEqual(f.Nodes, want) {
		t.Error(f, err)
	}
	f, err = Parse("x.conf", `type = "shmem" name = "/v" queuelen = 1 samplelen = 0 polling = false mode = "pthread" exec = [ "a" ]
		legacy = false permissions = "660" group = 100 lock_memory = true spin = 0`)
	want := []Config{{Name: "/v", QueueLen: 1, Exec: []string{"a"}, NoLegacy: true, Permissions: 0o660, Group: 100, LockMemory: true, Spin: -1}}
	if err != nil || !reflect.DeepEqual(f.Nodes, want) {
		t.Error(f, err)
	}
	if c := f.Nodes[0].Region(); c.SampleLen != -1 || c.Mode != 0o660 || !c.NoLegacy || c.Spin != -1 {
		t.Errorf("%+v", c)
	}
}

func TestSettingsOfVILLASnodeThatHaveNoUseAreWarnings(t *testing.T) {
	f, err := Parse("x.conf", "nodes = { a = { type = \"shmem\", name = \"/v\"\nhooks = ( )\nin = { signals = ( ) } } }\nnode = 1")
	want := []string{
		`x.conf:4: node: is no setting of VILLASnode (did you mean "nodes"?): not used`,
		"x.conf:2: hooks: is a setting of VILLASnode that has no use here",
		"x.conf:3: in: is a setting of VILLASnode that has no use here",
	}
	if err != nil || f.Warnings.Error() != strings.Join(want, "\n") {
		t.Errorf("%v\n%v", err, f.Warnings)
	}
}

const list = "known are type, name, queuelen, samplelen, polling, mode, exec, legacy, permissions, group, lock_memory, spin"

// bad are faulty files with all that is said of them. The schema finds the same
// files wrong, but for those of which hidden says why it cannot.
var bad = []struct{ file, text, want, hidden string }{
	{"x.conf", "", `x.conf:1: name: is required: the name of the shared memory object, such as "/villas1"`, ""},
	{"x.conf", "name = \"villas\"\nqueuelen = 0\nsamplelen = \"4\"\npolling = 1\nexec = \"a\"\nquelen = 3\nhoks = 1", `x.conf:1: name: must start with '/' and go on, is "villas"
x.conf:2: queuelen: must be at least 1, is 0
x.conf:3: samplelen: must be an integer, is a string
x.conf:4: polling: must be true or false, is an integer
x.conf:5: exec: must be an array of strings, such as [ "program", "argument" ], is a string
x.conf:6: quelen: unknown setting (did you mean "queuelen"?); ` + list + `
x.conf:7: hoks: unknown setting (did you mean "hooks"?); ` + list, ""},
	{"x.conf", `name = 5`, "x.conf:1: name: must be a string, is an integer", ""},
	{"x.conf", `name = "/"`, `x.conf:1: name: must start with '/' and go on, is "/"`, ""},
	{"x.conf", `name = "/a/b"; queuelen = 1e3`, `x.conf:1: name: must have no second '/', is "/a/b"
x.conf:1: queuelen: must be an integer, is a float`, ""},
	{"x.conf", `name = "/.."`, `x.conf:1: name: must be a file's name behind the '/', is "/.."`, ""},
	{"x.conf", `name = "/a\x00"`, `x.conf:1: name: must be a file's name behind the '/', is "/a\x00"`, ""},
	{"x.conf", `name = "/` + strings.Repeat("n", 256) + `"`, "x.conf:1: name: must be at most 255 bytes behind the '/', is 256", ""},
	{"x.conf", `name = "/a"; queuelen = 99999999999`, "x.conf:1: queuelen: must be at most 2147483647, is 99999999999", ""},
	{"x.conf", `name = "/a"; samplelen = 99999999999999999999`, "x.conf:1: samplelen: must be 0 to 2147483647, is 99999999999999999999", ""},
	{"x.conf", `name = "/a"; samplelen = -1`, "x.conf:1: samplelen: must be at least 0, is -1", ""},
	{"x.conf", "name = \"/a\"\nqueuelen = 2147483647; samplelen = 2147483647",
		"x.conf:2: queuelen: a region for 2147483647 samples of 2147483647 values is too large", "each length alone is fine"},
	{"x.conf", "name = \"/a\"; exec = [\n1, \"b\"\n]", "x.conf:2: exec: element 1 must be a string, is an integer", ""},
	{"x.conf", `name = "/a"; exec = [ "" ]`, "x.conf:1: exec: element 1 must be a program, is empty", ""},
	{"x.conf", `name = "/a"; exec = [ "a", "\x00" ]`, "x.conf:1: exec: element 2 must have no NUL byte", ""},
	{"x.conf", `name = "/a"; exec = [ ]`, `x.conf:1: exec: must be an array of strings, such as [ "program", "argument" ], is empty`, ""},
	{"x.conf", "name = \"/a\";\nname = \"/b\"", "x.conf:2: name: is set twice, at first in x.conf:1", "the second hides the first"},
	{"x.conf", `name = "/a"; type = "socket"`, `x.conf:1: type: must be "shmem", is "socket"`, ""},
	{"x.conf", `name = "/a"; mode = "signalled"`, `x.conf:1: mode: must be "pthread" or "polling", is "signalled"`, ""},
	{"x.conf", `name = "/a"; mode = 2`, `x.conf:1: mode: must be "pthread" or "polling", is an integer`, ""},
	{"x.conf", `name = "/a"; polling = true; mode = "pthread"`, `x.conf:1: mode: contradicts polling = true: give one of the two`, "each alone is fine"},
	{"x.conf", `name = "/a"; legacy = "no"`, "x.conf:1: legacy: must be true or false, is a string", ""},
	{"x.conf", `name = "/a"; permissions = 0660`, `x.conf:1: permissions: must be a string of octal digits: "0600", or "0660" to share with a group, "0666" with all (4: may only look), is an integer`, ""},
	{"x.conf", `name = "/a"; permissions = "0466"`, `x.conf:1: permissions: must be a string of octal digits: "0600", or "0660" to share with a group, "0666" with all (4: may only look), is "0466"`, ""},
	{"x.conf", `name = "/a"; group = "no such group"`, `x.conf:1: group: there is no group "no such group" on this machine`, "groups are the machine's"},
	{"x.conf", `name = "/a"; group = true`, "x.conf:1: group: must be a group's name or number, is a boolean", ""},
	{"x.conf", `name = "/a"; group = -1`, "x.conf:1: group: must be at least 1, is -1", ""},
	{"x.conf", `name = "/a"; lock_memory = 1`, "x.conf:1: lock_memory: must be true or false, is an integer", ""},
	{"x.conf", `name = "/a"; spin = 1.5`, "x.conf:1: spin: must be an integer, is a float", ""},
	{"x.conf", `name = "/a"; spin = 1000001`, "x.conf:1: spin: must be at most 1000000, is 1000001", ""},
	{"x.conf", "in = { name = \"/b\" }\nout = { name = \"/a\" }", `x.conf:1: in: in.name and out.name are the pair of objects of VILLASnode 1.x, one for each direction; this node has one object for both: give its name as name = "/villas1"`, ""},
	{"x.conf", "nodes = { a = { type = \"file\" } }", `x.conf:1: nodes: there is no node of type "shmem"`, "there may be none"},
	{"x.conf", "nodes = { a = { type = \"shmem\", name = \"/a\" }\n b = { name = \"/b\" }\n c = 1\n d = { type = 1 } }", `x.conf:2: b: has no type; a shmem node has type = "shmem"
x.conf:3: c: must be a group { ... }, is an integer
x.conf:4: type: must be a string, is an integer`, ""},
	{"x.conf", "nodes = [ ]", `x.conf:1: nodes: must be a group { NODE = { type = "shmem", ... } }, is a list`, ""},
	{"x.conf", "node = { name = \"/a\" }", `x.conf:1: node: unknown setting (did you mean "mode"?); ` + list + `
x.conf:1: name: is required: the name of the shared memory object, such as "/villas1"`, ""},
	{"x.yaml", "name: /a\npolling: yes\nexec:\n", `x.yaml:2: polling: must be true or false, is a string
x.yaml:3: exec: must be an array of strings, such as [ "program", "argument" ], is empty`, ""},
	{"x.yaml", "name: /a\nqueuelen: 18446744073709551615", `x.yaml:2: queuelen: must be 1 to 2147483647, is 18446744073709551615`, ""},
	{"x.json", "{\"name\": \"/a\",\n\"queuelen\": 512.0, \"exec\": null,\n\"samplelen\": 5e1}", `x.json:2: queuelen: must be an integer, is a float
x.json:2: exec: must be an array of strings, such as [ "program", "argument" ], is empty
x.json:3: samplelen: must be an integer, is a float`, ""},
}

var malformed = []struct{ file, text, want string }{
	{"x.conf", "name = \n=", `x.conf:2:1: unexpected "="` + isSetting},
	{"x.conf", "name", `x.conf:1:5: unexpected end of the file` + isSetting},
	{"x.conf", "a = { b = 1", `x.conf:1:12: unexpected end of the file` + isSetting},
	{"x.conf", "a = ( 1 ]", `x.conf:1:9: unexpected "]"` + isSetting},
	{"x.conf", "a = 1\n\"b\" = 2", `x.conf:2:1: unexpected "\"b\""` + isSetting},
	{"x.conf", "a = \"b", `x.conf:1:5: the string is not closed`},
	{"x.conf", "a = 1 /* b", `x.conf:1:7: the comment is not closed`},
	{"x.conf", "\n  @include shmem.conf", `x.conf:2:3: @include must be followed by a file's name in quotes`},
	{"x.conf", "@include \"/there/is/none\"", `x.conf:1:1: @include: open /there/is/none: no such file or directory`},
	{"x.conf", "a = $", `x.conf:1:5: unexpected text "$"`},
	{"x.conf", "a = " + strings.Repeat("(", 100), `x.conf:1:69: nested deeper than 64 levels`},
	{"x.json", "[1]", `x.json:1:1: the file must be a group of settings, is a list`},
	{"x.json", "{\"a\": 1,\n}", `x.json:2:1: invalid character '}' looking for beginning of object key string`},
	{"x.json", "{\"a\": 1\n", `x.json:2:1: unexpected end of the file`},
	{"x.json", "{} {}", `x.json:1:4: there must be nothing behind the group`},
	{"x.json", strings.Repeat(`{"a":`, 100), `x.json:1:321: nested deeper than 64 levels`},
	{"x.yaml", "a: [1", `x.yaml:1:4: sequence end token ']' not found`},
	{"x.yaml", "a: *b", `x.yaml:1:4: there is no anchor &b before it`},
	{"x.yaml", "a: 1\n---\nb: 2", `x.yaml:3:2: there must be one document in the file`},
	{"x.yaml", "- 1", `x.yaml:1:1: the file must be a group of settings, is a list`},
	{"x.yaml", strings.Repeat("[", 100) + strings.Repeat("]", 100), "x.yaml:1:66: nested deeper than 64 levels"},
}

const isSetting = ` (a setting is NAME = VALUE, a group { ... }, an array [ ... ], a list ( ... ), a string "...")`

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	for _, c := range bad {
		if _, err := Parse(c.file, c.text); err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
	for _, c := range malformed {
		if _, err := Parse(c.file, c.text); err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

// plain is a value as JSON's types.
func plain(v *conf.Value) any {
	switch v.Kind {
	case conf.Bool:
		return v.Bool
	case conf.Int:
		if !v.TooLarge {
			return v.Int
		}
		return json.Number(v.Text)
	case conf.Float:
		return json.Number(v.Text)
	case conf.String:
		return v.Text
	case conf.Group:
		m := map[string]any{}
		for _, s := range v.Settings {
			m[s.Name] = plain(s.Value)
		}
		return m
	case conf.List:
		l := []any{}
		for _, e := range v.Elements {
			l = append(l, plain(e))
		}
		return l
	}
	return nil
}

func TestTheSchemaJudgesAsTheParser(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../etc/shmem.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	examples, _ := filepath.Glob("../etc/*.conf")
	more, _ := filepath.Glob("../etc/*.[yj][as][mo][ln]")
	for _, file := range append(examples, more...) {
		if strings.Contains(file, ".schema.") || strings.Contains(file, "-settings") || strings.Contains(file, "villasnode") {
			continue
		}
		if _, err := Load(file); err != nil {
			t.Error(err)
		}
		tree, err := conf.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(plain(tree)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if len(examples) < 2 || len(more) < 2 {
		t.Error("examples are missing:", examples, more)
	}
	for _, c := range bad {
		tree, err := conf.Parse(c.file, []byte(c.text), os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(plain(tree)); (err == nil) != (c.hidden != "") {
			t.Errorf("%s\nthe schema says %v, hidden: %q", c.text, err, c.hidden)
		}
	}
}

func TestIncludedFilesAreReadWhereTheyStand(t *testing.T) {
	dir := t.TempDir()
	write := func(file, text string) {
		t.Helper()
		path := filepath.Join(dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	write("a.conf", "nodes = {\n\t@include \"more/b.conf\"\n}\n")
	write("more/b.conf", "b = { type = \"shmem\"\n@include \"c.conf\"\nexec = [ @include \"d.conf\"\n ] }")
	write("more/c.conf", "name = \"/v\" # no end of the line")
	write("more/d.conf", `"x", "y"`)
	f, err := Load(filepath.Join(dir, "a.conf"))
	if err != nil || f.Nodes[0].Name != "/v" || !reflect.DeepEqual(f.Nodes[0].Exec, []string{"x", "y"}) {
		t.Error(f, err)
	}
	write("more/c.conf", "name = \"/v\"\nqueuelen = \"3\"")
	if _, err = Load(filepath.Join(dir, "a.conf")); err == nil || err.Error() != filepath.Join(dir, "more/c.conf")+":2: queuelen: must be an integer, is a string" {
		t.Error(err)
	}
	write("more/c.conf", "\n@include \"../a.conf\"")
	_, err = Load(filepath.Join(dir, "a.conf"))
	if want := strings.ReplaceAll("D/more/c.conf:2:1: @include: the files include each other: D/a.conf -> D/more/b.conf -> D/more/c.conf -> D/a.conf", "D", dir); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestTheExamplesOfTheDocumentationAreRight(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(conf|yaml|json)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	for _, b := range blocks {
		if f, err := Parse("configuration.md."+b[1], b[2]); err != nil || f.Nodes[0].Name != "/villas1" {
			t.Errorf("%v\n%s", err, b[2])
		}
	}
	if len(blocks) != 4 {
		t.Errorf("there are %d examples", len(blocks))
	}
	for _, name := range append(slices.Clone(knownNames), unused...) {
		if name != "type" && !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range bad {
		f.Add(c.file, c.text)
	}
	for _, c := range malformed {
		f.Add(c.file, c.text)
	}
	f.Add("x.conf", `nodes = { a = { type = "shmem", name = "/x", exec = [ "b" ] } }`)
	f.Add("x.conf", `name : "/x\n\x41" "y"; queuelen = -0x7fL; samplelen = 0b1`)
	f.Add("x.yaml", "a: &a [1]\nb: *a\n<<: {c: !!str 5}\nd: |\n  text\n")
	f.Fuzz(func(t *testing.T, file, text string) {
		none := func(string) ([]byte, error) { return nil, os.ErrNotExist }
		parsed, err := read(conf.Parse(file, []byte(text), none))
		if err == nil && len(parsed.Nodes) == 0 {
			t.Error("neither nodes nor an error")
		}
		var faults Faults
		if err != nil && !errors.As(err, &faults) {
			t.Errorf("a fault without its place: %v", err)
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+1 {
				t.Errorf("there is no line of %q", fault)
			}
		}
	})
}
