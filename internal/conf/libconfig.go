// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"errors"
	"path/filepath"
	"slices"
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
	Bool   string     `parser:"  @Bool"`
	Float  string     `parser:"| @Float"`
	Int    string     `parser:"| @Int"`
	Text   []string   `parser:"| @String+"`
	Brace  bool       `parser:"| (@'{'"`
	Group  []*setting `parser:"   @@* '}')"`
	Square bool       `parser:"| (@'['"`
	Array  []*value   `parser:"   (@@ (',' @@)* ','?)? ']')"`
	Round  bool       `parser:"| (@'('"`
	List   []*value   `parser:"   (@@ (',' @@)* ','?)? ')')"`
}

var (
	tokens = lexer.MustSimple([]lexer.SimpleRule{ // those of names in small letters are left out
		{Name: "comment", Pattern: `#[^\n]*|//[^\n]*|/\*([^*]|\*+[^*/])*\*+/`},
		{Name: "space", Pattern: `\s+`},
		{Name: "Include", Pattern: `@include[ \t]+"(\\.|[^"\\\n])*"`},
		{Name: "Bool", Pattern: `(?i:true|false)\b`},
		{Name: "Name", Pattern: `[A-Za-z*][-A-Za-z0-9_*]*`},
		{Name: "Float", Pattern: `[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+`},
		{Name: "Int", Pattern: `[-+]?(0[xX][0-9A-Fa-f]+|0[bB][01]+|0[oOqQ][0-7]+|[0-9]+)L{0,2}`},
		{Name: "String", Pattern: `"(\\.|[^"\\])*"`},
		{Name: "Punct", Pattern: `[=:;,{}()\[\]]`},
	})
	tokenInclude = tokens.Symbols()["Include"]
	tokenPunct   = tokens.Symbols()["Punct"]
	grammar      = participle.MustBuild[settings](participle.Lexer(tokens))
)

func parseLibconfig(file string, text []byte, include func(string) ([]byte, error)) (*Value, error) {
	s := &splicer{include: include}
	err := s.open(file, text)
	var tree *settings
	if err == nil {
		var all *lexer.PeekingLexer
		if all, err = lexer.Upgrade(s); err == nil {
			tree, err = grammar.ParseFromLexer(all)
		}
	}
	if err != nil {
		return nil, syntax(err)
	}
	return &Value{Pos: Pos{file, 1, 1}, Kind: Group, Settings: groupOf(tree.List)}, nil
}

// syntax says in a person's words what participle found wrong.
func syntax(err error) error {
	var own *Error
	var found participle.Error
	if errors.As(err, &own) || !errors.As(err, &found) {
		return err
	}
	at := place(found.Position())
	var unexpected *participle.UnexpectedTokenError
	if !errors.As(err, &unexpected) {
		return errorAt(at, "%s", found.Message())
	}
	what := "end of the file"
	if !unexpected.Unexpected.EOF() {
		what = strconv.Quote(unexpected.Unexpected.Value)
	}
	return errorAt(at, "unexpected %s (a setting is NAME = VALUE, a group { ... }, an array [ ... ], a list ( ... ), a string \"...\")", what)
}

func place(p lexer.Position) Pos { return Pos{p.Filename, p.Line, p.Column} }

// A splicer yields the tokens of a file with those of included files in place of
// the directives, as libconfig does it.
type splicer struct {
	include func(path string) ([]byte, error)
	files   []string // that are open, the innermost last
	lexers  []lexer.Lexer
	depth   int
}

// maxIncludes is how deep files may include each other, as in libconfig.
const maxIncludes = 10

func (s *splicer) open(file string, text []byte) error {
	l, err := tokens.LexString(file, string(text))
	if err != nil {
		return err
	}
	s.files, s.lexers = append(s.files, file), append(s.lexers, l)
	return nil
}

