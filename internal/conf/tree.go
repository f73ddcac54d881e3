// SPDX-License-Identifier: Apache-2.0

// Package conf reads configuration files in libconfig's syntax, JSON and YAML
// into one tree, in which each value knows where it stands.
package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Pos is a place in a file. Line and column count from 1, columns in bytes.
type Pos struct {
	File         string
	Line, Column int
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Kind is the type of a value.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	Group // NAME = VALUE, any number of them
	List  // values in an order
)

// String is what people call it.
func (k Kind) String() string {
	return [...]string{"empty", "a boolean", "an integer", "a float", "a string", "a group", "a list"}[k]
}

// A Value is one value of a file.
type Value struct {
	Pos
	Kind     Kind
	Bool     bool
	Int      int64
	TooLarge bool   // an integer that Int has no room for
	Text     string // a string's text; a number as it was written
	Settings []Setting
	Elements []*Value
}

// A Setting is an entry of a group. Its position is that of the name.
type Setting struct {
	Pos
	Name  string
	Value *Value
}

// Get returns the first setting of the group called name.
func (v *Value) Get(name string) (Setting, bool) {
	for _, s := range v.Settings {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}

// An Error is a fault in a file's syntax.
type Error struct {
	Pos
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("%v: %s", e.Pos, e.Text) }

func errorAt(at Pos, format string, args ...any) error {
	return &Error{at, fmt.Sprintf(format, args...)}
}

// Load reads the file at path; its name tells the syntax, see [Parse].
func Load(path string) (*Value, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text, os.ReadFile)
}

// Parse reads the text of the file called file: JSON if the name ends in .json,
// YAML for .yaml and .yml, else libconfig's syntax, whose includes are read by
// include. The value it returns is a group. An error is an [*Error].
func Parse(file string, text []byte, include func(path string) ([]byte, error)) (root *Value, err error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".json":
		root, err = parseJSON(file, text)
	case ".yaml", ".yml":
		root, err = parseYAML(file, text)
	default:
		root, err = parseLibconfig(file, text, include)
	}
	if err == nil && root.Kind != Group {
		return nil, errorAt(root.Pos, "the file must be a group of settings, is %v", root.Kind)
	}
	return root, err
}

// maxDepth is how deep values may stand in each other.
const maxDepth = 64
