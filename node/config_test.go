// SPDX-License-Identifier: Apache-2.0

package node

import (
	"reflect"
	"strings"
	"testing"
)

func TestSettingsAreReadInAllOfLibconfigsWays(t *testing.T) {
	for _, text := range []string{
		`name = "/villas1" queuelen = 0x200 samplelen : 004L; polling = TRUE, exec = [ "a", "b c" ]`,
		"nodes = {\n other = { type = \"socket\" }\n // one\n sim = { type = \"shmem\", # two\n name = \"/vil\" \"las1\"; /* three\n */ queuelen = 512; samplelen = 4; polling = true; exec = (\"a\", \"b c\",) };\n};\npaths = ( )",
	} {
		nodes, err := Parse("x.conf", text)
		if err != nil {
			t.Fatal(err)
		}
		want := Config{Node: nodes[0].Node, Name: "/villas1", QueueLen: 512, SampleLen: 4, Polling: true, Exec: []string{"a", "b c"}}
		if len(nodes) != 1 || !reflect.DeepEqual(nodes[0], want) {
			t.Errorf("%s\n%+v", text, nodes)
		}
	}
	nodes, err := Parse("x.conf", `name = "/v"`)
	if want := (Config{Name: "/v", QueueLen: 512, SampleLen: 64}); err != nil || !reflect.DeepEqual(nodes[0], want) {
		t.Error(nodes, err)
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	for text, want := range map[string][]string{
		"name = \"villas\"\nqueuelen = 0\nsamplelen = \"4\"\npolling = 1\nexec = \"a\"\nquelen = 3": {
			`x.conf:1: name: must start with '/' and go on, is "villas"`,
			"x.conf:2: queuelen: must be at least 1, is 0",
			"x.conf:3: samplelen: must be an integer, is a string",
			"x.conf:4: polling: must be true or false, is an integer",
			`x.conf:5: exec: must be an array of strings, such as [ "program", "argument" ]`,
			`x.conf:6: quelen: unknown setting, did you mean "queuelen"?; known are type, name, queuelen, samplelen, polling, exec`,
		},
		"queuelen = 4":                        {`x.conf:1: name: is required: the name of the shared memory object, such as "/villas1"`},
		"name = \"/a/b\"; queuelen = 1e3":     {`x.conf:1: name: must have no second '/', is "/a/b"`, "x.conf:1: queuelen: must be an integer, is a float"},
		"nodes = { a = { type = \"file\" } }": {`x.conf:1: nodes: there is no node of type "shmem"`},
		"name = \n=":                          {`x.conf:2:1: unexpected token "="`},
		"name = \"/a\"; queuelen = 99999999999": {
			"x.conf:1: queuelen: must be at most 2147483647, is 99999999999"},
		"name = \"/a\"; exec = [ 1, \"b\" ]; name = \"/b\"": {
			"x.conf:1: exec: element 1 must be a string, is an integer", "x.conf:1: name: is set twice"},
	} {
		_, err := Parse("x.conf", text)
		if err == nil {
			t.Errorf("%s: accepted", text)
			continue
		}
		got := strings.Split(err.Error(), "\n")
		for i, w := range want {
			if i >= len(got) || !strings.HasPrefix(got[i], w) {
				t.Errorf("%s:\n got %q\nwant %q", text, got, want)
				break
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`nodes = { a = { type = "shmem", name = "/x", exec = [ "b" ] } }`)
	f.Add(`name : "/x\n" "y"; queuelen = -0x7fL`)
	f.Fuzz(func(t *testing.T, text string) {
		nodes, err := Parse("x", text)
		if err == nil && len(nodes) == 0 {
			t.Error("neither nodes nor an error")
		}
	})
}