func (s *splicer) Next() (lexer.Token, error) {
	for {
		last := len(s.lexers) - 1
		t, err := s.lexers[last].Next()
		switch {
		case err != nil:
			return t, unclosed(err)
		case t.EOF() && last > 0:
			s.files, s.lexers = s.files[:last], s.lexers[:last]
		case t.Type == tokenInclude:
			if err := s.splice(t); err != nil {
				return t, err
			}
		case t.Type == tokenPunct && strings.Contains("{[(", t.Value):
			if s.depth++; s.depth > maxDepth {
				return t, errorAt(place(t.Pos), "nested deeper than %d levels", maxDepth)
			}
			return t, nil
		case t.Type == tokenPunct && strings.Contains("}])", t.Value):
			s.depth--
			return t, nil
		default:
			return t, nil
		}
	}
}

// splice opens the file that an include directive names, relative to the file
// that the directive stands in.
func (s *splicer) splice(directive lexer.Token) error {
	at := place(directive.Pos)
	path := unquote(directive.Value[strings.IndexByte(directive.Value, '"'):])
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(at.File), path)
	}
	if slices.Contains(s.files, path) {
		return errorAt(at, "@include: the files include each other: %s", strings.Join(append(s.files, path), " -> "))
	}
	if len(s.files) > maxIncludes {
		return errorAt(at, "@include: more than %d files within each other", maxIncludes)
	}
	text, err := s.include(path)
	if err != nil {
		return errorAt(at, "@include: %v", err)
	}
	return s.open(path, text)
}

// unclosed says what is not closed, where the lexer found no token.
func unclosed(err error) error {
	var found *lexer.Error
	if !errors.As(err, &found) {
		return err
	}
	_, text, _ := strings.Cut(found.Msg, `invalid input text "`)
	switch at := place(found.Pos); {
	case strings.HasPrefix(text, `\"`):
		return errorAt(at, "the string is not closed")
	case strings.HasPrefix(text, "/*"):
		return errorAt(at, "the comment is not closed")
	case strings.HasPrefix(text, "@include"):
		return errorAt(at, "@include must be followed by a file's name in quotes")
	default:
		return errorAt(at, "unexpected text \"%s", text)
	}
}

func groupOf(list []*setting) []Setting {
	all := make([]Setting, len(list))
	for i, s := range list {
		all[i] = Setting{place(s.Pos), s.Name, s.Value.tree()}
	}
	return all
}

func listOf(list []*value) []*Value {
	all := make([]*Value, len(list))
	for i, v := range list {
		all[i] = v.tree()
	}
	return all
}

func (v *value) tree() *Value {
	t := &Value{Pos: place(v.Pos)}
	switch {
	case v.Bool != "":
		t.Kind, t.Bool = Bool, strings.EqualFold(v.Bool, "true")
	case v.Float != "":
		t.Kind, t.Text = Float, v.Float
	case v.Int != "":
		t.Kind, t.Text = Int, v.Int
		t.Int, t.TooLarge = integer(v.Int)
	case v.Text != nil:
		t.Kind = String
		for _, quoted := range v.Text { // adjacent strings are one
			t.Text += unquote(quoted)
		}
	case v.Brace:
		t.Kind, t.Settings = Group, groupOf(v.Group)
	case v.Square:
		t.Kind, t.Elements = List, listOf(v.Array)
	default:
		t.Kind, t.Elements = List, listOf(v.List)
	}
	return t
}

// integer is the value of an integer in decimal, also with leading zeros, or with
// a prefix in hexadecimal, octal or binary, and L or LL behind it.
func integer(text string) (n int64, tooLarge bool) {
	text = strings.NewReplacer("L", "", "q", "o", "Q", "o").Replace(text)
	base := 10
	if strings.ContainsAny(text, "xXoO") || strings.Contains(strings.TrimLeft(text, "+-"), "0b") || strings.Contains(text, "0B") {
		base = 0
	}
	n, err := strconv.ParseInt(text, base, 64)
	return n, err != nil
}

var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '"': '"', '\\': '\\'}

// unquote is the text of a string in quotes. A backslash before what is no escape
// stands for itself, as in libconfig.
func unquote(quoted string) string {
	text := quoted[1 : len(quoted)-1]
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		if i+4 <= len(text) && text[i+1] == 'x' {
			if n, err := strconv.ParseUint(text[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		if c, ok := escapes[text[i+1]]; ok {
			b.WriteByte(c)
			i++
			continue
		}
		b.WriteByte('\\')
	}
	return b.String()
}
