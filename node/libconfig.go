// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strconv"
	"strings"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// libconfig's grammar (hyperrealm.github.io/libconfig, "Configuration Files"):
// settings NAME = VALUE or NAME : VALUE, each optionally ended by ';' or ','.

type settings struct {
	List []*setting `parser:"@@*"`
}

type setting struct {
	Pos   lexer.Position
	Name  string `parser:"@Name ('='|':')"`
	Value *value `parser:"@@ (';'|',')?"`
}

type value struct {
	Pos    lexer.Position
	Bool   *string   `parser:"@Bool"`
	Float  *string   `parser:"| @Float"`
	Int    *string   `parser:"| @Int"`
	Text   []string  `parser:"| @String+"`
	Group  *settings `parser:"| '{' @@ '}'"`
	Array  *values   `parser:"| '[' @@ ']'"`
	Listed *values   `parser:"| '(' @@ ')'"`
}

type values struct {
	List []*value `parser:"(@@ (',' @@)*)? ','?"`
}

var parser = participle.MustBuild[settings](
	participle.Lexer(lexer.MustSimple([]lexer.SimpleRule{
		{Name: "comment", Pattern: `#[^\n]*|//[^\n]*|/\*([^*]|\*+[^*/])*\*+/`},
		{Name: "space", Pattern: `\s+`},
		{Name: "Bool", Pattern: `(?i:true|false)\b`},
		{Name: "Name", Pattern: `[A-Za-z*][-A-Za-z0-9_*]*`},
		{Name: "Float", Pattern: `[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+`},
		{Name: "Int", Pattern: `[-+]?(0[xX][0-9A-Fa-f]+|[0-9]+)L{0,2}`},
		{Name: "String", Pattern: `"(\\.|[^"\\])*"`},
		{Name: "Punct", Pattern: `[-=:;,{}()\[\]]`},
	})),
	participle.Elide("comment", "space"),
)

// text is the value of adjacent strings, which are one.
func (v *value) text() (string, error) {
	var b strings.Builder
	for _, quoted := range v.Text {
		s, err := strconv.Unquote(strings.NewReplacer("\n", `\n`, `\f`, `\f`).Replace(quoted))
		if err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// number is the value of an integer, in decimal (also with leading zeros) or
// hexadecimal, L or LL behind it.
func (v *value) number() (int64, error) {
	text := strings.TrimRight(*v.Int, "L")
	if strings.ContainsAny(text, "xX") {
		return strconv.ParseInt(text, 0, 64)
	}
	return strconv.ParseInt(text, 10, 64)
}

// kind is what people call the value's type.
func (v *value) kind() string {
	switch {
	case v.Bool != nil:
		return "a boolean"
	case v.Float != nil:
		return "a float"
	case v.Int != nil:
		return "an integer"
	case v.Text != nil:
		return "a string"
	case v.Group != nil:
		return "a group"
	}
	return "a list"
}
