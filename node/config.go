// SPDX-License-Identifier: Apache-2.0

// Package node is the shmem node-type: its configuration and its life.
package node

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
	"github.com/villas-ext/villas-ext/shmem"
)

// Config is the settings of one shmem node.
type Config struct {
	Node      string   // name of the node in `nodes`, or empty
	Name      string   // of the shared memory object, with a leading '/'
	QueueLen  int      // elements, default 512
	SampleLen int      // values, default 64
	Polling   bool     // default false
	Exec      []string // external program and its arguments; none if empty
}

// Region is the part of c that describes the region.
func (c *Config) Region() shmem.Config {
	samplelen := c.SampleLen
	if samplelen == 0 {
		samplelen = -1
	}
	return shmem.Config{QueueLen: c.QueueLen, SampleLen: samplelen, Polling: c.Polling}
}

// Load reads the configuration file at path, in libconfig's syntax: a group
// `nodes` of which the nodes of type "shmem" count, or bare settings of one node.
// It returns at least one, or an error that joins all that is wrong, each as
// `FILE:LINE: SETTING: what is wrong, what is allowed`.
func Load(path string) ([]Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, string(b))
}

// Parse is [Load] for text that is called file in errors.
func Parse(file, text string) ([]Config, error) {
	tree, err := parser.ParseString(file, text)
	if err != nil {
		var syntax participle.Error
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("%s:%d:%d: %s", file, syntax.Position().Line, syntax.Position().Column, syntax.Message())
		}
		return nil, err
	}
	r := &reader{file: file}
	var nodes []Config
	for _, s := range tree.List {
		if s.Name == "nodes" && s.Value.Group != nil {
			for _, n := range s.Value.Group.List {
				if c, ok := r.node(n); ok {
					nodes = append(nodes, c)
				}
			}
			tree = nil
			break
		}
	}
	if tree != nil {
		nodes = append(nodes, r.settings("", tree, lexer.Position{Line: 1}))
	}
	if len(r.wrong) == 0 && len(nodes) == 0 {
		r.fault(lexer.Position{Line: 1}, "nodes", `there is no node of type "shmem"`)
	}
	return nodes, errors.Join(r.wrong...)
}

// reader collects all that is wrong with a file.
type reader struct {
	file  string
	wrong []error
}

func (r *reader) fault(at lexer.Position, setting, format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Errorf("%s:%d: %s: %s", r.file, at.Line, setting, fmt.Sprintf(format, args...)))
}

// node reads an entry of `nodes`; false if it is of another type.
func (r *reader) node(s *setting) (Config, bool) {
	if s.Value.Group == nil {
		r.fault(s.Pos, s.Name, "must be a group { ... }, is %s", s.Value.kind())
		return Config{}, false
	}
	for _, inner := range s.Value.Group.List {
		if inner.Name == "type" {
			if t, err := inner.Value.text(); err == nil && t == "shmem" {
				return r.settings(s.Name, s.Value.Group, s.Pos), true
			}
			return Config{}, false
		}
	}
	r.fault(s.Pos, s.Name, `has no type; a shmem node has type = "shmem"`)
	return Config{}, false
}

var known = []string{"type", "name", "queuelen", "samplelen", "polling", "exec"}

func (r *reader) settings(node string, group *settings, at lexer.Position) Config {
	c := Config{Node: node, QueueLen: shmem.DefaultQueueLen, SampleLen: shmem.DefaultSampleLen}
	seen := map[string]bool{}
	for _, s := range group.List {
		if seen[s.Name] {
			r.fault(s.Pos, s.Name, "is set twice")
		}
		seen[s.Name] = true
		switch s.Name {
		case "type":
			if t, err := s.Value.text(); err != nil || t != "shmem" {
				r.fault(s.Pos, s.Name, `must be "shmem"`)
			}
		case "name":
			c.Name = r.name(s)
		case "queuelen":
			c.QueueLen = r.integer(s, 1, shmem.MaxQueueLen)
		case "samplelen":
			c.SampleLen = r.integer(s, 0, shmem.MaxSampleLen)
		case "polling":
			if s.Value.Bool == nil {
				r.fault(s.Pos, s.Name, "must be true or false, is %s", s.Value.kind())
			} else {
				c.Polling = strings.EqualFold(*s.Value.Bool, "true")
			}
		case "exec":
			c.Exec = r.strings(s)
		default:
			r.fault(s.Pos, s.Name, "unknown setting%s; known are %s", suggest(s.Name), strings.Join(known, ", "))
		}
	}
	if !seen["name"] {
		r.fault(at, "name", "is required: the name of the shared memory object, such as \"/villas1\"")
	}
	return c
}

func (r *reader) name(s *setting) string {
	name, err := s.Value.text()
	switch {
	case s.Value.Text == nil || err != nil:
		r.fault(s.Pos, s.Name, "must be a string, is %s", s.Value.kind())
	case !strings.HasPrefix(name, "/") || len(name) < 2:
		r.fault(s.Pos, s.Name, "must start with '/' and go on, is %q", name)
	case strings.Contains(name[1:], "/"):
		r.fault(s.Pos, s.Name, "must have no second '/', is %q", name)
	case len(name) > 256:
		r.fault(s.Pos, s.Name, "must be at most 255 bytes behind the '/', is %d", len(name)-1)
	}
	return name
}

func (r *reader) integer(s *setting, low, high int64) int {
	if s.Value.Int == nil {
		r.fault(s.Pos, s.Name, "must be an integer, is %s", s.Value.kind())
		return int(low)
	}
	n, err := s.Value.number()
	if err != nil {
		r.fault(s.Pos, s.Name, "must be %d to %d, is %s", low, high, *s.Value.Int)
	} else if n < low {
		r.fault(s.Pos, s.Name, "must be at least %d, is %d", low, n)
	} else if n > high {
		r.fault(s.Pos, s.Name, "must be at most %d, is %d", high, n)
	}
	return int(n)
}

func (r *reader) strings(s *setting) (all []string) {
	list := s.Value.Array
	if list == nil {
		list = s.Value.Listed
	}
	if list == nil || len(list.List) == 0 {
		r.fault(s.Pos, s.Name, `must be an array of strings, such as [ "program", "argument" ]`)
		return nil
	}
	for i, v := range list.List {
		text, err := v.text()
		if v.Text == nil || err != nil {
			r.fault(v.Pos, s.Name, "element %d must be a string, is %s", i+1, v.kind())
		}
		all = append(all, text)
	}
	return all
}

// suggest names the known setting that is nearest to a misspelt one.
func suggest(name string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// distance is Levenshtein's, by rows.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
